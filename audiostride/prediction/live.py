"""Windows of sound as it comes through a pipe."""

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from audiostride.data.audio import Waveform, at_rate
from audiostride.errors import DataError
from audiostride.prediction.decoding import Decoded, windows_with_ends
from audiostride.prediction.model import WindowModel
from audiostride.prediction.predictor import ARRAY
from audiostride.prediction.stream import FileSum, WindowResult, check_finite, why_too_short
from audiostride.vocabulary import Encoding

FILES = {b"RIFF": "a WAV file", b"fLaC": "a FLAC file", b"OggS": "an Ogg file"}  # by what they begin with


@dataclass(frozen=True)
class Pcm:
    """Raw samples: Hz, channels (averaged), and how a sample is written."""

    sample_rate: int
    n_channels: int
    encoding: Encoding

    @property
    def n_frame(self) -> int:
        """Give bytes of a sample of all channels."""
        return self.n_channels * (2 if self.encoding == "s16le" else 4)


def read_pcm(descriptor: int, pcm: Pcm, n_bytes: int) -> Iterator[Waveform]:
    """Give blocks `(time,)` of at most `n_bytes` as they come: what has arrived is not held back for what has not.

    Raises:
        DataError: a sample that is no finite number, or a file with a header.
    """
    rest, is_first = b"", True
    while new := os.read(descriptor, n_bytes):
        content = rest + new
        if is_first and content[:4] in FILES:
            raise DataError(
                f"standard input: {FILES[content[:4]]}, expected raw samples; pipe it through "
                f"ffmpeg -v error -i - -f {pcm.encoding} -ac {pcm.n_channels} -ar {pcm.sample_rate} -"
            )
        is_first = False
        n_whole = len(content) - len(content) % pcm.n_frame
        content, rest = content[:n_whole], content[n_whole:]
        if pcm.encoding == "s16le":
            samples = np.frombuffer(content, "<i2").astype(np.float32) / np.float32(32768)
        else:
            samples = np.frombuffer(content, "<f4").astype(np.float32)
        if not np.isfinite(samples).all():
            raise DataError(f"standard input: a sample that is not a number; is it {pcm.encoding}?")
        yield samples.reshape(-1, pcm.n_channels).mean(axis=1, dtype=np.float32)


def listen(
    model: WindowModel, descriptor: int, pcm: Pcm, tasks: tuple[str, ...], *, n_window: int, n_hop: int
) -> Generator[WindowResult]:
    """Give the result of every window as soon as its last sample came, until the input ends.

    Args:
        descriptor: of what is read, a pipe for instance.

    Raises:
        DataError: no sound comes, less than a frame, or something else than sound.
    """
    n_bytes = max(1, n_hop * pcm.sample_rate // model.sample_rate) * pcm.n_frame
    blocks = at_rate(read_pcm(descriptor, pcm, n_bytes), pcm.sample_rate, model.sample_rate)
    total = FileSum(model, tasks)
    for part in windows_with_ends(blocks, n_window, n_hop):
        if isinstance(part, Decoded):
            return
        if part.start == part.stop:
            raise DataError("standard input: ended before any sound came")
        if (reason := why_too_short(model, part.stop)) is not None:
            raise DataError(f"standard input: {reason}")
        logits = model.logits(part.samples[None])
        check_finite(model, logits)
        row_logits, rate = {task: logits[task][0] for task in tasks}, model.sample_rate
        yield WindowResult(ARRAY, part.start / rate, part.stop / rate, total.add(row_logits), row_logits)
