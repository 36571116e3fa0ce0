"""Long axes by FFT give what their matrices give: values, and gradients of input and stride."""

import pytest
import torch
from torch import Tensor

from audiostride.layers import (
    DiffStride,
    FourierOperator,
    SpectralPooling,
    diffstride,
    downsampling_matrix,
    pooling,
    spectral_pooling_matrix,
)
from audiostride.vocabulary import Ramp

LENGTHS = (257, 500, 601)


@pytest.fixture
def by_fft(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every axis counts as long, so that the matrices to compare with stay small."""
    for module in (diffstride, pooling):
        monkeypatch.setattr(module, "MATRIX_MAX", 1)


def signal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("ramp", ["outside", "inside", "folded"])
@pytest.mark.parametrize("stride", [1.0, 1.7, 2.0, 37.3])
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.usefixtures("by_fft")
def test_a_long_axis_gives_what_its_matrix_gives(n: int, stride: float, ramp: Ramp) -> None:
    x = signal(3, n)
    layer = DiffStride([stride], (-1,), 4.0, ramp)
    assert isinstance(layer.operators([n])[0], FourierOperator)
    torch.testing.assert_close(layer(x), x @ downsampling_matrix(n, stride, 4.0, ramp).T, rtol=0, atol=1e-5)


@pytest.mark.parametrize("stride", [1.7, 2.0, 37.3])
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.usefixtures("by_fft")
def test_spectral_pooling_of_a_long_axis(n: int, stride: float) -> None:
    x = signal(3, n)
    expected = x @ spectral_pooling_matrix(n, stride).T
    torch.testing.assert_close(SpectralPooling(stride, (-1,))(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("ramp", ["outside", "inside", "folded"])
def test_gradients_are_those_of_the_matrix(ramp: Ramp, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weights = signal(2, 500).double(), None
    gradients = []
    for limit in (1, 4096):
        monkeypatch.setattr(diffstride, "MATRIX_MAX", limit)
        layer, values = DiffStride([2.3], (-1,), 4.0, ramp).double(), x.clone().requires_grad_()
        y = layer(values)
        weights = signal(*y.shape).double() if weights is None else weights
        (y * weights).sum().backward()
        gradients.append((values.grad, layer.strides.grad))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.usefixtures("by_fft")
def test_any_axis_may_be_long(axis: int) -> None:
    x = signal(*(500 if i == axis % 3 else 3 for i in range(3)))
    y = DiffStride([2.0], (axis,))(x)
    expected = torch.tensordot(x, downsampling_matrix(500, 2.0), ([axis], [1])).movedim(-1, axis)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-5)


def test_half_precision_is_computed_in_single() -> None:
    x = signal(2, 16000)
    layer = DiffStride(2, (-1,))
    y = layer(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), layer(x), rtol=0.02, atol=0.02)


def test_a_frozen_long_axis_keeps_the_identity_at_1() -> None:
    x = signal(2, 5000)
    assert torch.equal(DiffStride([1.0], (-1,), learnable=False)(x), x)


def test_axes_longer_than_4096_samples_are_transformed() -> None:
    layer = DiffStride(2, (-1,))
    assert not isinstance(layer.operators([4096])[0], FourierOperator)
    assert isinstance(layer.operators([4097])[0], FourierOperator)
