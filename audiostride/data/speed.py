"""Windows played at another speed, as a tape is: slower is longer and lower, faster is shorter and higher."""

import math

import torch
from torch import Tensor

N_BLOCK = 2**17  # samples that a processor's cache holds with what is computed from them
N_MARGIN = 3  # zeros on either side: no sample beyond them is asked for


def random_speed(waveform: Tensor, low: float, high: float) -> Tensor:
    """Play every window at a speed of its own, drawn evenly from a range on a logarithmic scale.

    Windows keep their length: a slower one is a part of it at a random position, a faster one lies between zeros at
    a random offset. Samples between samples are those of a cubic through the four nearest ones, so what a faster
    speed brings above half the sampling rate folds.

    Args:
        waveform: the windows.
        low: lowest speed, above 0; 1 is the speed of the recording.
        high: highest speed.

    Shape:
        waveform, output: `(batch, time)`.

    Reference:
        Keys, "Cubic convolution interpolation for digital image processing", 1981; as augmentation, Ko et al., "Audio
        augmentation for speech recognition", 2015.

    >>> random_speed(torch.arange(6.0).expand(1, -1), 1.0, 1.0)
    tensor([[0., 1., 2., 3., 4., 5.]])
    """
    n_rows, n_samples = waveform.shape
    device = waveform.device
    speeds = torch.empty(n_rows, 1, device=device).uniform_(math.log(low), math.log(high)).exp()
    starts = torch.rand(n_rows, 1, device=device) * (n_samples - 1) * (1 - speeds)  # below 0 for a speed above 1
    at_once = max(1, N_BLOCK // n_samples) if device.type == "cpu" else n_rows
    parts = zip(*(torch.split(tensor, at_once) for tensor in (waveform, starts, speeds)), strict=True)
    return torch.cat([_interpolate(*part) for part in parts])


def _interpolate(waveform: Tensor, starts: Tensor, speeds: Tensor) -> Tensor:
    """Give the samples at `start + speed * i`, zero outside the window.

    With t from 0 to 1 on the way from sample b to sample c, a before them and d after them, the cubic has the values b
    and c at its ends and there the slopes (c - a) / 2 and (d - b) / 2.
    """
    n_samples = waveform.shape[1]
    at = starts + speeds * torch.arange(n_samples, device=waveform.device)
    before = at.floor()
    t = at - before
    first = (before.long() + N_MARGIN - 1).clamp(0, n_samples + 2 * N_MARGIN - 4)
    padded = torch.nn.functional.pad(waveform, (N_MARGIN, N_MARGIN))
    a, b, c, d = (padded.gather(1, first + tap) for tap in range(4))
    return b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
