"""What people do with a layer of PyTorch works with these: tracing, tensors without numbers, transforms, copies."""

import copy
import io
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from audiostride.layers import DiffStride, FixedResample, SpectralPooling

X = torch.linspace(-1, 1, 2 * 3 * 12 * 17).view(2, 3, 12, 17).sin()
FROZEN = {
    "frozen": lambda: DiffStride([2.3, 1.7], learnable=False),
    "folded": lambda: DiffStride([2.3, 1.7], ramp="folded", learnable=False),
    "spectral": lambda: SpectralPooling([2.3, 1.7]),
    "constant": lambda: DiffStride([2.3, 1.7]).freeze([12, 17]),
}
LEARNED = {
    "learned": lambda: DiffStride([2.3, 1.7]),
    "folded, widths too": lambda: DiffStride([2.3, 1.7], ramp="folded", learn_smoothness=True),
    "shared": lambda: DiffStride(1.9, ramp="inside", shared=True),
}
ALL = FROZEN | LEARNED


def made(name: str) -> Any:
    return ALL[name]()


@pytest.fixture
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


# constants


@pytest.mark.parametrize("name", ALL)
def test_freezing_changes_nothing_in_what_is_computed(name: str) -> None:
    layer = made(name)
    if name == "constant":
        layer = DiffStride([2.3, 1.7])
    fixed = layer.freeze([12, 17])
    assert isinstance(fixed, FixedResample)
    assert not list(fixed.parameters())
    assert torch.equal(fixed(X), layer(X).detach())


def test_a_frozen_layer_leaves_an_axis_that_passes_unchanged() -> None:
    layer = DiffStride([1.0, 2.0], learnable=False)
    assert torch.equal(layer.freeze([12, 17])(X), layer(X))
    assert set(layer.freeze([12, 17]).state_dict()) == {"matrix_1"}


def test_a_frozen_layer_names_the_size_that_it_is_for() -> None:
    with pytest.raises(ValueError, match="axis -1 must hold 17 samples"):
        DiffStride(2.0).freeze([12, 17])(X[..., :16])


def test_freezing_refuses_an_axis_that_is_too_long_for_a_matrix() -> None:
    with pytest.raises(ValueError, match="5000 samples"):
        DiffStride(2.0, axes=[-1]).freeze([5000])


# tracing


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_layer_compiles_into_one_graph(name: str) -> None:
    layer = made(name)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(X), layer(X))


@pytest.mark.usefixtures("_fresh_compiler")
def test_a_compiled_layer_takes_other_sizes() -> None:
    layer = made("folded")
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for x in (X, X[..., :14], X[:1, :, :9, :11]):
        torch.testing.assert_close(compiled(x), layer(x))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # of the compiler
@pytest.mark.usefixtures("_fresh_compiler")
def test_a_layer_that_learns_compiles_in_parts() -> None:
    layer = made("learned")
    compiled = torch.compile(layer, backend="eager")
    with torch.no_grad():
        layer.strides.fill_(1.5)
    compiled(X).square().sum().backward()
    found, layer.strides.grad = layer.strides.grad, None
    layer(X).square().sum().backward()
    torch.testing.assert_close(found, layer.strides.grad)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_layer_is_exported(name: str, strict: bool) -> None:
    layer = made(name)
    expected = layer(X)
    exported = torch.export.export(made(name), (X,), strict=strict)
    torch.testing.assert_close(exported.module()(X), expected)
    assert torch.equal(layer(X), expected)


def test_export_of_strides_that_are_learned_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"freeze\(\)"):
        torch.export.export(DiffStride(2.0), (X,), strict=False)


def test_a_loaded_state_is_what_is_exported() -> None:
    layer = DiffStride([2.0, 2.0], learnable=False)
    layer.load_state_dict(made("frozen").state_dict())
    exported = torch.export.export(layer, (X,), strict=False)
    torch.testing.assert_close(exported.module()(X), made("frozen")(X))


# tensors without numbers


@pytest.mark.parametrize("name", ALL)
def test_on_the_meta_device_sizes_are_those_of_the_initial_strides(name: str) -> None:
    expected = made(name)(X).shape
    with torch.device("meta"):
        layer = made(name)
    assert layer(X.to("meta")).shape == expected
    assert made(name).to("meta")(X.to("meta")).shape == expected


@pytest.mark.parametrize("name", ALL)
def test_fake_tensors_have_the_sizes_and_leave_nothing_behind(name: str) -> None:
    expected = made(name)(X)
    with FakeTensorMode() as mode:
        layer = made(name)
        fake = layer(mode.from_tensor(X))
        if list(layer.parameters()):
            fake.sum().backward()
            assert layer.strides.grad.shape == layer.strides.shape
    assert fake.shape == expected.shape
    torch.testing.assert_close(made(name)(X), expected)


