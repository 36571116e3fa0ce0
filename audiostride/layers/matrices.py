"""The downsampling operators of one axis as real matrices, pure functions of length and stride.

An operator weights the Fourier bins of a signal of length `n_in` by a mask (`audiostride.layers.gains`), and
synthesises `n_out` samples from them. It is linear and real, hence a matrix:

    A[o, i] = 1/n_in * sum_k c_k m(k) cos(2 pi k (o/n_out - i/n_in))
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from audiostride.layers.constants import kept
from audiostride.layers.gains import Mask, check_length, check_operator, spectral_pooling_size, value_and_tensor
from audiostride.layers.precision import without_autocast
from audiostride.vocabulary import SMOOTHNESS, Ramp

N_CACHED_BASES = 256
N_CACHED_MATRICES = 64


@kept(maxsize=N_CACHED_BASES)
def mask_basis(n_in: int, n_out: int, n_bins: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Give synthesis `(n_out, 2 * n_bins)` and analysis `(2 * n_bins, n_in)`, cosines before sines."""
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


def _basis_of(mask: Mask) -> tuple[Tensor, Tensor]:
    return mask_basis(mask.n_in, mask.n_out, mask.n_bins, mask.stride.device, mask.stride.dtype)


def _product(synthesis: Tensor, analysis: Tensor, gains: Tensor) -> Tensor:
    with without_autocast(gains.device):
        return (synthesis * gains.repeat(2)) @ analysis


def downsampling_matrix(
    n_in: int, stride: float | Tensor, smoothness: float | Tensor = SMOOTHNESS, ramp: Ramp = "outside"
) -> Tensor:
    """Give DiffStride along one axis as a matrix, differentiable in the stride and in the smoothness.

    A box of `n_in / (2 stride)` Fourier bins with a linear ramp of `smoothness` bins, in the
    dtype and on the device of `stride` (torch's default dtype for a plain number). No gradient
    flows through the output size; it passes straight through the clamp of the stride.

    Args:
        n_in: samples along the axis, at least 1.
        stride: real stride, at least 1; clamped to what `n_in` allows (`stride_bounds`).
        smoothness: width of the ramp in Fourier bins, above 0.
        ramp: "outside" puts the ramp beyond the box, "inside" within it (smaller maps), "folded" beyond it with the
            map size of a strided convolution: what lies on the ramp folds (`audiostride.layers.gains`).

    Shape:
        output: `(n_out, n_in)`, `n_out` as given by `output_size`.

    Raises:
        ValueError: an argument out of range; the message names it.

    Reference:
        Riad et al., "Learning strides in convolutional neural networks", ICLR 2022.

    >>> downsampling_matrix(100, 2.0).shape
    torch.Size([58, 100])
    """
    mask = Mask.of(n_in, stride, smoothness, ramp)
    return _product(*_basis_of(mask), mask.gains())


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


@kept(maxsize=N_CACHED_BASES)
def ramp_basis(
    n_in: int, n_out: int, n_bins: int, *, first: int, last: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Give the waves of the bins from `first` to `last`."""
    synthesis, analysis = mask_basis(n_in, n_out, n_bins, device, dtype)
    on_ramp = slice(first, last + 1)
    cosines_and_sines = analysis.view(2, n_bins, n_in)[:, on_ramp].reshape(-1, n_in)
    return synthesis.view(n_out, 2, n_bins)[:, :, on_ramp].reshape(n_out, -1), cosines_and_sines


def downsampling_operator(mask: Mask) -> Operator:
    """Give `downsampling_matrix` in the parts that its application needs."""
    (first, last), gains = mask.on_ramp, mask.gains()
    waves = ramp_basis(
        mask.n_in,
        mask.n_out,
        mask.n_bins,
        first=first,
        last=last,
        device=mask.stride.device,
        dtype=mask.stride.dtype,
    )
    return Operator(_product(*_basis_of(mask), gains.detach()), gains[first : last + 1], *waves)


def spectral_pooling_matrix(n_in: int, stride: float | Tensor) -> Tensor:
    """Give spectral pooling along one axis as a matrix: a hard crop of the spectrum, a fixed stride.

    Equals `scipy.signal.resample(x, n_out)`; the identity at stride 1.

    Args:
        n_in: samples along the axis, at least 1.
        stride: real stride, at least 1.

    Shape:
        output: `(n_out, n_in)` with `n_out = min(n_in, max(2, 2 * floor(n_in / (2 * stride))))`.

    Raises:
        ValueError: an argument out of range; the message names it.

    Reference:
        Rippel, Snoek, Adams, "Spectral representations for convolutional neural networks", 2015.

    >>> spectral_pooling_matrix(100, 2.0).shape
    torch.Size([50, 100])
    """
    check_length(n_in)
    value, stride = value_and_tensor(stride)
    check_operator(value)
    return _pooling_matrix(n_in, value, stride.device, stride.dtype)


def _pooling_matrix(n_in: int, stride: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    if stride == 1:
        return torch.eye(n_in, dtype=dtype, device=device)
    n_out = spectral_pooling_size(n_in, stride)
    synthesis, analysis = mask_basis(n_in, n_out, min(n_in, n_out) // 2 + 1, device, dtype)
    with without_autocast(device):
        return synthesis @ analysis


@kept(maxsize=N_CACHED_MATRICES)
def fixed_matrix(
    n_in: int, n_out: int, stride: float, smoothness: float, ramp: Ramp, *, like: tuple[torch.device, torch.dtype]
) -> Tensor:
    """Compute the matrix of a fixed stride once."""
    tensor = torch.tensor(stride, device=like[0], dtype=like[1])
    mask = Mask(n_in, n_out, tensor, stride, smoothness, smoothness, ramp)
    return _product(*_basis_of(mask), mask.gains())


@kept(maxsize=N_CACHED_MATRICES)
def fixed_pooling_matrix(n_in: int, stride: float, like: tuple[torch.device, torch.dtype]) -> Tensor:
    """Compute the matrix of spectral pooling once."""
    return _pooling_matrix(n_in, stride, *like)
