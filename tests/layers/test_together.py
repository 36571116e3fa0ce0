"""The operators of many layers at once are those of every layer alone, with the same gradients."""

import pytest
import torch
from torch import Tensor

from audiostride.layers.diffstride import DiffStride
from audiostride.layers.resample import resample_axis
from audiostride.layers.together import operators_of_layers, project_layers_

SIZES = {-2: 64, -1: 100}
TIME, MEL = (-1,), (-2,)


def layers_of(ramp: str, *, learn: bool, shared: bool = False) -> list[DiffStride]:
    """Six layers, of strides between 1 and 30: short axes, ends of the range and a stride of exactly 1."""
    torch.manual_seed(0)
    if shared:
        made = [DiffStride(s, (-2, -1), 4.0, ramp, shared=True, learn_smoothness=learn) for s in (1.01, 2.3, 1.0)]
    else:
        made = [
            DiffStride(stride, axes, width, ramp, learn_smoothness=learn)
            for stride, axes, width in (
                (2.0, TIME, 16.0),
                (1.0, MEL, 4.0),
                (1.7, TIME, 1.0),
                (2.9, MEL, 40.0),
                (30.0, TIME, 4.0),
                (3.1, MEL, 5.5),
            )
        ]
    return [layer.double() for layer in made]


def each_alone(layers: list[DiffStride]) -> list[list]:
    sizes, operators = dict(SIZES), []
    for layer in layers:
        found = layer.operators([sizes[axis] for axis in layer.axes])
        sizes |= {axis: operator.n_out for axis, operator in zip(layer.axes, found, strict=True)}
        operators.append(found)
    return operators


def outcome(layers: list[DiffStride], operators: list[list]) -> tuple[list[Tensor], list[Tensor | None]]:
    """The matrices, and the gradients of every stride and width by a loss of maps."""
    for layer in layers:
        layer.zero_grad()
    torch.manual_seed(1)
    loss = torch.zeros((), dtype=torch.float64)
    for layer, of_layer in zip(layers, operators, strict=True):
        for axis, operator in zip(layer.axes, of_layer, strict=True):
            n_in = operator.matrix.shape[1]
            shape = (3, 5, n_in) if axis == -1 else (3, n_in, 5)
            y = resample_axis(torch.randn(shape, dtype=torch.float64), operator, axis)
            loss = loss + (y * torch.randn_like(y)).sum()
    loss.backward()
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    return [operator.matrix for of in operators for operator in of], [parameter.grad for parameter in parameters]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("ramp", ["outside", "inside", "folded"])
def test_together_as_alone(ramp: str, learn: bool, shared: bool) -> None:
    layers = layers_of(ramp, learn=learn, shared=shared)
    matrices, gradients = outcome(layers, each_alone(layers))
    sizes = dict(SIZES)
    together = operators_of_layers(layers, sizes)
    found, of_parameters = outcome(layers, together)
    assert [matrix.shape for matrix in found] == [matrix.shape for matrix in matrices]
    for a, b in zip(found, matrices, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    for a, b in zip(of_parameters, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    assert sizes == {-2: found[-2 if shared else -1].shape[0], -1: found[-1 if shared else -2].shape[0]}


def test_long_axes_have_products_of_their_own() -> None:
    """Short axes share one product; the time axis is too long for it."""
    layers, sizes = layers_of("folded", learn=False), {-2: 64, -1: 700}
    alone = [layers[0].operators([700])[0], layers[1].operators([64])[0]]
    for one, (other,) in zip(alone, operators_of_layers(layers[:2], sizes), strict=True):
        torch.testing.assert_close(one.matrix, other.matrix, rtol=0, atol=1e-12)


def test_a_layer_without_a_part_in_the_loss_has_no_gradient() -> None:
    """Its stride has a gradient of 0, and the others have theirs."""
    layers = layers_of("folded", learn=True)
    operators = operators_of_layers(layers, dict(SIZES))
    y = resample_axis(torch.randn(2, 100, dtype=torch.float64), operators[0][0], -1)
    y.square().sum().backward()
    assert layers[0].strides.grad is not None
    assert layers[0].strides.grad.abs() > 0
    assert layers[3].strides.grad is not None
    assert layers[3].strides.grad == 0


@pytest.mark.parametrize("ramp", ["outside", "inside", "folded"])
def test_strides_out_of_range_together_as_alone(ramp: str) -> None:
    layers = layers_of(ramp, learn=True)
    for layer in layers:
        with torch.no_grad():
            layer.strides.sub_(1.5)
            layer.log_smoothness.sub_(2)
    matrices, gradients = outcome(layers, each_alone(layers))
    found, of_parameters = outcome(layers, operators_of_layers(layers, dict(SIZES)))
    for a, b in zip([*found, *of_parameters], [*matrices, *gradients], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_projection_of_all_layers() -> None:
    layers = layers_of("folded", learn=True)
    alone = layers_of("folded", learn=True)
    for layer in (*layers, *alone):
        with torch.no_grad():
            layer.strides.sub_(1.5)
            layer.log_smoothness.sub_(3)
    project_layers_(layers)
    for layer, other in zip(layers, alone, strict=True):
        other.project_()
        assert torch.equal(layer.strides, other.strides)
        assert torch.equal(layer.log_smoothness, other.log_smoothness)
