"""Keep what is learned within its range in the forward pass, so that nothing has to be done after a step."""

from typing import Any

import torch
from torch import Tensor


class _BringBack(torch.autograd.Function):
    """A clamp whose gradient leads back."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor, low: float, high: float) -> Tensor:
        return values.clamp(low, high)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, float], output: Tensor) -> None:
        values, ctx.low, ctx.high = inputs
        ctx.save_for_backward(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (values,) = ctx.saved_tensors
        leads_away = ((values < ctx.low) & (grad > 0)) | ((values > ctx.high) & (grad < 0))
        return grad.masked_fill(leads_away, 0), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return tangent.view_as(tangent)


def bring_back(values: Tensor, low: float, high: float) -> Tensor:
    """Clamp to `[low, high]`, with a gradient that passes straight through where it leads back.

    Beyond an end of the range the gradient passes if a step of gradient descent goes towards the range, and is 0 if it
    goes further away. So a value leaves its range by one step at most.
    """
    clamped: Tensor = _BringBack.apply(values, low, high)
    return clamped
