"""Windows of fixed length: random ones to train on, consecutive ones to evaluate on."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt


@lru_cache(maxsize=16)  # consecutive steps share it
def _epoch_order(n_clips: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, 0, epoch]).permutation(n_clips)


class RandomWindows:
    """Random windows of clips, a pure function of seed and step.

    Every epoch passes once over the clips in a new order. A clip longer than the window gives a
    window at a random position; a shorter one is zero-padded at a random offset.

    Args:
        clips: samples of every clip, `(time,)`, int16.
        n_window: samples of a window.
        seed: of the order and the positions.

    >>> windows = RandomWindows([np.ones(50, np.int16)], n_window=100, seed=0)
    >>> windows.batch(step=0, n_rows=4)[0].sum(axis=1)
    array([50, 50, 50, 50])
    """

    def __init__(self, clips: Sequence[npt.NDArray[np.int16]], n_window: int, seed: int) -> None:
        if not clips:
            raise ValueError("clips must hold at least one clip, got none")
        self.clips, self.n_window, self.seed = clips, n_window, seed

    def _clip_indices(self, first: int, n_rows: int) -> npt.NDArray[np.int64]:
        """The clips of rows `first` to `first + n_rows` of an endless series of shuffled epochs."""
        n_clips = len(self.clips)
        rows = np.arange(first, first + n_rows)
        indices = np.empty(n_rows, np.int64)
        for epoch in np.unique(rows // n_clips):
            of_epoch = rows // n_clips == epoch
            indices[of_epoch] = _epoch_order(n_clips, self.seed, int(epoch))[rows[of_epoch] % n_clips]
        return indices

    def batch(self, step: int, n_rows: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int64]]:
        """The windows `(n_rows, n_window)` of a step and the index of the clip each was cut from."""
        indices = self._clip_indices(step * n_rows, n_rows)
        positions = np.random.default_rng([self.seed, 1, step]).random(n_rows)
        windows = np.zeros((n_rows, self.n_window), np.int16)
        for window, index, position in zip(windows, indices, positions, strict=True):
            clip = self.clips[index]
            slack = len(clip) - self.n_window
            offset = int(position * (abs(slack) + 1))
            if slack >= 0:
                window[:] = clip[offset : offset + self.n_window]
            else:
                window[offset : offset + len(clip)] = clip
        return windows, indices


def consecutive_windows(
    blocks: Iterable[npt.NDArray[np.float32]], n_window: int, n_hop: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Cut a stream of samples into windows `(n_window,)` every `n_hop` samples, in constant memory.

    The last window is zero-padded, and dropped if it holds under half a window of audio; the
    only window of a clip is never dropped. No window follows one that reached the end.

    >>> [int(w.sum()) for w in consecutive_windows([np.ones(250, np.float32)], 100, 100)]
    [100, 100, 50]
    """
    if n_window < 1 or n_hop < 1:
        raise ValueError(f"n_window and n_hop must be at least 1 sample, got {n_window} and {n_hop}")
    buffer = np.zeros(0, np.float32)
    start, only = 0, True
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) - start >= n_window:
            yield buffer[start : start + n_window]
            start, only = start + n_hop, False
        buffer, start = buffer[start:], max(0, start - len(buffer))
    tail = buffer[start:]
    n_new = len(tail) - max(0, n_window - n_hop)  # what the window before did not hold
    if only or (n_new > 0 and 2 * len(tail) >= n_window):
        yield np.pad(tail, (0, n_window - len(tail)))
