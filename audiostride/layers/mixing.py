"""Convolve maps along an axis and resample it, channels mixed before or after, whichever is cheaper.

Both are linear along the axis. With the shift `D_t` that tap t of the kernel `W_t` makes, and the matrix `A`:

    y = A (sum_t D_t x W_t) = sum_t (A D_t x) W_t

On the left channels are mixed at `n_in` samples, on the right at the fewer that are left, but every tap is resampled.
`A D_t` is `A` with its columns shifted: for all taps they make one matrix, row by row.

Maps lie in memory as `(outer, sample, inner, channel)`: what the axis is resampled for follows it, as columns of one
matrix, and channels are last, where one matrix mixes them. So few large products do the work of a small one per map.
"""

from typing import Any

import torch
from torch import Tensor

from audiostride.layers.constants import kept
from audiostride.layers.convolution import convolve_maps
from audiostride.layers.fourier import FourierOperator, resample_by_fft
from audiostride.layers.matrices import N_CACHED_BASES
from audiostride.layers.precision import in_autocast_dtype
from audiostride.layers.reading import is_differentiated
from audiostride.layers.resample import AnyOperator, apply_operator, gain_gradients


def multiply_adds(n_channels_in: int, n_channels_out: int, kernel_size: int, n_in: int, n_out: int) -> tuple[int, int]:
    """Count those of `convolve_and_resample` for a row: if it mixes channels before resampling, and if after it."""
    before = n_channels_out * n_in * (n_channels_in * kernel_size + n_out)
    after = n_channels_in * kernel_size * n_out * (n_in + n_channels_out)
    return before, after


def mixes_late(n_channels_in: int, n_channels_out: int, kernel_size: int, n_in: int, n_out: int) -> bool:
    """Tell whether to mix after resampling.

    In training every product has two more for its gradients, and the taps are computed again.
    """
    before, after = multiply_adds(n_channels_in, n_channels_out, kernel_size, n_in, n_out)
    again = n_channels_in * kernel_size * n_out * n_in if torch.is_grad_enabled() else 0
    return 3 * after + again < 3 * before


