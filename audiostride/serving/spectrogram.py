"""A small log-mel picture of a recording of known length, in constant memory; without torch."""

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from audiostride.data.audio import Waveform

N_COLUMNS = 800  # at most: more than a page shows
N_BANDS = 64
HOP_S, WINDOW_S = 0.010, 0.025
RANGE_DB = 70.0  # below the loudest is the darkest
FLOOR = 1e-10


def mel_filters(n_bands: int, n_fft: int, sample_rate: int) -> npt.NDArray[np.float32]:
    """Give triangles `(n_fft // 2 + 1, band)`, evenly spaced on HTK's mel scale from 0 Hz to half the rate.

    >>> mel_filters(8, 512, 16000).shape, float(mel_filters(8, 512, 16000).max()) <= 1
    ((257, 8), True)
    """
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, top, n_bands + 2) / 2595) - 1)
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)[:, None]
    up = (bins_hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    down = (edges_hz[2:] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])
    filters = np.maximum(0, np.minimum(up, down))
    narrow = filters.max(axis=0) == 0  # between two bins: takes the nearest
    filters[np.abs(bins_hz - edges_hz[1:-1]).argmin(axis=0)[narrow], narrow] = 1
    return filters.astype(np.float32)


class Spectrogram:
    """Collects the picture of a mono stream.

    Args:
        n_samples: of the recording, about.
        sample_rate: Hz.
    """

    def __init__(self, n_samples: int, sample_rate: int) -> None:
        self._n_hop, self._n_window = max(1, round(HOP_S * sample_rate)), max(2, round(WINDOW_S * sample_rate))
        n_fft = 1 << (self._n_window - 1).bit_length()
        self._n_fft, self._taper = n_fft, np.hanning(self._n_window).astype(np.float32)
        self._filters = mel_filters(N_BANDS, n_fft, sample_rate)
        self._sample_rate = sample_rate
        n_frames = max(1, n_samples // self._n_hop)
        self._n_columns = min(N_COLUMNS, n_frames)
        self._frames_per_column = n_frames / self._n_columns
        self._power = np.zeros((self._n_columns, N_BANDS), np.float32)
        self._rest = np.zeros(self._n_window // 2, np.float32)  # frames are centred
        self._n_done = 0

    def add(self, block: Waveform) -> None:
        """Take the next samples."""
        samples = np.concatenate([self._rest, block])
        n_new = max(0, (len(samples) - self._n_window) // self._n_hop + 1)
        if n_new:
            frames = np.lib.stride_tricks.sliding_window_view(samples, self._n_window)[:: self._n_hop][:n_new]
            mel = np.abs(np.fft.rfft(frames * self._taper, self._n_fft)).astype(np.float32) ** 2 @ self._filters
            columns = ((self._n_done + np.arange(n_new)) / self._frames_per_column).astype(int)
            np.maximum.at(self._power, np.minimum(columns, self._n_columns - 1), mel)
        self._n_done += n_new
        self._rest = samples[n_new * self._n_hop :]

    def finish(self) -> dict[str, Any]:
        """Give the picture: bytes 0 to 255 over 70 dB, column by column from the left, each from the lowest band up."""
        self.add(np.zeros(self._n_window // 2, np.float32))
        level_db = 10 * np.log10(self._power + FLOOR)
        shade = np.clip(1 + (level_db - level_db.max()) / RANGE_DB, 0, 1)
        return {
            "n_columns": self._n_columns,
            "n_bands": N_BANDS,
            "max_hz": self._sample_rate / 2,
            "data": base64.b64encode((255 * shade).round().astype(np.uint8).tobytes()).decode(),
        }
