"""Predict from Python: a file or an array in, probabilities of the whole and of its windows out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from audiostride.data.audio import BadAudioError, Waveform, at_rate, read_blocks
from audiostride.errors import ArgumentError, DataError
from audiostride.prediction.decoding import Decoded, Window, windows_with_ends
from audiostride.prediction.model import WindowModel
from audiostride.prediction.stream import (
    FileFailed,
    Probabilities,
    Result,
    WindowResult,
    predict_parts,
    window_samples,
)

ARRAY = Path("waveform")  # stands for the file that an array does not have
MAX_RATE_HZ = 10_000_000
MAX_CHANNELS = 32


@dataclass(frozen=True, eq=False)
class TaskPrediction:
    """Probabilities of a task's classes: of the whole `(class,)` and of each window `(window, class)`."""

    classes: tuple[str, ...]
    probabilities: Probabilities
    window_probabilities: Probabilities

    @property
    def best(self) -> str:
        """Give the class with the highest probability of the whole."""
        return self.classes[int(self.probabilities.argmax())]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of a recording, per task, and where its windows begin and end, `(window,)` in seconds."""

    duration_s: float
    start_s: npt.NDArray[np.float64]
    end_s: npt.NDArray[np.float64]
    tasks: Mapping[str, TaskPrediction]


class Predictor:
    """A model to predict with.

    Args:
        model: what `audiostride.loading.load_model` gives, or anything else with its methods.

    >>> from audiostride.evaluation.traits import Traits
    >>> class Loudness:
    ...     path, sample_rate, n_window, min_window = Path("loudness"), 16000, 16000, 16000
    ...     takes_any_window = False
    ...     classes, temperatures, traits = {"level": ("quiet", "loud")}, {"level": 1.0}, {"level": Traits()}
    ...     def logits(self, windows):
    ...         return {"level": np.stack([np.zeros(len(windows)), 9 * windows.max(axis=1)], axis=1)}
    >>> result = Predictor(Loudness()).predict(np.linspace(0, 1, 44100 * 2), sample_rate=44100)
    >>> result.tasks["level"].best, result.start_s, result.tasks["level"].window_probabilities.shape
    ('loud', array([0. , 0.5, 1. ]), (3, 2))
    """

    def __init__(self, model: WindowModel) -> None:
        self.model = model

    @overload
    def predict(
        self, audio: list[Any] | tuple[Any, ...], sample_rate: int | None = None, *, hop_s: float | None = None
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        audio: str | Path | npt.NDArray[Any],
        sample_rate: int | None = None,
        *,
        hop_s: float | None = None,
    ) -> Prediction: ...

    def predict(
        self,
        audio: str | Path | npt.NDArray[Any] | Sequence[Any],
        sample_rate: int | None = None,
        *,
        hop_s: float | None = None,
    ) -> Prediction | list[Prediction]:
        """Predict a recording or several, in windows as long as those that the model was trained on.

        The probabilities of the whole come from the mean of the windows' logits. A last window is padded with zeros;
        one less than half full is dropped, unless it is the only one.

        Args:
            audio: a file, or a waveform `(time,)` or `(channel, time)`: floats in [-1, 1] (beyond that clipped), or
                int16. Channels are averaged. A list or tuple of these is a batch and gives a list of predictions.
            sample_rate: of waveforms in Hz, converted to the model's; a file has its own.
            hop_s: seconds from one window to the next, by default half a window.

        Raises:
            ArgumentError: a waveform that is shorter than a frame, not finite or of another shape, no rate for it, or a
                hop out of range.
            DataError: a file that cannot be used.
        """
        n_window, n_hop = window_samples(self.model, None, hop_s)
        clips = list(audio) if isinstance(audio, list | tuple) else [audio]
        blocks = [self._blocks(clip, sample_rate) for clip in clips]
        parts = (
            (path, part) for path, stream in blocks for part in _named(path, windows_with_ends(stream, n_window, n_hop))
        )
        results = predict_parts(self.model, parts, tuple(self.model.classes), n_window, fixed_shape=False)
        predictions = list(_collect(self.model, results))
        return predictions if isinstance(audio, list | tuple) else predictions[0]

    def _blocks(self, audio: str | Path | npt.ArrayLike, sample_rate: int | None) -> tuple[Path, Iterator[Waveform]]:
        """Check a file or a waveform; its path, and its samples at the rate of the model."""
        if isinstance(audio, str | Path):
            if sample_rate is not None:
                raise ArgumentError("sample_rate", sample_rate, "a file has its own, expected None")
            return Path(audio), read_blocks(Path(audio), self.model.sample_rate)
        waveform, rate = check_waveform(audio), check_rate(sample_rate)
        return ARRAY, at_rate([waveform], rate, self.model.sample_rate)


def _named(path: Path, parts: Iterator[Window | Decoded]) -> Iterator[Window | Decoded]:
    """Pass parts on; an error of the decoder names the file."""
    try:
        yield from parts
    except BadAudioError as error:
        raise DataError(f"{path}: {error}") from error


def check_rate(sample_rate: int | None) -> int:
    """`sample_rate`, or ArgumentError."""
    if sample_rate is None or not 1 <= sample_rate <= MAX_RATE_HZ:
        raise ArgumentError("sample_rate", sample_rate, f"expected that of the waveform in Hz, 1 to {MAX_RATE_HZ}")
    return int(sample_rate)


def check_waveform(audio: npt.ArrayLike) -> Waveform:
    """Give a waveform as mono `(time,)` in [-1, 1].

    Raises:
        ArgumentError: empty, not finite, neither float nor int16, or neither `(time,)` nor `(channel, time)`.
    """
    array = np.asarray(audio)
    given = f"{array.dtype} {array.shape}"
    if array.ndim not in (1, 2):
        raise ArgumentError("audio", given, "expected the shape (time,) or (channel, time)")
    if array.size == 0:
        raise ArgumentError("audio", given, "expected at least one sample")
    if array.ndim == 2 and array.shape[0] > array.shape[1]:
        raise ArgumentError("audio", given, "expected the shape (channel, time): pass audio.T if it is (time, channel)")
    if array.ndim == 2 and array.shape[0] > MAX_CHANNELS:
        raise ArgumentError(
            "audio", given, f"expected at most {MAX_CHANNELS} channels; several clips are given as a list"
        )
    if array.dtype == np.int16:
        array = array.astype(np.float32) / np.float32(32768)
    elif not np.issubdtype(array.dtype, np.floating):
        raise ArgumentError("audio", given, "expected floats in [-1, 1] or int16")
    if not np.isfinite(array).all():
        raise ArgumentError("audio", given, "NaN or infinite samples, expected finite ones")
    mono: Waveform = np.atleast_2d(array).mean(axis=0, dtype=np.float32)
    return mono


def _collect(model: WindowModel, results: Iterable[Result]) -> Iterator[Prediction]:
    """Put the windows of each recording together."""
    windows: list[WindowResult] = []
    for result in results:
        if isinstance(result, WindowResult):
            windows.append(result)
            continue
        if isinstance(result, FileFailed):
            if result.path == ARRAY:
                raise ArgumentError("audio", "waveform", result.reason)
            raise DataError(f"{result.path}: {result.reason}")
        tasks = {
            task: TaskPrediction(
                classes, result.probabilities[task], np.stack([w.probabilities[task] for w in windows])
            )
            for task, classes in model.classes.items()
        }
        starts, ends = np.array([w.start_s for w in windows]), np.array([w.end_s for w in windows])
        yield Prediction(result.duration_s, starts, ends, tasks)
        windows = []
