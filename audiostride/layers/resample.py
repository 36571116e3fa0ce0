"""Apply a matrix along one axis of maps, also together with a convolution along that axis.

The matrix is `A(s) = S diag(m(s)) B`: the waves of analysis `B (2 * n_bins, n_in)`, the gains `m` of the bins, each for
its cosine and its sine, and the waves of synthesis `S (n_out, 2 * n_bins)`. For maps `x` and `y = A x`, with
the gradient `g` of the loss in `y`:

- the gradient in `x` is `A^T g`, a product like the forward one;
- the gradient in the gain of bin k is `sum (S_k^T g) (B_k x)` over its cosine and sine and over all maps: how much the
  loss asks for wave k, times how much of wave k is in the input.

A stride moves the gains on its ramp alone, so only their waves count: a few rows of `B` and columns of `S`, called
`analysis` and `synthesis` here. `B x` is a few numbers per map. It is computed in the forward pass and kept in place of
`x`, which saves most of the memory. From the gains on, torch's own differentiation goes on to the stride.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from audiostride.layers.fourier import FourierOperator, resample_by_fft
from audiostride.layers.matrices import Operator

Layout = Literal["rows", "swapped", "last"]
AnyOperator = Operator | FourierOperator

VECTOR = 16  # columns that a product computes at once: 16 of them take half the time of 10


def _multiply(matrix: Tensor, x: Tensor, layout: Layout) -> Tensor:
    if layout == "last":
        return x @ matrix.T
    return matrix @ (x.mT if layout == "swapped" else x)


class _Product(torch.autograd.Function):
    """A matrix times a stack of maps: `A @ x` ("rows"), `A @ x.mT` ("swapped") or `x @ A.T` ("last").

    What is kept for the gradient of the stride is what the waves on the ramp find in `x`, a few numbers per column,
    or `x` itself where that is smaller. With `x`, on short axes and for wide ramps, the gradient of the whole matrix
    is the smaller product, of which the waves are then taken.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  what torch applies is called by position
        ctx: Any,
        gains: Tensor | None,
        x: Tensor,
        matrix: Tensor,
        synthesis: Tensor | None,
        analysis: Tensor | None,
        layout: Layout,
        keeps_input: bool,  # noqa: FBT001
    ) -> Tensor:
        kept = None  # what the backward pass needs of x: (..., 2 * n_ramp) coefficients, or x itself
        if analysis is not None and synthesis is not None and layout == "last":
            # waves of zeros fill the last vector; `n_waves` tells the true ones
            ctx.n_waves, n_more = len(analysis), -len(analysis) % VECTOR
            synthesis, analysis = (
                nn.functional.pad(synthesis, (0, n_more)),
                nn.functional.pad(analysis, (0, 0, 0, n_more)),
            )
        # the coefficients are kept where they are fewer than the samples of x, and x is not kept anyway
        ctx.keeps_input = keeps_input or (analysis is not None and len(analysis) >= matrix.shape[1])
        if analysis is not None:
            kept = x if ctx.keeps_input else _multiply(analysis.to(x.dtype), x, layout)
        ctx.save_for_backward(matrix, synthesis, analysis, kept)
        ctx.layout = layout
        return _multiply(matrix.to(x.dtype), x, layout)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        matrix, synthesis, analysis, kept = ctx.saved_tensors  # (n_out, n_in), (n_out, waves), (waves, n_in), (...)
        layout: Layout = ctx.layout
        weights = matrix.to(grad.dtype)
        grad_gains = grad_x = None  # (n_ramp,), and the shape of x
        if ctx.needs_input_grad[1]:
            grad_x = weights.T @ grad if layout == "rows" else (grad.mT if layout == "swapped" else grad) @ weights
        if kept is not None:
            # how much of every wave is in the input: (map, waves, column) for rows, (..., waves) for last
            coefficients = _multiply(analysis.to(kept.dtype), kept, layout) if ctx.keeps_input else kept
            waves = synthesis.to(grad.dtype)
            if layout == "last":
                wave_gradients = (
                    ((grad @ waves) * coefficients).flatten(0, -2).sum(0, dtype=matrix.dtype)[: ctx.n_waves]
                )
            else:
                maps = grad.reshape(-1, len(waves), grad.shape[-1])  # a map per tap of the kernel, if there are any
                wave_gradients = ((waves.T @ maps) * coefficients.view(len(maps), -1, coefficients.shape[-1])).sum(
                    (0, 2), dtype=matrix.dtype
                )
            grad_gains = wave_gradients.view(2, -1).sum(0)  # the cosine and the sine of a bin share its gain
        return grad_gains, grad_x, None, None, None, None, None


