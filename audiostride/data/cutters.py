"""Cut a batch of windows out of clips: read from the cache, or kept whole in the memory of a device."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audiostride.data.packed import Samples

N_BLOCK = 2**22  # samples copied to a device at a time


class HostCutter:
    """Reads the windows of a batch, and nothing else of the clips."""

    def __init__(self, clips: Sequence[Samples]) -> None:
        self.clips = clips

    def cut(self, indices: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], n_window: int) -> Tensor:
        """Give windows of `clips[index]` from every start on, zero before and after the clip.

        Shape:
            indices, starts: `(row,)`; a negative start is so many zeros. output: `(row, n_window)`, int16.
        """
        windows = np.zeros((len(indices), n_window), np.int16)
        for window, index, start in zip(windows, indices.tolist(), starts.tolist(), strict=True):
            before, first = min(n_window, max(0, -start)), max(0, start)
            part = self.clips[index][first : first + n_window - before]
            window[before : before + len(part)] = part
        return torch.from_numpy(windows)


class DeviceCutter:
    """Keeps all the clips in the memory of `device` and cuts there."""

    def __init__(self, clips: Sequence[Samples], device: torch.device) -> None:
        lengths = torch.tensor([len(clip) for clip in clips])
        ends = lengths.cumsum(0)
        self.samples = torch.empty(int(ends[-1]), dtype=torch.int16, device=device)
        for clip, end in zip(clips, ends.tolist(), strict=True):
            for first in range(0, len(clip), N_BLOCK):
                block = clip[first : first + N_BLOCK]
                start = end - len(clip) + first
                self.samples[start : start + len(block)] = torch.from_numpy(block)
        self.first, self.lengths = (ends - lengths).to(device), lengths.to(device)

    def cut(self, indices: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], n_window: int) -> Tensor:
        """Give what `HostCutter.cut` gives, on the device."""
        device = self.samples.device
        rows = torch.from_numpy(indices).to(device, non_blocking=True)
        at = torch.from_numpy(starts).to(device, non_blocking=True)[:, None] + torch.arange(n_window, device=device)
        inside = (at >= 0) & (at < self.lengths[rows, None])
        return torch.where(inside, self.samples[(self.first[rows, None] + at).clamp(0, len(self.samples) - 1)], 0)
