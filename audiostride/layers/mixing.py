"""Convolve maps along an axis and resample it, channels mixed before or after, whichever is cheaper.

Both operations are linear along the axis. With the shift `D_t` that tap t of the kernel `W_t` makes, and the matrix `A`:

    y = A (sum_t D_t x W_t) = sum_t (A D_t x) W_t

On the left channels are mixed at `n_in` samples, on the right at the fewer that are left, but every tap is resampled.
A shifted signal is a part of the signal, and zeros: `A D_t x` is a product of some columns of `A` and some rows of `x`.

Maps lie in memory as `(outer, sample, inner, channel)`: the axis before all that it is resampled for, which is then one
matrix, and channels last, where they are mixed by one matrix too. So few large products do the work of thousands.
"""

from typing import Any

import torch
from torch import Tensor, nn

from audiostride.layers.fourier import FourierOperator, resample_by_fft
from audiostride.layers.matrices import Operator
from audiostride.layers.resample import AnyOperator, apply_operator, gain_gradients, in_autocast_dtype


def multiply_adds(n_channels_in: int, n_channels_out: int, kernel_size: int, n_in: int, n_out: int) -> tuple[int, int]:
    """Count those of `convolve_and_resample` for a row: if it mixes channels before resampling, and if after it."""
    before = n_channels_out * n_in * (n_channels_in * kernel_size + n_out)
    after = n_channels_in * kernel_size * n_out * (n_in + n_channels_out)
    return before, after


def _overlap(n: int, shift: int) -> tuple[slice, slice]:
    """Give the samples of a shifted signal that are not zeros: where they are, and where they come from."""
    return slice(max(0, -shift), max(0, n - max(0, shift))), slice(max(0, shift), max(0, n - max(0, -shift)))


class _ResampleAndMix(torch.autograd.Function):
    """`sum_t (A D_t x) W_t`, one tap at a time: the taps are larger than the input, so none is kept.

    Shape:
        x: `(outer, n_in, inner, channel_in)`. weight: `(tap, channel_in, channel_out)`.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  what torch applies is called by position
        ctx: Any,
        gains: Tensor | None,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        matrix: Tensor,
        synthesis: Tensor | None,
        analysis: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, matrix, synthesis, analysis)
        outer, n_in, inner, n_channels = x.shape
        columns, resample = x.view(outer, n_in, -1), matrix.to(x.dtype)
        mixed = bias
        for tap, kernel in enumerate(weight):
            to, of = _overlap(n_in, tap - len(weight) // 2)
            resampled = (resample[:, to] @ columns[:, of]).view(-1, n_channels)
            mixed = torch.addmm(mixed, resampled, kernel) if tap == 0 else mixed.addmm_(resampled, kernel)
        return mixed.view(outer, len(matrix), inner, -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, matrix, synthesis, analysis = ctx.saved_tensors
        outer, n_in, _, n_channels = x.shape
        needs_x, needs_weight = ctx.needs_input_grad[1:3]
        columns, resample = x.view(outer, n_in, -1), matrix.to(x.dtype)
        grad_mixed = grad.reshape(-1, weight.shape[2])
        grad_gains = None if analysis is None else analysis.new_zeros(len(analysis) // 2)
        grad_x = torch.zeros_like(columns) if needs_x else None
        grad_weight = torch.empty_like(weight) if needs_weight else None
        for tap, kernel in enumerate(weight):
            to, of = _overlap(n_in, tap - len(weight) // 2)
            if grad_weight is not None:
                resampled = (resample[:, to] @ columns[:, of]).view(-1, n_channels)
                torch.mm(resampled.T, grad_mixed, out=grad_weight[tap])
            if grad_x is None and grad_gains is None:
                continue
            grad_resampled = (grad_mixed @ kernel.T).view(outer, len(matrix), -1)
            if grad_gains is not None:
                grad_gains += gain_gradients(grad_resampled, columns[:, of], synthesis, analysis[:, to])
            if grad_x is not None:
                grad_x[:, of].baddbmm_(resample[:, to].T.expand(outer, -1, -1), grad_resampled)
        return grad_gains, None if grad_x is None else grad_x.view_as(x), grad_weight, grad_mixed.sum(0), None, None, None


def convolve_maps(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve along the samples, zero-padded.

    Shape:
        x: `(outer, sample, inner, channel_in)`. weight: `(channel_out, channel_in, tap)`, an odd number of taps.
        output: `(outer, sample, inner, channel_out)`.
    """
    # to convolutions these are images whose channels come last in memory
    images = x.permute(0, 3, 1, 2)
    return nn.functional.conv2d(images, weight.unsqueeze(3), bias, padding=(weight.shape[2] // 2, 0)).permute(0, 2, 3, 1)


def convolve_and_resample_maps(x: Tensor, weight: Tensor, bias: Tensor, operator: AnyOperator) -> Tensor:
    """Do `convolve_and_resample` for maps as they lie in memory.

    Shape:
        x: `(outer, n_in, inner, channel_in)`, contiguous. output: `(outer, n_out, inner, channel_out)`, contiguous.
    """
    outer, n_in, inner, n_channels = x.shape
    n_channels_out, _, kernel_size = weight.shape
    if isinstance(operator, FourierOperator):
        return resample_by_fft(convolve_maps(x, weight, bias), operator, 1).contiguous()
    before, after = multiply_adds(n_channels, n_channels_out, kernel_size, n_in, operator.n_out)
    if before <= after:
        convolved = convolve_maps(x, weight, bias).contiguous().view(outer, n_in, -1)
        return apply_operator(operator, convolved, "rows").view(outer, operator.n_out, inner, -1)
    matrix, gains, synthesis, analysis = operator
    if gains is None or not torch.is_grad_enabled():
        gains = synthesis = analysis = None
    x, kernels, bias = (in_autocast_dtype(tensor) for tensor in (x, weight.permute(2, 1, 0), bias))
    mixed: Tensor = _ResampleAndMix.apply(gains, x, kernels, bias, matrix, synthesis, analysis)
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
