"""The section of a recipe on the log-mel spectrogram."""

from typing import Annotated

from pydantic import Field, model_validator

from audiostride.recipe.section import Count, NonNegative, Positive, Section
from audiostride.vocabulary import MelScale, Normalization, check_frontend


class Frontend(Section):
    """The log-mel spectrogram."""

    sample_rate: Annotated[int, Field(ge=1, le=10**6)] = 16000
    """Samples in a second, in Hz. Recordings of another rate are resampled. Half of it is the highest frequency that
    the model hears: 32000 is usual for birds, 256000 for bats."""
    n_fft: Annotated[int, Field(ge=1, le=2**20)] = 512
    """Length of the Fourier transform in samples. Take the power of two at or above `win_length`."""
    win_length: Count = 400
    """Length of a frame in samples, at most `n_fft`. 400 at 16 kHz are 25 ms. Longer frames separate pitches, shorter
    ones separate clicks."""
    hop_length: Count = 160
    """Samples from a frame to the next, at most `win_length`. 160 at 16 kHz are 10 ms, so 100 frames a second.
    `audiostride strides RUN --advise` says which hop keeps what a trained model uses."""
    n_mels: Count = 64
    """Number of mel bands, at most half of `n_fft`. Raise it to 128 where pitch matters. Time of a step grows with
    it."""
    f_min: NonNegative = 60.0
    """Lower end of the lowest mel band in Hz. Raise it above wind and traffic where the sounds lie higher."""
    f_max: Positive = 7800.0
    """Upper end of the highest mel band in Hz, at most half of `sample_rate`. Set it just above the highest sound that
    matters."""
    mel_scale: MelScale = "htk"
    """Formula of the mel scale. `slaney` is that of librosa's defaults. Change it only to compare with another
    model."""
    offset: Positive = 1e-5
    """Power that is added to every band before the logarithm, so that silence stays finite."""
    normalization: Normalization = "none"
    """What is done to the log-mel of each window. `mean` takes the mean out, `standard` makes mean 0 and deviation 1,
    `peak` counts bels above the floor that `top_db` sets. Take `standard` or `peak` where recordings differ in
    level."""
    top_db: Positive | None = None
    """Dynamic range of a window in dB: bands below the window's maximum minus this are raised to it. 40 hides quiet
    noise. `normalization: peak` needs it; by default nothing is raised."""

    @model_validator(mode="after")
    def _check(self) -> "Frontend":
        check_frontend(**self.model_dump(exclude={"mel_scale", "normalization", "top_db"}))
        if self.normalization == "peak" and self.top_db is None:
            raise ValueError("normalization: peak needs top_db, the dynamic range in dB, as in top_db: 40")
        return self
