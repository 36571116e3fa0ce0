"""The downsampling operators of one axis as real matrices, pure functions of length and stride.

An operator keeps the first Fourier bins of a signal of length ``n_in``, weights them, and
synthesises ``n_out`` samples from them. It is linear and real, hence a matrix:

    A[o, i] = 1/n_in * sum_k c_k m(k) cos(2 pi k (o/n_out - i/n_in))
"""

import math
from functools import lru_cache
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from audiostride.vocabulary import SMOOTHNESS, Ramp

RAMPS: tuple[Ramp, ...] = get_args(Ramp)
N_CACHED_BASES = 256
N_CACHED_MATRICES = 64
EDGE = 1e-3  # of a bin: so near to an end of the ramp a bin belongs to it, whatever was rounded


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

    The lower bound keeps the outside ramp touching the highest bins, so that a stride near 1
    still receives a gradient. Where the two bounds cross (one or two samples) the upper one wins.
    """
    lower = n_in / (n_in - min(smoothness, n_in / 4)) if ramp == "outside" else 1.0
    return lower, n_in / 2


def clamp_straight_through(stride: Tensor, lower: float, upper: float) -> Tensor:
    """`stride` clamped to `[lower, upper]` (upper wins), its gradient as if it were not clamped."""
    clamped = stride.detach().clamp(min=lower).clamp(max=upper)
    # not stride + (clamped - stride): that would round the value
    return clamped + (stride - stride.detach())


def effective_stride(stride: float, n_in: int, smoothness: float = SMOOTHNESS, ramp: Ramp = "outside") -> float:
    """Give the stride that the operator realises on `n_in` samples: `stride` within `stride_bounds`."""
    lower, upper = stride_bounds(n_in, smoothness, ramp)
    return min(max(stride, lower), upper)


def half_bandwidth(stride: float, n_in: int, smoothness: float = SMOOTHNESS, ramp: Ramp = "outside") -> float:
    """Give bins that pass unattenuated, `b`; the ramp then falls to zero at `b + smoothness`."""
    b = n_in / (2 * effective_stride(stride, n_in, smoothness, ramp))
    return b if ramp == "outside" else max(b - smoothness, 0.0)


def output_size(n_in: int, stride: float, smoothness: float = SMOOTHNESS, ramp: Ramp = "outside") -> int:
    """Give samples that `downsampling_matrix` leaves of `n_in`: about `n / s + 2 R` (outside), `n / s` (inside)."""
    end = half_bandwidth(stride, n_in, smoothness, ramp) + smoothness
    n_kept = min(n_in // 2 + 1, math.ceil(end))  # bins k with k < end, that is m(k) > 0
    return min(n_in, 2 * n_kept)


def spectral_pooling_size(n_in: int, stride: float) -> int:
    """Give samples that `spectral_pooling_matrix` leaves of `n_in`."""
    return n_in if stride == 1 else max(2, 2 * math.floor(n_in / (2 * stride)))


@lru_cache(maxsize=N_CACHED_BASES)
def _basis(n_in: int, n_out: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Give synthesis `(n_out, 2 * n_bins)` and analysis `(2 * n_bins, n_in)`, cosines before sines."""
    n_bins = min(n_in, n_out) // 2 + 1
    # ordinary tensors even if first asked for in inference mode: training may need them later
    with torch.inference_mode(mode=False), torch.no_grad():
        k = torch.arange(n_bins, device=device)

        def waves(n: int) -> Tensor:
            # the phase modulo n is exact in integers; cosines of large arguments are not
            phase = (torch.arange(n, device=device)[:, None] * k % n).double() * (2 * math.pi / n)
            return torch.cat([phase.cos(), phase.sin()], dim=1)

        c = torch.full((n_bins,), 2.0, dtype=torch.float64, device=device)
        c[0] = 1
        if n_in % 2 == 0 and n_bins > n_in // 2:
            c[n_in // 2] = 1  # the Nyquist bin of the input is its own mirror image
        analysis = (waves(n_in) * c.repeat(2) / n_in).T.contiguous()
        return waves(n_out).to(dtype), analysis.to(dtype)


def _value_and_tensor(stride: float | Tensor) -> tuple[float, Tensor]:
    """Give a stride as a number without a gradient, and as a tensor of real numbers with one."""
    if isinstance(stride, Tensor) and stride.is_floating_point():
        return float(stride.detach()), stride
    return float(stride), torch.tensor(float(stride))


def _check_length(n_in: int) -> None:
    if n_in < 1:
        raise ValueError(f"n_in must be at least 1 sample, got {n_in}: the axis is empty")


def downsampling_gains(n_in: int, stride: Tensor, smoothness: float, ramp: Ramp, n_bins: int) -> Tensor:
    """Compute `m(k)` of the first `n_bins` bins, differentiable in the stride."""
    s_eff = clamp_straight_through(stride, *stride_bounds(n_in, smoothness, ramp))
    b = n_in / (2 * s_eff)
    if ramp == "inside":
        b = (b - smoothness).clamp(min=0)
    k = torch.arange(n_bins, device=stride.device)
    return ((smoothness + b - k) / smoothness).clamp(0, 1)


def _product(synthesis: Tensor, gains: Tensor, analysis: Tensor) -> Tensor:
    with torch.autocast(gains.device.type, enabled=False):  # a matrix in half precision would be a blurred one
        return (synthesis * gains.repeat(2)) @ analysis


def downsampling_matrix(
    n_in: int, stride: float | Tensor, smoothness: float = SMOOTHNESS, ramp: Ramp = "outside"
) -> Tensor:
    """Give DiffStride along one axis as a matrix, differentiable in the stride.

    A box of `n_in / (2 stride)` Fourier bins with a linear ramp of `smoothness` bins, in the
    dtype and on the device of `stride` (torch's default dtype for a plain number). No gradient
    flows through the output size; it passes straight through the clamp of the stride.

    Args:
        n_in: samples along the axis, at least 1.
        stride: real stride, at least 1; clamped to what `n_in` allows (`stride_bounds`).
        smoothness: width of the ramp in Fourier bins, above 0.
        ramp: "outside" puts the ramp beyond the box, "inside" within it (smaller maps).

    Shape:
        output: `(n_out, n_in)`, `n_out` as given by `output_size`.

    Raises:
        ValueError: an argument out of range; the message names it.

    Reference:
        Riad et al., "Learning strides in convolutional neural networks", ICLR 2022.

    >>> downsampling_matrix(100, 2.0).shape
    torch.Size([58, 100])
    """
    _check_length(n_in)
    value, stride = _value_and_tensor(stride)
    check_operator(value, smoothness, ramp)
    synthesis, analysis = _basis(n_in, output_size(n_in, value, smoothness, ramp), stride.device, stride.dtype)
    gains = downsampling_gains(n_in, stride, smoothness, ramp, n_bins=len(analysis) // 2)
    return _product(synthesis, gains, analysis)


class Operator(NamedTuple):
    """A downsampling matrix, and how it moves with its stride.

    Only the bins on the ramp change with the stride, so the gradient needs what a few waves find in the input, not
    the input: the change of `matrix` is `synthesis @ diag(change of gains, twice) @ analysis`.

    Shape:
        matrix: `(n_out, n_in)`, without a gradient. gains: `(n_ramp,)`, differentiable, or None for a stride that
        is not learned. synthesis: `(n_out, 2 * n_ramp)`. analysis: `(2 * n_ramp, n_in)`, cosines before sines.
    """

    matrix: Tensor
    gains: Tensor | None = None
    synthesis: Tensor | None = None
    analysis: Tensor | None = None

    @property
    def n_out(self) -> int:
        """Count the samples that come out."""
        return len(self.matrix)


@lru_cache(maxsize=N_CACHED_BASES)
def _ramp_basis(
    n_in: int, n_out: int, *, first: int, last: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Give the waves of the bins from `first` to `last`."""
    synthesis, analysis = _basis(n_in, n_out, device, dtype)
    with torch.inference_mode(mode=False), torch.no_grad():
        k = torch.arange(len(analysis), device=device) % (len(analysis) // 2)
        kept = (first <= k) & (k <= last)
        return synthesis[:, kept].contiguous(), analysis[kept].contiguous()


def downsampling_operator(n_in: int, stride: Tensor, value: float, smoothness: float, ramp: Ramp) -> Operator:
    """`downsampling_matrix` in the parts that its application needs.

    Args:
        stride: 0-d, its gradient as of `downsampling_matrix`.
        value: of the stride, known without waiting for the device.
    """
    check_operator(value, smoothness, ramp)
    n_out = output_size(n_in, value, smoothness, ramp)
    synthesis, analysis = _basis(n_in, n_out, stride.device, stride.dtype)
    n_bins = len(analysis) // 2
    gains = downsampling_gains(n_in, stride, smoothness, ramp, n_bins)
    b = half_bandwidth(value, n_in, smoothness, ramp)
    first = math.ceil(b - EDGE)
    last = min(n_bins - 1, math.floor(b + smoothness + EDGE))
    waves = _ramp_basis(n_in, n_out, first=first, last=last, device=stride.device, dtype=stride.dtype)
    return Operator(_product(synthesis, gains.detach(), analysis), gains[first : last + 1], *waves)


def spectral_pooling_matrix(n_in: int, stride: float | Tensor) -> Tensor:
    """Give spectral pooling along one axis as a matrix: a hard crop of the spectrum, a fixed stride.

    Equals `scipy.signal.resample(x, n_out)`; the identity at stride 1.

    Args:
        n_in: samples along the axis, at least 1.
        stride: real stride, at least 1.

    Shape:
        output: `(n_out, n_in)` with `n_out = max(2, 2 * floor(n_in / (2 * stride)))`.

    Raises:
        ValueError: an argument out of range; the message names it.

    Reference:
        Rippel, Snoek, Adams, "Spectral representations for convolutional neural networks", 2015.

    >>> spectral_pooling_matrix(100, 2.0).shape
    torch.Size([50, 100])
    """
    _check_length(n_in)
    value, stride = _value_and_tensor(stride)
    check_operator(value)
    if value == 1:
        return torch.eye(n_in, dtype=stride.dtype, device=stride.device)
    synthesis, analysis = _basis(n_in, spectral_pooling_size(n_in, value), stride.device, stride.dtype)
    with torch.autocast(stride.device.type, enabled=False):
        return synthesis @ analysis


@lru_cache(maxsize=N_CACHED_MATRICES)
def fixed_matrix(
    n_in: int, stride: float, smoothness: float | None, ramp: Ramp, *, like: tuple[torch.device, torch.dtype]
) -> Tensor:
    """Compute the matrix of a fixed stride once; without a `smoothness` that of spectral pooling."""
    # an ordinary tensor even if first asked for in inference mode
    with torch.inference_mode(mode=False), torch.no_grad():
        value = torch.tensor(stride, device=like[0], dtype=like[1])
        if smoothness is None:
            return spectral_pooling_matrix(n_in, value)
        return downsampling_matrix(n_in, value, smoothness, ramp)
