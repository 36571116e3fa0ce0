"""Windows of fixed length: random ones to train on, consecutive ones to evaluate on."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audiostride.data.cutters import DeviceCutter, HostCutter
from audiostride.data.packed import Samples

Indices = npt.NDArray[np.int64]


class RandomWindows:
    """Random windows of clips, a pure function of seed and step.

    Every epoch passes once over the clips in a new order; with `groups` given, every group (class) has equally many
    rows, and each passes over its clips in epochs of its own. A clip longer than the window gives a window at a
    random position; a shorter one is zero-padded at a random offset.

    Args:
        clips: samples of every clip, `(time,)`, int16.
        n_window: samples of a window.
        seed: of the order and the positions.
        groups: a number per clip; clips of the same number are a group.
        device: where all the clips are kept, and windows are cut; the CPU reads what a batch needs.

    >>> windows = RandomWindows([np.ones(50, np.int16)], n_window=100, seed=0)
    >>> windows.batch(step=0, n_rows=4)[0].sum(axis=1)
    tensor([50, 50, 50, 50])
    """

    def __init__(
        self,
        clips: Sequence[Samples],
        n_window: int,
        seed: int,
        groups: Sequence[int] | None = None,
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ) -> None:
        if not clips:
            raise ValueError("clips must hold at least one clip, got none")
        self.n_samples = np.array([len(clip) for clip in clips])
        self.n_window, self.seed = n_window, seed
        self.cutter = HostCutter(clips) if device.type == "cpu" else DeviceCutter(clips, device)
        of_clip = np.zeros(len(clips), np.int64) if groups is None else np.asarray(groups)
        self.groups = [np.flatnonzero(of_clip == group) for group in np.unique(of_clip)]
        self._order = lru_cache(maxsize=4 * len(self.groups) + 16)(self._draw_order)  # consecutive steps share them

    def _draw_order(self, n: int, stream: int, epoch: int, group: int) -> Indices:
        return np.random.default_rng([self.seed, stream, epoch, group]).permutation(n)

    def _endless(self, n: int, rows: Indices, stream: int, group: int = 0) -> Indices:
        """The items at `rows` of an endless series of shuffled epochs of `n`."""
        items = np.empty(len(rows), np.int64)
        epochs, places = np.divmod(rows, n)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            items[here] = self._order(n, stream, int(epoch), group)[places[here]]
        return items

    def _clip_indices(self, rows: Indices) -> Indices:
        if len(self.groups) == 1:
            return self._endless(len(self.n_samples), rows, 0)
        group_of_row, turns = self._endless(len(self.groups), rows, 2), rows // len(self.groups)
        indices = np.empty(len(rows), np.int64)
        for group in np.unique(group_of_row):
            here, members = group_of_row == group, self.groups[group]
            indices[here] = members[self._endless(len(members), turns[here], 0, int(group))]
        return indices

    def batch(self, step: int, n_rows: int) -> tuple[Tensor, Indices]:
        """The windows `(n_rows, n_window)`, int16, of a step and the index of the clip each was cut from."""
        indices = self._clip_indices(np.arange(step * n_rows, (step + 1) * n_rows))
        positions = np.random.default_rng([self.seed, 1, step]).random(n_rows)
        slack = self.n_samples[indices] - self.n_window
        offsets = (positions * (np.abs(slack) + 1)).astype(np.int64)
        return self.cutter.cut(indices, np.where(slack < 0, -offsets, offsets), self.n_window), indices


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
