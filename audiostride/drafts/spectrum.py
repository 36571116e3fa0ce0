"""Which frequencies of recordings hold sounds that come and go, or differ from class to class."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FRAME_S = 0.016
N_BANDS = 40
LOWEST_HZ = 40.0
QUIETEST_DB = 70.0  # below the loudest band of a clip: what moves there is the last bit
LIFT_DB = 6.0  # a band holds sounds if its loud frames are so far above its usual ones
CLASS_SPREAD_DB = 4.0  # or if its level differs so much from class to class
N_CLIPS_MIN = 3  # of a class, before it counts by itself

Levels = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClipLevels:
    """What the bands of a clip do.

    Shape:
        lift: `(band,)`, how far the loud frames are above the usual ones in dB, beyond what noise does.
        level: `(band,)`, of the usual frames in dB, less its mean over the bands.
    """

    lift: Levels
    level: Levels


@dataclass(frozen=True)
class Spectrum:
    """The range of frequencies in use, in Hz; `is_found` is false where no band stands out and the range is whole."""

    low_hz: float
    high_hz: float
    is_found: bool


def band_edges(highest_hz: float) -> Levels:
    """Divide the range up to `highest_hz` evenly on a logarithmic scale.

    Shape:
        output: `(N_BANDS + 1,)`, Hz.
    """
    return np.geomspace(LOWEST_HZ, highest_hz, N_BANDS + 1)


def clip_levels(waveform: npt.NDArray[np.float32], sample_rate: int, edges: Levels) -> ClipLevels | None:
    """Measure the bands of a clip; None where it is silent or shorter than four frames.

    The power of noise in a band of k Fourier bins varies from frame to frame as a chi-squared variable with 2 k degrees
    of freedom: its 98th percentile lies about 8 / sqrt(k) dB above its median, which is taken off the lift.

    Shape:
        waveform: `(time,)`. edges: `(band + 1,)`, Hz.
    """
    n_frame = 1 << max(5, round(np.log2(FRAME_S * sample_rate)))
    n_frames = len(waveform) // n_frame
    if n_frames < 4 or not waveform.any():
        return None
    frames = waveform[: n_frames * n_frame].reshape(n_frames, n_frame) * np.hanning(n_frame).astype(np.float32)
    power = np.abs(np.fft.rfft(frames)) ** 2  # (frame, bin)
    frequencies = np.fft.rfftfreq(n_frame, 1 / sample_rate)
    n_bands = len(edges) - 1
    decibels, n_bins = np.full((n_bands, n_frames), -np.inf), np.zeros(n_bands)
    for band, (low, high) in enumerate(pairwise(edges)):
        bins = (frequencies >= low) & (frequencies < high)
        if not bins.any() and high <= sample_rate / 2:  # narrower than a bin: take the one that it lies in
            bins[round((low + high) / 2 / frequencies[1])] = True
        if bins.any():
            n_bins[band] = bins.sum()
            decibels[band] = 10 * np.log10(power[:, bins].mean(axis=1) + 1e-30)
    decibels = np.maximum(decibels, decibels.max() - QUIETEST_DB)
    usual, loud = np.percentile(decibels, (50, 98), axis=1)
    lift = np.where(n_bins > 0, loud - usual - 8 / np.sqrt(np.maximum(n_bins, 1)), 0.0)
    return ClipLevels(lift, usual - usual.mean())


def _class_spread(levels: Mapping[str, Sequence[ClipLevels]]) -> Levels:
    """Estimate the deviation of the bands' levels over classes, beyond what clips of one class differ by."""
    of_class = [np.array([clip.level for clip in clips]) for clips in levels.values() if len(clips) >= N_CLIPS_MIN]
    if len(of_class) < 2:
        return np.zeros(N_BANDS)
    between = np.var([clips.mean(axis=0) for clips in of_class], axis=0)
    within = np.mean([clips.var(axis=0, ddof=1) / len(clips) for clips in of_class], axis=0)
    spread: Levels = np.sqrt(np.maximum(between - within, 0))
    return spread


def occupied_spectrum(levels: Mapping[str, Sequence[ClipLevels]], edges: Levels) -> Spectrum:
    """Find the range of the bands that hold sounds, in all clips or in those of any class.

    Args:
        levels: of the clips of every class.
        edges: as of `clip_levels`.
    """
    groups: Iterable[Sequence[ClipLevels]] = [
        [clip for clips in levels.values() for clip in clips],
        *(clips for clips in levels.values() if len(clips) >= N_CLIPS_MIN),
    ]
    lifts = [np.median([clip.lift for clip in clips], axis=0) for clips in groups if clips]
    held = (np.max(lifts, axis=0) >= LIFT_DB) if lifts else np.zeros(N_BANDS, bool)
    bands = np.flatnonzero(held | (_class_spread(levels) >= CLASS_SPREAD_DB))
    if not len(bands):
        return Spectrum(0.0, float(edges[-1]), is_found=False)
    return Spectrum(float(edges[bands[0]]), float(edges[bands[-1] + 1]), is_found=True)
