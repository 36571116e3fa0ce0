"""A model whose probabilities are read off the waveform, so that detections can be counted by hand."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile as sf

from audiostride.prediction.model import Traits

RATE = 8000


class Peaks:
    """The probability of `up` is the highest sample of a window of 1 s, that of `down` the lowest, negated."""

    sample_rate, n_window, min_window, takes_any_window = RATE, RATE, RATE, False
    temperatures, traits = {"peak": 1.0}, {"peak": Traits("multilabel")}

    def __init__(self, path: Path, classes: tuple[str, str] = ("up", "down")) -> None:
        path.write_bytes(b"peaks")
        self.path, self.classes = path, {"peak": classes}

    def logits(self, windows: np.ndarray) -> dict[str, np.ndarray]:
        peaks = np.stack([windows.max(axis=1), -windows.min(axis=1)], axis=1).clip(1e-6, 1 - 1e-6)
        return {"peak": np.log(peaks / (1 - peaks)).astype(np.float32)}


def write_peaks(path: Path, seconds: float, peaks: Mapping[float, float], rate: int = RATE) -> Path:
    """Write silence with bumps of 40 ms that have exactly these values at these times; smooth, to be resampled."""
    samples, n = np.zeros(round(seconds * rate)), rate // 50
    for time_s, value in peaks.items():
        samples[round(time_s * rate) - n : round(time_s * rate) + n + 1] = value * np.hanning(2 * n + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, rate, format="WAV", subtype="PCM_16")
    return path