@kept(maxsize=N_CACHED_BASES)
def _zeros(n_rows: int, n_columns: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.zeros(n_rows, n_columns, device=device, dtype=dtype)


def shifted_rows(matrix: Tensor, kernel_size: int) -> Tensor:
    """Give every row of a matrix after a shift by every tap of a zero-padded kernel.

    A convolution whose stride is the size of the kernel mixes channels after resampling with it.

    Shape:
        matrix: `(row, n_in)`. output: `(row * tap, n_in)`.
    """
    n_rows, n_in = matrix.shape
    side_by_side = []
    for shift in range(kernel_size // 2, -(kernel_size // 2) - 1, -1):
        n_lost = min(abs(shift), n_in)
        rest = matrix[:, n_lost:] if shift > 0 else matrix[:, : n_in - n_lost]
        zeros = _zeros(n_rows, n_lost, matrix.device, matrix.dtype)
        side_by_side += [rest, zeros] if shift > 0 else [zeros, rest]
    return torch.cat(side_by_side, dim=1).view(-1, n_in)


@kept(maxsize=N_CACHED_BASES)
def _shifted_waves(analysis: Tensor, kernel_size: int) -> Tensor:
    """Do the same for waves, which are constants: they are known by their place in memory."""
    return shifted_rows(analysis, kernel_size)


def _resampled_taps(x: Tensor, matrices: Tensor, n_taps: int) -> Tensor:
    """Resample for every tap: `(outer, n_in, inner, channel)` to `(outer * n_out * inner, tap * channel)`."""
    taps = (matrices @ x.flatten(2)).view(len(x), -1, n_taps, *x.shape[2:])
    if x.shape[3] == 1:  # rows of a few numbers: the taps are moved as they are, and the product reads them transposed
        return taps.permute(2, 0, 1, 3, 4).reshape(n_taps, -1).T
    return taps.transpose(2, 3).reshape(-1, n_taps * x.shape[3])


def _gradient_of_taps(grad: Tensor, kernels: Tensor, shape: torch.Size, n_taps: int) -> Tensor:
    """Give the gradient in what the matrices find in `x`, of `shape`: `(outer, n_out * tap, inner * channel)`."""
    outer, _, inner, n_channels = shape
    if n_channels == 1:
        taps = (kernels.T @ grad.T).view(n_taps, outer, -1, inner).permute(1, 2, 0, 3)
    else:
        taps = (grad @ kernels).view(outer, -1, inner, n_taps, n_channels).transpose(2, 3)
    return taps.reshape(outer, -1, inner * n_channels)


class _ResampleAndMix(torch.autograd.Function):
    """`sum_t (A D_t x) W_t`, one product for all taps, which are larger than `x`: not kept, but computed again.

    Shape:
        x: `(outer, n_in, inner, channel_in)`. kernels: `(channel_out, tap * channel_in)`.
        matrices: `(n_out * tap, n_in)`. synthesis: `(n_out, waves)`. analysis: `(waves * tap, n_in)`.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  what torch applies is called by position
        ctx: Any,
        gains: Tensor | None,
        x: Tensor,
        kernels: Tensor,
        bias: Tensor,
        matrices: Tensor,
        synthesis: Tensor | None,
        analysis: Tensor | None,
    ) -> Tensor:
        matrices = matrices.to(x.dtype)
        ctx.save_for_backward(x, kernels, matrices, synthesis, analysis)
        ctx.n_taps = kernels.shape[1] // x.shape[3]
        mixed = torch.addmm(bias, _resampled_taps(x, matrices, ctx.n_taps), kernels.T)
        return mixed.view(len(x), -1, x.shape[2], len(kernels))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, kernels, matrices, synthesis, analysis = ctx.saved_tensors
        _, needs_x, needs_kernels, needs_bias, *_ = ctx.needs_input_grad
        grad_gains = grad_x = grad_kernels = None
        grad_mixed = grad.reshape(-1, len(kernels))
        if needs_kernels:
            grad_kernels = grad_mixed.T @ _resampled_taps(x, matrices, ctx.n_taps)
        if needs_x or analysis is not None:
            grad_taps = _gradient_of_taps(grad_mixed, kernels, x.shape, ctx.n_taps)
            if analysis is not None:
                grad_gains = gain_gradients(grad_taps, x.flatten(2), synthesis, analysis)
            if needs_x:
                grad_x = (matrices.T @ grad_taps).view_as(x)
        return grad_gains, grad_x, grad_kernels, grad_mixed.sum(0) if needs_bias else None, None, None, None


def convolve_and_resample_maps(x: Tensor, weight: Tensor, bias: Tensor, operator: AnyOperator) -> Tensor:
    """Do `convolve_and_resample` for maps as they lie in memory.

    Shape:
        x: `(outer, n_in, inner, channel_in)`, contiguous. output: `(outer, n_out, inner, channel_out)`, contiguous.
    """
    outer, n_in, inner, n_channels = x.shape
    n_channels_out, _, kernel_size = weight.shape
    if isinstance(operator, FourierOperator):
        return resample_by_fft(convolve_maps(x, weight, bias), operator, 1).contiguous()
    if not mixes_late(n_channels, n_channels_out, kernel_size, n_in, operator.n_out):
        convolved = convolve_maps(x, weight, bias).contiguous().view(outer, n_in, -1)
        return apply_operator(operator, convolved, "rows").view(outer, operator.n_out, inner, -1)
    matrix, gains, synthesis, analysis = operator
    if gains is None or analysis is None or not is_differentiated(gains):
        gains = synthesis = analysis = None
    else:
        analysis = _shifted_waves(analysis, kernel_size)
    matrices, kernels = shifted_rows(matrix, kernel_size), weight.permute(0, 2, 1).reshape(n_channels_out, -1)
    x, kernels, bias = (in_autocast_dtype(tensor) for tensor in (x, kernels, bias))
    mixed: Tensor = _ResampleAndMix.apply(gains, x, kernels, bias, matrices, synthesis, analysis)
    return mixed


def convolve_and_resample(x: Tensor, weight: Tensor, bias: Tensor, operator: AnyOperator) -> Tensor:
    """Convolve maps along their last axis, zero-padded, and multiply a matrix onto that axis.

    Args:
        operator: the rows of its matrix sum to 1, so that it leaves the bias as it is.

    Shape:
        x: `(batch, channel_in, row, n_in)`. weight: `(channel_out, channel_in, tap)`, an odd number of taps.
        bias: `(channel_out,)`. output: `(batch, channel_out, n_out, row)`.
    """
    batch, n_channels, n_rows, n_in = x.shape
    maps = x.permute(3, 2, 0, 1).reshape(1, n_in, n_rows * batch, n_channels).contiguous()
    resampled = convolve_and_resample_maps(maps, weight, bias, operator)
    return resampled.view(operator.n_out, n_rows, batch, -1).permute(2, 3, 0, 1)
