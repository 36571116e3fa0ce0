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
from audiostride.layers.precision import in_autocast_dtype
from audiostride.layers.reading import is_differentiated

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
    """A matrix times a stack of maps, `A @ x` ("rows") or `x @ A.T` ("last"), and what the gradient of the gains needs.

    That is what the waves on the ramp find in `x`, a few numbers per column. None in place of it stands for `x` itself,
    where that is smaller.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(  # noqa: PLR0917  what torch applies is called by position
        gains: Tensor, x: Tensor, matrix: Tensor, synthesis: Tensor, analysis: Tensor, layout: Layout
    ) -> tuple[Tensor, Tensor | None]:
        keeps_input = len(analysis) >= matrix.shape[1]
        coefficients = None if keeps_input else _multiply(analysis.to(x.dtype), x, layout)
        return _multiply(matrix.to(x.dtype), x, layout), coefficients

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor | None]) -> None:
        gains, x, matrix, synthesis, analysis, ctx.layout = inputs
        ctx.n_waves, coefficients = 2 * len(gains), output[1]
        if coefficients is not None:
            ctx.mark_non_differentiable(coefficients)
        ctx.set_materialize_grads(False)
        ctx.keeps_input = coefficients is None
        ctx.save_for_backward(matrix, synthesis, analysis, x if coefficients is None else coefficients)
        ctx.save_for_forward(x, matrix, synthesis, analysis)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 6
        matrix, synthesis, analysis, kept = ctx.saved_tensors  # (n_out, n_in), (n_out, waves), (waves, n_in), (...)
        layout: Layout = ctx.layout
        weights = matrix.to(grad.dtype)
        grad_gains = grad_x = None  # (n_ramp,), and the shape of x
        if ctx.needs_input_grad[1]:
            grad_x = weights.T @ grad if layout == "rows" else grad @ weights
        if ctx.needs_input_grad[0] and layout == "rows" and ctx.keeps_input:
            grad_gains = gain_gradients(grad, kept, synthesis, analysis)
        elif ctx.needs_input_grad[0]:
            # how much of every wave is in the input: (map, waves, column) for rows, (..., waves) for last
            coefficients = _multiply(analysis.to(kept.dtype), kept, layout) if ctx.keeps_input else kept
            asked = _multiply(synthesis.T.to(grad.dtype), grad, layout)
            products = asked * coefficients
            if layout == "last":  # (..., waves): rows are added first, which are many
                products = products.flatten(0, -2).sum(0, dtype=matrix.dtype)[None, : ctx.n_waves, None]
            grad_gains = _sum_bins(products, matrix.dtype)
        return grad_gains, grad_x, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, of_gains: Tensor | None, of_x: Tensor | None, *_: None) -> tuple[Tensor, None]:
        x, matrix, synthesis, analysis = ctx.saved_tensors
        layout: Layout = ctx.layout
        moved = torch.zeros_like(matrix)
        if of_gains is not None:
            waves = slice(0, ctx.n_waves)
            moved = (synthesis[:, waves] * of_gains.repeat(2)) @ analysis[waves]
        tangent = _multiply(moved.to(x.dtype), x, layout)
        return tangent if of_x is None else tangent + _multiply(matrix.to(x.dtype), of_x, layout), None


def apply_operator(operator: Operator, maps: Tensor, layout: Layout) -> Tensor:
    """Apply an operator in the dtype of autocast, if it is on; the gradient of the gains is summed in their own.

    Shape:
        maps: `(map, n_in, column)` for the layout "rows", `(..., n_in)` for "last".
    """
    matrix, gains, synthesis, analysis = operator
    x = in_autocast_dtype(maps)
    if gains is None or synthesis is None or analysis is None or not is_differentiated(gains):
        return _multiply(matrix.to(x.dtype), x, layout)
    if layout == "last":  # waves of zeros fill the last vector
        n_more = -len(analysis) % VECTOR
        synthesis, analysis = nn.functional.pad(synthesis, (0, n_more)), nn.functional.pad(analysis, (0, 0, 0, n_more))
    product: Tensor = _Product.apply(gains, x, matrix, synthesis, analysis, layout)[0]
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
