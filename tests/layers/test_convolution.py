"""The convolution of maps whose channels are last: values and gradients are those of torch's own."""

import pytest
import torch
from torch import Tensor

from audiostride.layers import convolve_maps


def inputs(arrangement: tuple[int, int, int], kernel_size: int, n_channels: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    outer, n, inner = arrangement
    shapes = [(outer, n, inner, n_channels), (5, n_channels, kernel_size), (5,)]
    return [torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_() for shape in shapes]


def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    outer, n, inner, n_channels = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(outer * inner, n_channels, n)
    convolved = torch.nn.functional.conv1d(rows, weight, bias, padding=weight.shape[2] // 2)
    return convolved.view(outer, inner, -1, n).permute(0, 3, 1, 2)


@pytest.mark.parametrize("n_channels", [1, 4])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("arrangement", [(1, 9, 6), (3, 8, 2), (2, 1, 3), (2, 2, 1)])  # outer, sample, inner
def test_values_and_gradients_are_those_of_torch(
    arrangement: tuple[int, int, int], kernel_size: int, n_channels: int
) -> None:
    tensors = inputs(arrangement, kernel_size, n_channels)
    found, expected = convolve_maps(*tensors), plain(*tensors)
    torch.testing.assert_close(found, expected)
    weights = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view(found.shape)
    gradients, wanted = (torch.autograd.grad((out * weights).sum(), tensors) for out in (found, expected))
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_one_gradient_alone(wanted: int) -> None:
    tensors = inputs((2, 7, 3), 3, 4)
    (expected,) = torch.autograd.grad(plain(*tensors).square().sum(), tensors[wanted])
    alone = [tensor.detach().requires_grad_(i == wanted) for i, tensor in enumerate(tensors)]
    (found,) = torch.autograd.grad(convolve_maps(*alone).square().sum(), alone[wanted])
    torch.testing.assert_close(found, expected)


def test_bf16_is_close() -> None:
    tensors = [tensor.detach().float().requires_grad_() for tensor in inputs((2, 7, 3), 3, 4)]
    expected = torch.autograd.grad(plain(*tensors).square().sum(), tensors)
    with torch.autocast("cpu", torch.bfloat16):
        output = convolve_maps(*tensors)
    found = torch.autograd.grad(output.float().square().sum(), tensors)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2 * float(other.abs().max()))
