"""Convolution and resampling in one: whichever order is cheaper, the result is that of one after the other."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiostride.layers import convolve_and_resample, downsampling_matrix, multiply_adds
from audiostride.layers.gains import Mask
from audiostride.layers.matrices import downsampling_operator

# channels in and out, samples, stride: the first two mix channels before resampling, the others after it
SMOOTHNESS = 2.0
SHAPES = [(8, 8, 20, 1.0), (6, 3, 16, 1.3), (1, 8, 20, 2.0), (4, 9, 33, 3.0), (16, 16, 24, 2.5)]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def inputs(
    n_in: int, n_out: int, n: int, stride: float, kernel_size: int = 3, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """Maps, weights, biases and a stride that want gradients."""
    shapes = [(3, n_in, 5, n), (n_out, n_in, kernel_size), (n_out,)]
    tensors = [torch.randn(shape, dtype=dtype).div(shape[-1] ** 0.5) for shape in shapes]
    return [tensor.requires_grad_() for tensor in (*tensors, torch.tensor(stride, dtype=dtype))]


def in_one(x: Tensor, weight: Tensor, bias: Tensor, stride: Tensor) -> Tensor:
    operator = downsampling_operator(Mask.of(x.shape[-1], stride, SMOOTHNESS, "inside"))
    return convolve_and_resample(x, weight, bias, operator)


def one_after_the_other(x: Tensor, weight: Tensor, bias: Tensor, stride: Tensor) -> Tensor:
    convolved = nn.functional.conv2d(x, weight.unsqueeze(2), bias, padding=(0, weight.shape[2] // 2))
    return (convolved @ downsampling_matrix(x.shape[-1], stride, SMOOTHNESS, "inside").T).mT


def weights_like(output: Tensor) -> Tensor:
    return torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)


def values_and_gradients(function: Any, tensors: list[Tensor]) -> list[Tensor]:
    output: Tensor = function(*tensors)
    return [output, *torch.autograd.grad((output * weights_like(output)).sum(), tensors)]


def assert_plain(found: list[Tensor], tensors: list[Tensor], tolerance: float) -> None:
    """Values and gradients are those of one after the other, up to a share of the largest, or of what was summed."""
    expected = values_and_gradients(one_after_the_other, tensors)
    scales = [float(tensor.detach().abs().max()) for tensor in expected]
    *fixed, stride = tensors
    _, slopes = torch.autograd.functional.jvp(lambda s: one_after_the_other(*fixed, s), stride, torch.ones_like(stride))
    scales[-1] = float((weights_like(slopes) * slopes).abs().sum())  # of the stride: terms that cancel in part
    for one, other, scale in zip(found, expected, scales, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_one_after_the_other(
    shape: tuple[int, int, int, float], kernel_size: int
) -> None:
    tensors = inputs(*shape, kernel_size)
    assert_plain(values_and_gradients(in_one, tensors), tensors, 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_bf16_is_close_to_fp32(shape: tuple[int, int, int, float]) -> None:
    tensors = inputs(*shape)
    with torch.autocast("cpu", torch.bfloat16):
        found = values_and_gradients(in_one, tensors)
    assert_plain(found, tensors, 2e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradients_are_those_of_differences(shape: tuple[int, int, int, float]) -> None:
    *sizes, stride = shape
    off_the_kinks = stride + 0.03  # where a bin enters the ramp the slope jumps
    tensors = inputs(*sizes, off_the_kinks, dtype=torch.float64)
    assert torch.autograd.gradcheck(in_one, tensors, fast_mode=True)  # along random directions: the maps are large


def test_multiply_adds_are_those_of_the_products() -> None:
    before, after = multiply_adds(4, 6, 3, 20, 10)
    assert before == 20 * 4 * 6 * 3 + 6 * 10 * 20
    assert after == 4 * 3 * 10 * 20 + 10 * 6 * 4 * 3
