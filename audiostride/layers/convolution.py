"""Convolve maps whose channels are last in memory along one axis.

With the shift `D_t` that tap t of the kernel `W_t` makes, `y = sum_t D_t x W_t`. With the gradient `g` of the loss in
`y`, that in `W_t` is `(D_t x)^T g`. A shifted signal is a part of the signal, and zeros, so each is one product of what
is there already. On processors torch's own takes several times as long where channels are last.
"""

from typing import Any

import torch
from torch import Tensor, nn


def _overlap(n: int, shift: int) -> tuple[slice, slice]:
    """Give the samples of a shifted signal that are not zeros: where they are, and where they come from."""
    return slice(max(0, -shift), max(0, n - max(0, shift))), slice(max(0, shift), max(0, n - max(0, -shift)))


def _images(x: Tensor) -> Tensor:
    """See maps as a convolution does: as images whose channels come last in memory."""
    return x.permute(0, 3, 1, 2)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    padding = (weight.shape[2] // 2, 0)
    return nn.functional.conv2d(_images(x), weight.unsqueeze(3), bias, padding=padding).permute(0, 2, 3, 1)


class _Convolution(torch.autograd.Function):
    """A convolution that computes the gradient of its weights by products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        n, kernel_size = x.shape[1], weight.shape[2]
        grad_x = grad_weight = grad_bias = None
        if needs_x:
            ones, padding = [1, 1], [kernel_size // 2, 0]
            arguments = (_images(grad), _images(x), weight.unsqueeze(3), None, ones, padding, ones, False, [0, 0], 1)
            of_images, _, _ = torch.ops.aten.convolution_backward(*arguments, [True, False, False])
            grad_x = of_images.permute(0, 2, 3, 1)
        if needs_weight:
            taps = []
            for tap in range(kernel_size):
                to, of = _overlap(n, tap - kernel_size // 2)
                taps.append(grad[:, to].flatten(1, 2).mT @ x[:, of].flatten(1, 2))
            of_outer = torch.stack(taps, dim=3)
            grad_weight = of_outer.squeeze(0) if len(x) == 1 else of_outer.sum(0)
        if needs_bias:
            grad_bias = grad.flatten(0, 2).sum(0)
        return grad_x, grad_weight, grad_bias


def convolve_maps(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve along the samples, zero-padded.

    Shape:
        x: `(outer, sample, inner, channel_in)`. weight: `(channel_out, channel_in, tap)`, an odd number of taps.
        output: `(outer, sample, inner, channel_out)`.
    """
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or x.dtype not in (torch.float32, torch.float64):
        return _convolve(x, weight, bias)
    convolved: Tensor = _Convolution.apply(x, weight, bias)
    return convolved
