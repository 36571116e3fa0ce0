"""The mask of one axis: which Fourier bins pass, how much of each, and how many samples are left.

A box of `b = n / (2 s)` bins passes whole. On the ramp after it the gain falls to 0 within `R` bins, the smoothness:

    m(k) = clip((R + b - k) / R, 0, 1)

Three ramps differ in where they lie and in the samples that are left:

- "outside" (the paper's) lies beyond the box, and as many samples are left as all bins of the ramp need;
- "inside" ends where the box would, so that fewer samples are left;
- "folded" lies where "outside" does, and as many samples are left as a strided convolution leaves. Bins above half the
  new rate fold, as they do in a strided convolution, but weighted by the ramp.

So "folded" has two ends. Without a ramp it is spectral pooling. With an endless ramp it keeps every s-th sample.
"""

import math
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from audiostride.vocabulary import SMOOTHNESS, Ramp

RAMPS: tuple[Ramp, ...] = get_args(Ramp)
EDGE = 1e-3  # of a bin: so near to an end of the ramp a bin belongs to it, whatever was rounded
ROUNDING = 1e-9  # of a sample: so much above a whole number of samples is a whole number


def check_length(n_in: int) -> None:
    """Raise ValueError for an empty axis."""
    if n_in < 1:
        raise ValueError(f"n_in must be at least 1 sample, got {n_in}: the axis is empty")


def check_operator(stride: float, smoothness: float = 1.0, ramp: str = "outside") -> None:
    """Raise ValueError naming the argument that no downsampling operator can have."""
    if not (math.isfinite(stride) and stride >= 1):
        raise ValueError(f"stride must be a finite number >= 1, got {stride}")
    if not (math.isfinite(smoothness) and smoothness > 0):
        raise ValueError(f"smoothness must be a finite number > 0 (Fourier bins), got {smoothness}")
    if ramp not in RAMPS:
        raise ValueError(f"ramp must be one of {', '.join(RAMPS)}, got {ramp!r}")


def stride_bounds(n_in: int, smoothness: float = SMOOTHNESS, ramp: Ramp = "outside") -> tuple[float, float]:
    """Give the lowest and highest effective stride for an axis of `n_in` samples.

    The lower bound keeps a ramp that lies outside or folds touching the highest bins, so that a stride near 1 still
    receives a gradient. Where the two bounds cross (one or two samples) the upper one wins.
    """
    lower = 1.0 if ramp == "inside" else n_in / (n_in - min(smoothness, n_in / 4))
    return lower, n_in / 2


def at_moving_bound(n_in: int, stride: float, smoothness: float, ramp: Ramp) -> bool:
    """Tell whether a stride is below a lower bound that grows with the width of the ramp."""
    return ramp != "inside" and smoothness < n_in / 4 and stride < stride_bounds(n_in, smoothness, ramp)[0]


def moving_bound(n_in: int | Tensor, smoothness: Tensor) -> Tensor:
    """Give 0 with the gradient of the lower bound `n / (n - R)` in the width of the ramp.

    Added to a stride below that bound, it gives the ramp's width its gradient through the bound.

    Shape:
        n_in, smoothness: `()` or `(axis,)`. output: the same.
    """
    lower = n_in / (n_in - smoothness)
    return lower - lower.detach()


def clamp_straight_through(value: Tensor, lower: float, upper: float) -> Tensor:
    """`value` clamped to `[lower, upper]` (upper wins), its gradient as if it were not clamped."""
    clamped = value.detach().clamp(min=lower).clamp(max=upper)
    # not value + (clamped - value): that would round the value
    return clamped + (value - value.detach())


def effective_stride(stride: float, n_in: int, smoothness: float = SMOOTHNESS, ramp: Ramp = "outside") -> float:
    """Give the stride that the operator realises on `n_in` samples: `stride` within `stride_bounds`."""
    lower, upper = stride_bounds(n_in, smoothness, ramp)
    return min(max(stride, lower), upper)


def half_bandwidth(stride: float, n_in: int, smoothness: float = SMOOTHNESS, ramp: Ramp = "outside") -> float:
    """Give bins that pass unattenuated, `b`; the ramp then falls to zero at `b + smoothness`."""
    b = n_in / (2 * effective_stride(stride, n_in, smoothness, ramp))
    return max(b - smoothness, 0.0) if ramp == "inside" else b


