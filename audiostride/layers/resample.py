"""Apply a matrix along one axis of maps.

The matrix is `A(s) = S diag(m(s)) B`: the waves of analysis `B (2 * n_bins, n_in)`, the gains `m` of the bins, each for
its cosine and its sine, and the waves of synthesis `S (n_out, 2 * n_bins)`. For maps `x` and `y = A x`, with
the gradient `g` of the loss in `y`:

- the gradient in `x` is `A^T g`, a product like the forward one;
- the gradient in the gain of bin k is `sum (S_k^T g) (B_k x)` over its cosine and sine and over all maps: how much the
  loss asks for wave k, times how much of wave k is in the input.

A stride moves the gains on its ramp alone, so only their waves count: a few rows of `B` and columns of `S`, called
`analysis` and `synthesis` here. `B x` is a few numbers per map. It is computed in the forward pass and kept in place of
`x`, which saves most of the memory. From the gains on, torch's own differentiation goes on to the stride.

The sum over maps can be taken first, too: `S_k^T (sum g x^T) B_k^T`. Where the waves are many for the axis, that is the
smaller product.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from audiostride.layers.fourier import FourierOperator, resample_by_fft
from audiostride.layers.matrices import Operator

Layout = Literal["rows", "last"]
AnyOperator = Operator | FourierOperator

VECTOR = 16  # columns that a product computes at once: 16 of them take half the time of 10


def _multiply(matrix: Tensor, x: Tensor, layout: Layout) -> Tensor:
    return x @ matrix.T if layout == "last" else matrix @ x


def _sum_bins(products: Tensor, dtype: torch.dtype) -> Tensor:
    """Add over all maps and columns, and the cosine and the sine of every bin, which share its gain.

    Shape:
        products: `(map, 2 * n_bins, column)`. output: `(n_bins,)`.
    """
    n_maps, n_waves, n_columns = products.shape
    return products.reshape(n_maps, 2, n_waves // 2, n_columns).sum((0, 1, 3), dtype=dtype)


def gain_gradients(grad: Tensor, x: Tensor, synthesis: Tensor, analysis: Tensor) -> Tensor:
    """Compute the gradient in the gains of the bins on the ramp from that in `y = A x`.

    Several matrices that share their gains and `synthesis`, as for the taps of a kernel, may be mixed row by row.

    Shape:
        grad: `(map, n_out * matrix, column)`. x: `(map, n_in, column)`. synthesis: `(n_out, 2 * n_ramp)`.
        analysis: `(2 * n_ramp * matrix, n_in)`. output: `(n_ramp,)`, in the dtype of the waves.
    """
    (n_out, n_waves), n_in = synthesis.shape, analysis.shape[1]
    # half precision cannot hold a sum over all maps: what is on the ramp is a small part of it
    if grad.dtype == analysis.dtype and n_out * n_in < n_waves * (n_out + n_in):
        of_maps = grad @ x.mT
        whole = of_maps[0] if len(x) == 1 else of_maps.sum(0)  # (n_out * matrix, n_in)
        asked = synthesis.T @ whole.view(n_out, -1)
        return _sum_bins((asked * analysis.view_as(asked))[None], analysis.dtype)
    asked = synthesis.T.to(grad.dtype) @ grad.view(len(grad), n_out, -1)  # (map, wave, matrix * column)
    found = (analysis.to(x.dtype) @ x).view_as(asked)
    return _sum_bins(asked * found, analysis.dtype)


class _Product(torch.autograd.Function):
    """A matrix times a stack of maps: `A @ x` ("rows") or `x @ A.T` ("last").

    What is kept for the gradient of the stride is what the waves on the ramp find in `x`, a few numbers per column,
    or `x` itself where that is smaller.
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
    ) -> Tensor:
        kept = None  # what the backward pass needs of x: (..., 2 * n_ramp) coefficients, or x itself
        if analysis is not None and synthesis is not None and layout == "last":
            # waves of zeros fill the last vector; `n_waves` tells the true ones
            ctx.n_waves, n_more = len(analysis), -len(analysis) % VECTOR
            synthesis, analysis = (
                nn.functional.pad(synthesis, (0, n_more)),
                nn.functional.pad(analysis, (0, 0, 0, n_more)),
            )
        # the coefficients are kept where they are fewer than the samples of x
        ctx.keeps_input = analysis is not None and len(analysis) >= matrix.shape[1]
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
            grad_x = weights.T @ grad if layout == "rows" else grad @ weights
        if kept is not None and layout == "rows" and ctx.keeps_input:
            grad_gains = gain_gradients(grad, kept, synthesis, analysis)
        elif kept is not None:
            # how much of every wave is in the input: (map, waves, column) for rows, (..., waves) for last
            coefficients = _multiply(analysis.to(kept.dtype), kept, layout) if ctx.keeps_input else kept
            asked = _multiply(synthesis.T.to(grad.dtype), grad, layout)
            products = asked * coefficients
            if layout == "last":  # (..., waves): rows are added first, which are many
                products = products.flatten(0, -2).sum(0, dtype=matrix.dtype)[None, : ctx.n_waves, None]
            grad_gains = _sum_bins(products, matrix.dtype)
        return grad_gains, grad_x, None, None, None, None


def in_autocast_dtype(x: Tensor) -> Tensor:
    """Convert to the dtype of autocast, if it is on."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


def apply_operator(operator: Operator, maps: Tensor, layout: Layout) -> Tensor:
    """Apply an operator in the dtype of autocast, if it is on; the gradient of the gains is summed in their own.

    Shape:
        maps: `(map, n_in, column)` for the layout "rows", `(..., n_in)` for "last".
    """
    matrix, gains, synthesis, analysis = operator
    if gains is None or not torch.is_grad_enabled():
        gains = synthesis = analysis = None
    product: Tensor = _Product.apply(gains, in_autocast_dtype(maps), matrix, synthesis, analysis, layout)
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
        return apply_operator(operator, x, "last")
    folded = x.reshape(-1, x.shape[axis], math.prod(x.shape[axis + 1 :]))
    return apply_operator(operator, folded, "rows").view(*x.shape[:axis], operator.n_out, *x.shape[axis + 1 :])
