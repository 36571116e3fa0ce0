"""Convolution and resampling in one: whichever order is cheaper, the result is that of one after the other."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiostride.layers import convolve_and_resample, downsampling_matrix, multiply_adds, resample_axis

# channels in and out, samples, stride: the first two mix channels before resampling, the others after it
SHAPES = [(8, 8, 20, 1.0), (6, 3, 16, 1.3), (1, 8, 20, 2.0), (4, 9, 33, 3.0), (16, 16, 24, 2.5)]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def inputs(
    n_in: int, n_out: int, n: int, stride: float, kernel_size: int = 3, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """Maps, weights, biases and a matrix that want gradients."""
    shapes = [(3, n_in, 5, n), (n_out, n_in, kernel_size), (n_out,)]
    tensors = [torch.randn(shape, dtype=dtype).div(shape[-1] ** 0.5) for shape in shapes]
    matrix = downsampling_matrix(n, torch.tensor(stride, dtype=dtype), 2.0, "inside")
    return [tensor.requires_grad_() for tensor in (*tensors, matrix)]


def one_after_the_other(x: Tensor, weight: Tensor, bias: Tensor, matrix: Tensor) -> Tensor:
    convolved = nn.functional.conv2d(x, weight.unsqueeze(2), bias, padding=(0, weight.shape[2] // 2))
    return resample_axis(convolved, matrix, -1).mT


def values_and_gradients(function: Any, tensors: list[Tensor]) -> list[Tensor]:
    output: Tensor = function(*tensors)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    *gradients, of_matrix = torch.autograd.grad((output * weights).sum(), tensors)
    # rows of the matrix always sum to 1: what would change the sum is no direction that a stride moves it in
    return [output, *gradients, of_matrix - of_matrix.mean(1, keepdim=True)]


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        scale = float(other.detach().abs().max())
        torch.testing.assert_close(one.float(), other, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("after", [False, True])
def test_both_orders_are_tried(after: bool) -> None:
    def mixes_after(n_in: int, n_out: int, n: int, stride: float) -> bool:
        costs = multiply_adds(n_in, n_out, 3, n, downsampling_matrix(n, stride, 2.0, "inside").shape[0])
        return costs[1] < costs[0]

    assert any(mixes_after(*shape) == after for shape in SHAPES)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_one_after_the_other(
    shape: tuple[int, int, int, float], kernel_size: int
) -> None:
    tensors = inputs(*shape, kernel_size)
    expected = values_and_gradients(one_after_the_other, tensors)
    assert_close(values_and_gradients(convolve_and_resample, tensors), expected, 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_bf16_is_close_to_fp32(shape: tuple[int, int, int, float]) -> None:
    tensors = inputs(*shape)
    expected = values_and_gradients(convolve_and_resample, tensors)
    with torch.autocast("cpu", torch.bfloat16):
        found = values_and_gradients(convolve_and_resample, tensors)
    assert_close(found, expected, 2e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradients_are_those_of_differences(shape: tuple[int, int, int, float]) -> None:
    assert torch.autograd.gradcheck(convolve_and_resample, inputs(*shape, dtype=torch.float64))


def test_multiply_adds_are_those_of_the_products() -> None:
    before, after = multiply_adds(4, 6, 3, 20, 10)
    assert before == 20 * 4 * 6 * 3 + 6 * 10 * 20
    assert after == 4 * 3 * 10 * 20 + 10 * 6 * 4 * 3