def output_size(n_in: int, stride: float, smoothness: float = SMOOTHNESS, ramp: Ramp = "outside") -> int:
    """Give samples that `downsampling_matrix` leaves of `n_in`.

    About `n / s + 2 R` (outside), about `n / s` (inside), `ceil(n / s)` as a strided convolution (folded); two at
    least, where there are two.
    """
    if ramp == "folded":
        return math.ceil(n_in / max(1.0, min(stride, n_in / 2)) - ROUNDING)
    end = half_bandwidth(stride, n_in, smoothness, ramp) + smoothness
    n_kept = min(n_in // 2 + 1, math.ceil(end))  # bins k with k < end, that is m(k) > 0
    return min(n_in, 2 * n_kept)


def spectral_pooling_size(n_in: int, stride: float) -> int:
    """Give samples that `spectral_pooling_matrix` leaves of `n_in`: two at least, where there are two."""
    return n_in if stride == 1 else min(n_in, max(2, 2 * math.floor(n_in / (2 * stride))))


def on_ramp(n_in: int, n_bins: int, stride: float, smoothness: float, ramp: Ramp) -> tuple[int, int]:
    """Find the first and the last of `n_bins` that moves with the stride."""
    start = half_bandwidth(stride, n_in, smoothness, ramp)
    return math.ceil(start - EDGE), min(n_bins - 1, math.floor(start + smoothness + EDGE))


def count_bins(n_in: int, n_out: int, ramp: Ramp) -> int:
    """Count the Fourier bins, from 0 on, that `n_out` samples are made of."""
    return (n_in if ramp == "folded" else min(n_in, n_out)) // 2 + 1


class AxisPlan(NamedTuple):
    """What one axis lets pass, in numbers alone.

    Attributes:
        n_in: samples that come in.
        n_out: samples that are left.
        lower: the least stride, where one is shared by several axes; 1 otherwise.
        stride: not yet clamped to what `n_in` allows.
        smoothness: width of the ramp in bins.
        i_stride: which of the layer's strides it is.
        i_bound: the axis of the layer whose ramp sets the least stride, where the stride is below it and it moves.
    """

    n_in: int
    n_out: int
    lower: float
    stride: float
    smoothness: float
    ramp: Ramp
    i_stride: int
    i_bound: int | None

    @property
    def n_bins(self) -> int:
        """Count the Fourier bins, from 0 on, that the output is made of."""
        return count_bins(self.n_in, self.n_out, self.ramp)


class Mask(NamedTuple):
    """What one axis lets pass, with the values of its tensors as numbers: to read those waits for the device.

    Attributes:
        n_in: samples that come in.
        n_out: samples that are left.
        stride: 0-d, differentiable; not yet clamped to what `n_in` allows.
        stride_value: of `stride`.
        smoothness: width of the ramp in bins, 0-d and differentiable where it is learned.
        smoothness_value: of `smoothness`.
    """

    n_in: int
    n_out: int
    stride: Tensor
    stride_value: float
    smoothness: float | Tensor
    smoothness_value: float
    ramp: Ramp

    @classmethod
    def of(cls, n_in: int, stride: float | Tensor, smoothness: float | Tensor, ramp: Ramp) -> "Mask":
        """Make the mask of an axis alone.

        Raises:
            ValueError: an argument out of range; the message names it.
        """
        check_length(n_in)
        value, stride = value_and_tensor(stride)
        width = float(smoothness.detach()) if isinstance(smoothness, Tensor) else float(smoothness)
        check_operator(value, width, ramp)
        if isinstance(smoothness, Tensor) and at_moving_bound(n_in, value, width, ramp):
            stride = stride + moving_bound(n_in, smoothness)
        return cls(n_in, output_size(n_in, value, width, ramp), stride, value, smoothness, width, ramp)

    @property
    def n_bins(self) -> int:
        """Count the Fourier bins, from 0 on, that the output is made of."""
        return count_bins(self.n_in, self.n_out, self.ramp)

    @property
    def on_ramp(self) -> tuple[int, int]:
        """Find the first and the last bin that moves with the stride."""
        return on_ramp(self.n_in, self.n_bins, self.stride_value, self.smoothness_value, self.ramp)

    def gains(self) -> Tensor:
        """Compute `m(k)` of every bin, differentiable in stride and smoothness.

        Shape:
            output: `(n_bins,)`.
        """
        n_in, smoothness = self.n_in, self.smoothness
        s_eff = clamp_straight_through(self.stride, *stride_bounds(n_in, self.smoothness_value, self.ramp))
        b = n_in / (2 * s_eff)
        if self.ramp == "inside":
            b = (b - smoothness).clamp(min=0)
        k = torch.arange(self.n_bins, device=self.stride.device)
        line = (smoothness + b - k) / smoothness
        clipped = line.clamp(0, 1)
        if self.ramp != "folded":
            return clipped
        # a bin at an end of the ramp belongs to it: so a ramp of one bin always holds one, and its stride a gradient
        tolerance = EDGE / self.smoothness_value
        at_ramp = (line.detach() >= -tolerance) & (line.detach() <= 1 + tolerance)
        return torch.where(at_ramp, clipped.detach() + (line - line.detach()), clipped.detach())

    @property
    def moves(self) -> bool:
        """Tell whether any gain changes with the stride: if none does, the stride cannot be learned at this size.

        Of one or two samples every stride leaves the same.
        """
        lowest, highest = stride_bounds(self.n_in, self.smoothness_value, self.ramp)
        if lowest >= highest:
            return False
        stride = self.stride.detach().clone().requires_grad_()
        with torch.enable_grad():
            gains = self._replace(stride=stride, smoothness=self.smoothness_value).gains()
            (gradient,) = torch.autograd.grad(gains.sum(), stride)
        return bool(gradient != 0)


def value_and_tensor(stride: float | Tensor) -> tuple[float, Tensor]:
    """Give a stride as a number without a gradient, and as a tensor of real numbers with one."""
    if isinstance(stride, Tensor) and stride.is_floating_point():
        return float(stride.detach()), stride
    return float(stride), torch.tensor(float(stride))
