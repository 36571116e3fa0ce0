"""Apply a matrix along one axis of maps, also together with a convolution along that axis."""

import math

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

N_ROWS_PER_CHUNK = 64  # of the matrix gradient: bounds its memory, whatever the batch


class _Product(torch.autograd.Function):
    """`matrix @ x`, or `matrix @ x.mT`, for a stack of maps `x`.

    Autograd's own would hold one matrix gradient per map, and give the gradient of a transposed map transposed.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, matrix: Tensor, x: Tensor, transposed: bool) -> Tensor:
        ctx.save_for_backward(matrix, x)
        ctx.transposed = transposed  # type: ignore[attr-defined]
        return torch.matmul(matrix.detach().to(x.dtype), x.mT if transposed else x)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        matrix, x = ctx.saved_tensors  # type: ignore[attr-defined]
        transposed: bool = ctx.transposed  # type: ignore[attr-defined]
        grad_matrix = grad_x = None
        if ctx.needs_input_grad[1]:  # type: ignore[attr-defined]
            weights = matrix.detach().to(grad.dtype)
            grad_x = torch.matmul(grad.mT, weights) if transposed else torch.matmul(weights.T, grad)
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            grad_matrix = torch.zeros_like(matrix)
            for g, maps in zip(torch.split(grad, N_ROWS_PER_CHUNK), torch.split(x, N_ROWS_PER_CHUNK), strict=True):
                grad_matrix += torch.bmm(g, maps if transposed else maps.mT).sum(0)
        return grad_matrix, grad_x, None


def _product(matrix: Tensor, maps: Tensor, transposed: bool = False) -> Tensor:
    """In the dtype of autocast, if it is on, with the gradient of the matrix in its own."""
    if torch.is_autocast_enabled(maps.device.type):
        maps = maps.to(torch.get_autocast_dtype(maps.device.type))
    product: Tensor = _Product.apply(matrix, maps, transposed)
    return product


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
    return _product(matrix, folded).view(*x.shape[:axis], matrix.shape[0], *x.shape[axis + 1 :])


def multiply_adds(n_channels_in: int, n_channels_out: int, kernel_size: int, n_in: int, n_out: int) -> tuple[int, int]:
    """Of `convolve_and_resample` for a row: if it mixes channels before resampling, and if after it."""
    before = n_channels_out * n_in * (n_channels_in * kernel_size + n_out)
    after = n_channels_in * kernel_size * n_out * (n_in + n_channels_out)
    return before, after


def _shifted(matrix: Tensor, kernel_size: int) -> Tensor:
    """The matrix after a shift by every tap of a kernel, one above the other: `(kernel_size * n_out, n_in)`."""
    n_in, half = matrix.shape[1], kernel_size // 2
    padded = nn.functional.pad(matrix, (half, half))
    return torch.cat([padded[:, 2 * half - tap :][:, :n_in] for tap in range(kernel_size)])


def convolve_and_resample(x: Tensor, weight: Tensor, bias: Tensor, matrix: Tensor) -> Tensor:
    """Convolve maps along their last axis, zero-padded, and multiply `matrix` onto that axis.

    The two commute up to a matrix per tap of the kernel, so channels are mixed before or after resampling, whichever
    is cheaper. The axes of the output are swapped: so nothing is copied, and the next convolution, along the other
    axis, finds that one last.

    Args:
        matrix: its rows sum to 1, so that it leaves the bias as it is.

    Shape:
        x: `(batch, channel_in, row, n_in)`. weight: `(channel_out, channel_in, tap)`, an odd number of taps.
        bias: `(channel_out,)`. matrix: `(n_out, n_in)`. output: `(batch, channel_out, n_out, row)`.
    """
    batch, n_channels, n_rows, n_in = x.shape
    n_out, (n_channels_out, _, kernel_size) = matrix.shape[0], weight.shape
    before, after = multiply_adds(n_channels, n_channels_out, kernel_size, n_in, n_out)
    if after < before:
        maps = _product(_shifted(matrix, kernel_size), x.reshape(-1, n_rows, n_in), transposed=True)
        taps = maps.view(batch, n_channels * kernel_size, n_out * n_rows)
        mixed = nn.functional.conv1d(taps, weight.reshape(n_channels_out, -1, 1), bias)
        return mixed.view(batch, n_channels_out, n_out, n_rows)
    convolved = nn.functional.conv2d(x, weight.unsqueeze(2), bias, padding=(0, kernel_size // 2))
    maps = _product(matrix, convolved.reshape(-1, n_rows, n_in), transposed=True)
    return maps.view(batch, n_channels_out, n_out, n_rows)
