"""Apply a matrix along one axis of a map."""

import math

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

N_ROWS_PER_CHUNK = 64  # of the matrix gradient: bounds its memory, whatever the batch


class _LeftProduct(torch.autograd.Function):
    """`matrix @ x` for a stack of maps; autograd's own would hold one matrix gradient per map."""

    @staticmethod
    def forward(ctx: FunctionCtx, matrix: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(matrix, x)
        return torch.matmul(matrix.detach(), x)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        matrix, x = ctx.saved_tensors  # type: ignore[attr-defined]
        grad_matrix = grad_x = None
        if ctx.needs_input_grad[1]:  # type: ignore[attr-defined]
            grad_x = torch.matmul(matrix.detach().T, grad)
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            grad_matrix = matrix.new_zeros(matrix.shape, dtype=torch.promote_types(matrix.dtype, torch.float32))
            for g, maps in zip(torch.split(grad, N_ROWS_PER_CHUNK), torch.split(x, N_ROWS_PER_CHUNK), strict=True):
                grad_matrix += torch.bmm(g, maps.mT).sum(0)
            grad_matrix = grad_matrix.to(matrix.dtype)
        return grad_matrix, grad_x


def resample_axis(x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """Multiply `matrix` onto one axis of `x`; the other axes stay as they are.

    Shape:
        x: `(..., n_in, ...)`. matrix: `(n_out, n_in)`. output: `(..., n_out, ...)`.

    >>> resample_axis(torch.ones(5, 4, 3), torch.ones(2, 4), axis=-2).shape
    torch.Size([5, 2, 3])
    """
    axis %= x.ndim
    if axis == x.ndim - 1:
        return torch.nn.functional.linear(x, matrix)
    folded = x.reshape(-1, x.shape[axis], math.prod(x.shape[axis + 1 :]))
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        matrix, folded = matrix.to(dtype), folded.to(dtype)
    product: Tensor = _LeftProduct.apply(matrix, folded)
    return product.view(*x.shape[:axis], matrix.shape[0], *x.shape[axis + 1 :])
