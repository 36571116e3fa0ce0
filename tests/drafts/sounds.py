"""Recordings as of a field: wind, and calls in some range of frequencies."""

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

Waveform = npt.NDArray[np.float32]


def wind(n_samples: int, rng: np.random.Generator) -> Waveform:
    """Noise that falls towards high frequencies, with a little of the same density everywhere."""
    low = lfilter([1], [1, -0.995], rng.standard_normal(n_samples))
    return (0.003 * low + 0.001 * rng.standard_normal(n_samples)).astype(np.float32)


def with_calls(
    sample_rate: int, seconds: float, call: tuple[float, float, float], n_calls: int, rng: np.random.Generator
) -> Waveform:
    """Calls that sweep from one frequency to another in some time: Hz, Hz, s."""
    first_hz, last_hz, duration_s = call
    waveform = wind(round(seconds * sample_rate), rng)
    t = np.arange(round(duration_s * sample_rate)) / sample_rate
    phase = 2 * np.pi * (first_hz * t + (last_hz - first_hz) * t**2 / (2 * duration_s))
    sound = 0.1 * np.sin(phase) * np.hanning(len(t))
    for start in rng.integers(0, len(waveform) - len(t), n_calls):
        waveform[start : start + len(t)] += sound
    return waveform.clip(-1, 1)