def _apply(operator: Operator, maps: Tensor, layout: Layout, *, keeps_input: bool = False) -> Tensor:
    """Apply an operator in the dtype of autocast, if it is on; the gradient of the gains is summed in their own.

    Args:
        keeps_input: whether the maps are there for the backward pass in any case.
    """
    if torch.is_autocast_enabled(maps.device.type):
        maps = maps.to(torch.get_autocast_dtype(maps.device.type))
    matrix, gains, synthesis, analysis = operator
    if gains is None or not torch.is_grad_enabled():
        gains = synthesis = analysis = None
    product: Tensor = _Product.apply(gains, maps, matrix, synthesis, analysis, layout, keeps_input)
    return product


def resample_axis(x: Tensor, operator: AnyOperator, axis: int) -> Tensor:
    """Multiply the matrix of `operator` onto one axis of `x`; the other axes stay as they are.

    Shape:
        x: `(..., n_in, ...)`. output: `(..., n_out, ...)`.

    >>> resample_axis(torch.ones(5, 4, 3), Operator(torch.ones(2, 4)), axis=-2).shape
    torch.Size([5, 2, 3])
    """
    if isinstance(operator, FourierOperator):
        return resample_by_fft(x, operator, axis)
    axis %= x.ndim
    if axis == x.ndim - 1:
        return _apply(operator, x, "last")
    folded = x.reshape(-1, x.shape[axis], math.prod(x.shape[axis + 1 :]))
    return _apply(operator, folded, "rows").view(*x.shape[:axis], operator.n_out, *x.shape[axis + 1 :])


def multiply_adds(n_channels_in: int, n_channels_out: int, kernel_size: int, n_in: int, n_out: int) -> tuple[int, int]:
    """Count those of `convolve_and_resample` for a row: if it mixes channels before resampling, and if after it."""
    before = n_channels_out * n_in * (n_channels_in * kernel_size + n_out)
    after = n_channels_in * kernel_size * n_out * (n_in + n_channels_out)
    return before, after


def _shifted(matrix: Tensor, kernel_size: int) -> Tensor:
    """Give the matrix after a shift by every tap of a kernel, one above the other: `(kernel_size * n_out, n_in)`."""
    n_in, half = matrix.shape[1], kernel_size // 2
    padded = nn.functional.pad(matrix, (half, half))
    return torch.cat([padded[:, 2 * half - tap :][:, :n_in] for tap in range(kernel_size)])


def _resample_and_mix(x: Tensor, weight: Tensor, bias: Tensor, operator: Operator) -> Tensor:
    """`convolve_and_resample` in the order that resamples for every tap of the kernel, then mixes channels and taps."""
    batch, n_channels, n_rows, n_in = x.shape
    n_out, (n_channels_out, _, kernel_size) = operator.n_out, weight.shape
    matrix, gains, synthesis, analysis = operator
    waves = None if analysis is None else _shifted(analysis, kernel_size)
    shifted = Operator(_shifted(matrix, kernel_size), gains, synthesis, waves)
    taps = _apply(shifted, x.reshape(-1, n_rows, n_in), "swapped", keeps_input=True)
    taps = taps.view(batch, n_channels * kernel_size, n_out * n_rows)
    mixed = nn.functional.conv1d(taps, weight.reshape(n_channels_out, -1, 1), bias)
    return mixed.view(batch, n_channels_out, n_out, n_rows)


def convolve_and_resample(x: Tensor, weight: Tensor, bias: Tensor, operator: AnyOperator) -> Tensor:
    """Convolve maps along their last axis, zero-padded, and multiply a matrix onto that axis.

    The two commute up to a matrix per tap of the kernel, so channels are mixed before or after resampling, whichever
    is cheaper. The axes of the output are swapped: so nothing is copied, and the next convolution, along the other
    axis, finds that one last.

    Args:
        operator: the rows of its matrix sum to 1, so that it leaves the bias as it is.

    Shape:
        x: `(batch, channel_in, row, n_in)`. weight: `(channel_out, channel_in, tap)`, an odd number of taps.
        bias: `(channel_out,)`. output: `(batch, channel_out, n_out, row)`.
    """
    batch, n_channels, n_rows, n_in = x.shape
    n_out, (n_channels_out, _, kernel_size) = operator.n_out, weight.shape
    if isinstance(operator, FourierOperator):
        convolved = nn.functional.conv2d(x, weight.unsqueeze(2), bias, padding=(0, kernel_size // 2))
        return resample_by_fft(convolved, operator, -1).mT
    before, after = multiply_adds(n_channels, n_channels_out, kernel_size, n_in, n_out)
    if after < before:
        if not torch.is_grad_enabled():
            return _resample_and_mix(x, weight, bias, operator)
        # the taps are larger than the input: kept is the input, and they are computed again when they are needed
        mixed: Tensor = checkpoint(
            _resample_and_mix, x, weight, bias, operator, use_reentrant=False, preserve_rng_state=False
        )
        return mixed
    convolved = nn.functional.conv2d(x, weight.unsqueeze(2), bias, padding=(0, kernel_size // 2))
    maps = _apply(operator, convolved.reshape(-1, n_rows, n_in), "swapped")
    return maps.view(batch, n_channels_out, n_out, n_rows)
