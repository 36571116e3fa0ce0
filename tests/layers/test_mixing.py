"""Convolution and resampling of maps as they lie in memory: every ramp, both orders, both gradients of the gains."""

from typing import Any

import pytest
import torch
from torch import Tensor

from audiostride.layers import convolve_and_resample_maps, downsampling_matrix
from audiostride.layers.gains import Mask
from audiostride.layers.matrices import downsampling_operator
from audiostride.layers.mixing import mixes_late, shifted_rows
from audiostride.layers.resample import gain_gradients
from audiostride.vocabulary import Ramp

RAMPS: list[Ramp] = ["outside", "inside", "folded"]
ARRANGEMENTS = [(1, 6), (3, 2)]  # outer, inner
# channels in and out, samples, stride, smoothness: mixed early and late, for few and for many waves on the ramp
SHAPES = [(5, 3, 16, 1.03, 2.2), (5, 3, 9, 1.2, 8.0), (1, 6, 21, 2.3, 2.2), (1, 6, 12, 2.3, 8.0), (4, 9, 33, 3.1, 3.3)]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def inputs(shape: tuple[Any, ...], arrangement: tuple[int, int]) -> list[Tensor]:
    """Maps, weights, biases, a stride and a smoothness that want gradients."""
    (n_in, n_out, n, stride, smoothness), (outer, inner) = shape, arrangement
    tensors = [torch.randn(outer, n, inner, n_in), torch.randn(n_out, n_in, 3), torch.randn(n_out)]
    values = [*tensors, torch.tensor(stride), torch.tensor(smoothness)]
    return [tensor.double().requires_grad_() for tensor in values]


def in_one(ramp: Ramp, x: Tensor, weight: Tensor, bias: Tensor, stride: Tensor, smoothness: Tensor) -> Tensor:
    operator = downsampling_operator(Mask.of(x.shape[1], stride, smoothness, ramp))
    return convolve_and_resample_maps(x, weight, bias, operator)


def one_after_the_other(ramp: Ramp, x: Tensor, weight: Tensor, bias: Tensor, *mask: Tensor) -> Tensor:
    rows = x.permute(0, 2, 3, 1).flatten(0, 1)  # (outer * inner, channel, n_in)
    convolved = torch.nn.functional.conv1d(rows, weight, bias, padding=weight.shape[2] // 2)
    resampled = convolved @ downsampling_matrix(x.shape[1], *mask, ramp).T
    return resampled.unflatten(0, (len(x), -1)).permute(0, 3, 1, 2)  # type: ignore[no-untyped-call]


def values_and_gradients(output: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape).sin()
    return [output, *torch.autograd.grad((output * weights).sum(), tensors)]


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_one_after_the_other(
    shape: tuple[Any, ...], ramp: Ramp, arrangement: tuple[int, int]
) -> None:
    tensors = inputs(shape, arrangement)
    found = values_and_gradients(in_one(ramp, *tensors), tensors)
    for one, other in zip(found, values_and_gradients(one_after_the_other(ramp, *tensors), tensors), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradients_are_those_of_differences(
    shape: tuple[Any, ...], ramp: Ramp, arrangement: tuple[int, int]
) -> None:
    *convolution, stride, smoothness = inputs(shape, arrangement)
    mask = stride.detach(), smoothness.detach()  # where they are clamped their gradients are not those of differences
    assert torch.autograd.gradcheck(lambda *tensors: in_one(ramp, *tensors, *mask), convolution)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_bf16_is_close(shape: tuple[Any, ...], ramp: Ramp, arrangement: tuple[int, int]) -> None:
    tensors = [tensor.detach().float().requires_grad_() for tensor in inputs(shape, arrangement)]
    expected = values_and_gradients(one_after_the_other(ramp, *tensors), tensors)
    with torch.autocast("cpu", torch.bfloat16):
        output = in_one(ramp, *tensors)
    found = values_and_gradients(output.float(), tensors)
    assert output.dtype == torch.bfloat16
    for one, other in zip(found[:3], expected[:3], strict=True):  # in the others terms cancel
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2 * float(other.detach().abs().max()))
    assert all(gradient.isfinite().all() for gradient in found[3:])


@pytest.mark.parametrize("late", [False, True])
def test_both_orders_are_tried(late: bool) -> None:
    sizes = [(*shape[:2], 3, shape[2], Mask.of(*shape[2:], "folded").n_out) for shape in SHAPES]
    assert any(mixes_late(*of_shape) == late for of_shape in sizes)


def test_the_order_counts_the_taps_twice_in_training_alone() -> None:
    sizes = (16, 32, 3, 50, 25)
    assert not mixes_late(*sizes)
    with torch.no_grad():
        assert mixes_late(*sizes)


@pytest.mark.parametrize("shape", SHAPES)
def test_without_gradients_the_values_are_the_same(shape: tuple[Any, ...]) -> None:
    tensors = inputs(shape, (3, 2))
    with torch.no_grad():
        found = in_one("folded", *tensors)
    torch.testing.assert_close(found, in_one("folded", *tensors))


@pytest.mark.parametrize("n_taps", [1, 3])
@pytest.mark.parametrize("n_ramp", [1, 5])  # few waves: those of every map are summed; many: those of the sum of maps
def test_gradient_of_the_gains_is_that_of_the_matrices(n_ramp: int, n_taps: int) -> None:
    n_in, n_out, gains = 9, 6, torch.randn(n_ramp, dtype=torch.float64, requires_grad=True)
    synthesis = torch.randn(n_out, 2 * n_ramp, dtype=torch.float64)
    analysis = torch.randn(n_taps * 2 * n_ramp, n_in, dtype=torch.float64)
    x, grad = (torch.randn(4, n, 7, dtype=torch.float64) for n in (n_in, n_taps * n_out))
    matrices = (synthesis * gains.repeat(2)) @ analysis.view(2 * n_ramp, -1)
    (expected,) = torch.autograd.grad(((matrices.view(-1, n_in) @ x) * grad).sum(), gains)
    torch.testing.assert_close(gain_gradients(grad, x, synthesis, analysis), expected)


def test_shifted_rows_are_a_convolution_before_resampling() -> None:
    matrix, x, kernel = torch.randn(5, 12), torch.randn(12), torch.randn(3)
    convolved = torch.nn.functional.conv1d(x[None, None], kernel[None, None], padding=1)[0, 0]
    late = (shifted_rows(matrix, 3) @ x).view(5, 3) @ kernel
    torch.testing.assert_close(late, matrix @ convolved)