# transforms


def parameters_of(layer: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in layer.named_parameters()}


@pytest.mark.parametrize("axes", [(-2, -1), (1, 2)])
@pytest.mark.parametrize("name", LEARNED)
def test_torch_func_gives_the_gradients_of_autograd(name: str, axes: tuple[int, int]) -> None:
    layer = made(name).double()
    layer.axes = axes
    x = X.double() if axes == (-2, -1) else X.double().movedim(1, -1)

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, parameters, (x,)).square().sum()

    of_parameters, of_x = torch.func.grad(loss, argnums=(0, 1))(parameters_of(layer), x)
    leaf = x.clone().requires_grad_()
    layer(leaf).square().sum().backward()
    torch.testing.assert_close(of_x, leaf.grad)
    for key, value in layer.named_parameters():
        torch.testing.assert_close(of_parameters[key], value.grad)


@pytest.mark.parametrize("name", LEARNED)
def test_gradients_of_every_example(name: str) -> None:
    layer = made(name).double()
    x = X.double()

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, parameters, (x,)).square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters_of(layer), x)
    each = [torch.func.grad(loss)(parameters_of(layer), example) for example in x]
    for key, values in found.items():
        torch.testing.assert_close(values, torch.stack([of_example[key] for of_example in each]))


@pytest.mark.parametrize("name", ALL)
def test_vmap_over_any_dimension_gives_what_a_loop_gives(name: str) -> None:
    layer = made(name)
    found = torch.func.vmap(layer, in_dims=1)(X)
    torch.testing.assert_close(found, torch.stack([layer(X[:, i]) for i in range(3)]))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # torch's own, on the first call
@pytest.mark.parametrize("name", LEARNED)
def test_forward_derivatives_are_those_backward(name: str) -> None:
    """The derivative along a direction is the product of the gradient with it."""
    layer = made(name).double()
    parameters, x = parameters_of(layer), X.double()
    along = {key: torch.linspace(0.5, 1, len(value), dtype=value.dtype) for key, value in parameters.items()}
    x_along = x.cos()
    weights = torch.linspace(-1, 1, layer(x).numel(), dtype=x.dtype).view(layer(x).shape)

    def call(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, parameters, (x,))

    y, moved = torch.func.jvp(call, (parameters, x), (along, x_along))
    torch.testing.assert_close(y, layer(x).detach())
    _, pull = torch.func.vjp(call, parameters, x)
    of_parameters, of_x = pull(weights)
    expected = sum((of_parameters[key] * along[key]).sum() for key in along) + (of_x * x_along).sum()
    torch.testing.assert_close((weights * moved).sum(), expected)


# memory and copies


@pytest.mark.parametrize("name", ALL)
def test_channels_last_maps(name: str) -> None:
    layer = made(name)
    x = X.clone().to(memory_format=torch.channels_last).requires_grad_()
    torch.testing.assert_close(layer(x), layer(X))
    layer(x).square().sum().backward()
    plain = X.clone().requires_grad_()
    layer(plain).square().sum().backward()
    torch.testing.assert_close(x.grad, plain.grad)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save"])
def test_a_copy_is_a_layer_of_its_own(name: str, way: str) -> None:
    layer = made(name)
    expected = layer(X)
    if way == "deepcopy":
        twin = copy.deepcopy(layer)
    elif way == "pickle":
        twin = pickle.loads(pickle.dumps(layer))  # noqa: S301  what was pickled a moment ago
    else:
        torch.save(layer, file := io.BytesIO())
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    assert torch.equal(twin(X), expected)
    with torch.no_grad():
        (next(twin.parameters(), None) if list(twin.parameters()) else next(twin.buffers())).mul_(1.5)
    assert not torch.equal(twin(X)[..., :4, :4], expected[..., :4, :4])
    assert torch.equal(layer(X), expected)


@pytest.mark.parametrize("learn", [False, True])
def test_a_state_of_the_first_version_loads(learn: bool) -> None:
    """The names and shapes that checkpoints hold since the first version."""
    state = {"strides": torch.tensor([1.7, 2.6])}
    if learn:
        state["log_smoothness"] = torch.tensor([1.0, 2.0])
    layer = DiffStride(2.0, learn_smoothness=learn)
    layer.load_state_dict(state)
    assert {key: value.tolist() for key, value in layer.state_dict().items()} == {
        key: value.tolist() for key, value in state.items()
    }
