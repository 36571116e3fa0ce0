"""In half precision maps are rounded, strides are not: they learn as in single precision."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from audiostride.layers import DiffStride, SpectralPooling

HALF = [torch.bfloat16, torch.float16]
LAYERS = [
    lambda: DiffStride([2.3, 1.7], ramp="folded", learn_smoothness=True),
    lambda: DiffStride([2.3, 1.7], learnable=False),
    lambda: SpectralPooling([2.3, 1.7]),
]
WAYS = {
    "bfloat16()": lambda model: model.bfloat16(),
    "half()": lambda model: model.half(),
    "to": lambda model: model.to(torch.bfloat16),
    "of a model": lambda model: nn.Sequential(nn.Conv2d(1, 2, 3), model).to("cpu", torch.float16)[1],
}


def state(layer: nn.Module) -> dict[str, Any]:
    return {name: (tensor.dtype, tensor.tolist()) for name, tensor in layer.state_dict().items()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", LAYERS)
def test_half_precision_leaves_strides_as_they_are(make: Any, way: str) -> None:
    layer = make()
    before = state(layer)
    assert state(WAYS[way](layer)) == before


@pytest.mark.parametrize("make", LAYERS)
def test_double_precision_is_kept_unless_half_is_asked_for(make: Any) -> None:
    layer = make().double()
    assert layer.strides.dtype == torch.float64
    assert layer.to("cpu").strides.dtype == torch.float64
    assert layer.half().strides.dtype == torch.float32


def test_gradients_are_converted_with_their_strides() -> None:
    layer = DiffStride([2.3, 1.7])
    layer(torch.randn(1, 1, 16, 20)).square().sum().backward()
    before = layer.strides.grad.clone()
    assert torch.equal(layer.bfloat16().strides.grad, before)
    assert layer.double().strides.grad.dtype == torch.float64


def test_a_half_layer_moves_to_a_device_without_numbers() -> None:
    moved = DiffStride([2.3, 1.7]).to("meta", torch.bfloat16)
    assert (moved.strides.device.type, moved.strides.dtype) == ("meta", torch.float32)


@pytest.fixture
def _half_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.bfloat16)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_half_by_default")
@pytest.mark.parametrize("make", LAYERS)
def test_a_layer_made_where_half_is_the_default_holds_its_strides_in_single(make: Any) -> None:
    layer = make()
    assert {tensor.dtype for tensor in layer.state_dict().values()} == {torch.float32}
    assert layer.known_strides == layer.strides.tolist()


@pytest.mark.parametrize("dtype", HALF)
def test_strides_learn_in_a_model_of_half_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = DiffStride([2.3, 1.7], ramp="folded", learn_smoothness=True)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), layer).to(dtype)
    x = torch.randn(4, 1, 32, 40, dtype=dtype)
    optimizer = torch.optim.Adam(layer.parameters(), lr=5e-3)
    before = layer.strides.tolist()
    for _ in range(20):
        optimizer.zero_grad()
        y = model(x)
        assert y.dtype == dtype
        y.float().square().mean().backward()
        optimizer.step()
    # the energy falls as strides rise, each step by the learning rate of Adam
    assert layer.strides.tolist() == pytest.approx([value + 20 * 5e-3 for value in before], abs=0.02)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_strides_that_are_not_finite_name_the_likely_cause(value: float) -> None:
    layer = DiffStride([2.0, 3.0])
    with torch.no_grad():
        layer.strides[0] = value
    with pytest.raises(ValueError, match=rf"strides must be finite, got {value:g}, 3: their learning rate.*half"):
        layer(torch.ones(1, 1, 8, 8))
