"""Random windows of fixed length to train on."""

from collections.abc import Sequence
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
        """Give the items at `rows` of an endless series of shuffled epochs of `n`."""
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
        """Give the windows `(n_rows, n_window)`, int16, of a step and the index of the clip each was cut from."""
        indices = self._clip_indices(np.arange(step * n_rows, (step + 1) * n_rows))
        positions = np.random.default_rng([self.seed, 1, step]).random(n_rows)
        slack = self.n_samples[indices] - self.n_window
        offsets = (positions * (np.abs(slack) + 1)).astype(np.int64)
        return self.cutter.cut(indices, np.where(slack < 0, -offsets, offsets), self.n_window), indices
