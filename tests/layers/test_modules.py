"""The modules against a matrix per axis, finite differences, and their own promises about state and sizes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor, nn

from audiostride.layers import (
    DiffStride,
    Operator,
    SpectralPooling,
    downsampling_matrix,
    freeze_strides_,
    matrices,
    resample_axis,
    spectral_pooling_matrix,
)
from audiostride.layers.gains import Mask
from audiostride.layers.matrices import downsampling_operator, fixed_matrix, fixed_pooling_matrix
from audiostride.vocabulary import Ramp

RAMPS: list[Ramp] = ["outside", "inside", "folded"]
MODULES = [DiffStride, SpectralPooling]
SHAPES_AND_AXES = [
    ((50,), (-1,)),
    ((3, 50), (-1,)),
    ((2, 3, 4, 50), (-1,)),
    ((2, 33, 5), (1,)),
    ((33, 50), (-2, -1)),
    ((2, 3, 33, 50), (-2, -1)),
    ((2, 1, 3, 20, 31), (-2, -1)),
    ((20, 3, 31), (0, 2)),
    ((12, 16, 21), (-3, -2, -1)),
    ((2, 3, 12, 16, 21), (-3, -2, -1)),
]


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def apply_matrices(x: Tensor, matrices: Sequence[Tensor], axes: Sequence[int]) -> Tensor:
    for matrix, axis in zip(matrices, axes, strict=True):
        x = torch.tensordot(matrix, x, dims=([1], [axis])).movedim(0, axis)
    return x


def with_strides(module: nn.Module, strides: Tensor, x: Tensor) -> Tensor:
    y: Tensor = torch.func.functional_call(module, {"strides": strides}, (x,))
    return y


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual - expected).detach().abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize(("shape", "axes"), SHAPES_AND_AXES)
def test_diffstride_applies_a_matrix_per_axis(shape: tuple[int, ...], axes: tuple[int, ...], ramp: Ramp) -> None:
    strides = [1.7, 2.3, 1.2][: len(axes)]
    x = randn(*shape)
    layer = DiffStride(strides, axes, 2.5, ramp).double()
    values = zip(axes, layer.strides.detach(), strict=True)
    matrices = [downsampling_matrix(shape[axis], stride, 2.5, ramp) for axis, stride in values]
    torch.testing.assert_close(layer(x), apply_matrices(x, matrices, axes))


@pytest.mark.parametrize(("shape", "axes"), SHAPES_AND_AXES)
def test_spectral_pooling_resamples_every_axis(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    layer = SpectralPooling([1.7, 2.3, 1.0][: len(axes)], axes).double()
    x = randn(*shape)
    expected = x.numpy()
    sizes = layer.output_sizes([shape[axis] for axis in axes])
    for axis, n_out in zip(axes, sizes, strict=True):
        expected = scipy.signal.resample(expected, n_out, axis=axis)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch", [(0,), (1,), (3, 0), (2, 5)])
@pytest.mark.parametrize("module", MODULES)
def test_leading_dimensions_of_any_size(module: Any, batch: tuple[int, ...]) -> None:
    layer = module([2.0, 2.0])
    assert layer(torch.zeros(*batch, 33, 50)).shape == (*batch, *layer.output_sizes([33, 50]))


@pytest.mark.parametrize("module", MODULES)
def test_leading_dimensions_are_independent(module: Any) -> None:
    layer, x = module([1.7, 2.3]).double(), randn(3, 2, 20, 31)
    torch.testing.assert_close(layer(x)[1, 1], layer(x[1, 1]))


@pytest.mark.parametrize("module", MODULES)
def test_memory_layout_does_not_matter(module: Any) -> None:
    layer, x = module([1.7, 2.3]).double(), randn(3, 4, 20, 31)
    torch.testing.assert_close(layer(x.to(memory_format=torch.channels_last)), layer(x))


@pytest.mark.parametrize("module", MODULES)
def test_axes_count_from_either_end(module: Any) -> None:
    x = randn(2, 3, 20, 31)
    torch.testing.assert_close(module([1.7, 2.3], (2, 3))(x.float()), module([1.7, 2.3], (-2, -1))(x.float()))


@pytest.mark.parametrize("module", MODULES)
def test_each_stride_belongs_to_its_axis_in_any_order(module: Any) -> None:
    x = randn(2, 20, 31).float()
    torch.testing.assert_close(module([1.7, 2.3], (-2, -1))(x), module([2.3, 1.7], (-1, -2))(x))


@pytest.mark.parametrize("module", MODULES)
def test_two_axes_equal_one_after_the_other(module: Any) -> None:
    x = randn(2, 3, 20, 31)
    apart = module([2.3], (-1,)).double()(module([1.7], (-2,)).double()(x))
    torch.testing.assert_close(module([1.7, 2.3]).double()(x), apart)


@pytest.mark.parametrize("module", MODULES)
def test_transposed_input_gives_transposed_output(module: Any) -> None:
    x = randn(2, 20, 31)
    torch.testing.assert_close(module([1.7, 2.3]).double()(x).mT, module([2.3, 1.7]).double()(x.mT))


@pytest.mark.parametrize("stride", [1.0, 1.1, 2.3, 30.0])
@pytest.mark.parametrize("axes", [(-2, -1), (-3, -2, -1)])
def test_shared_stride_is_clamped_to_the_largest_lower_bound(axes: tuple[int, ...], stride: float) -> None:
    x = randn(2, 16, 20, 100)
    smallest = min(x.shape[axis] for axis in axes)
    expected_stride = torch.tensor(max(stride, smallest / (smallest - 4)), dtype=torch.float64)
    matrices = [downsampling_matrix(x.shape[axis], expected_stride) for axis in axes]
    layer = DiffStride([stride], axes, shared=True).double()
    torch.testing.assert_close(layer(x), apply_matrices(x, matrices, axes), rtol=0, atol=1e-6)


def test_shared_strides_are_one_parameter() -> None:
    assert [tuple(p.shape) for p in DiffStride([2.0], shared=True).parameters()] == [(1,)]


@pytest.mark.parametrize("shared", [False, True])
def test_stride_frozen_at_one_is_the_identity(shared: bool) -> None:
    layer, x = DiffStride([1.0] if shared else [1.0, 1.0], shared=shared, learnable=False), torch.randn(2, 3, 20, 31)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=0)


def test_stride_frozen_at_one_leaves_only_its_axis_unchanged() -> None:
    x = torch.randn(2, 20, 31)
    layer = DiffStride([1.0, 2.3], learnable=False)
    torch.testing.assert_close(layer(x), x @ downsampling_matrix(31, torch.tensor(2.3)).T)


def test_learnable_stride_of_one_is_not_the_identity() -> None:
    x = torch.randn(2, 20, 31)
    assert relative_error(DiffStride([1.0, 1.0])(x), x) > 0.02


def test_spectral_pooling_at_stride_one_is_the_identity() -> None:
    x = torch.randn(2, 20, 31)
    torch.testing.assert_close(SpectralPooling([1.0, 1.0])(x), x, rtol=0, atol=0)


def test_frozen_diffstride_computes_what_the_learnable_one_does() -> None:
    x = torch.randn(2, 20, 31)
    torch.testing.assert_close(DiffStride([1.7, 2.3], learnable=False)(x), DiffStride([1.7, 2.3])(x))


@pytest.mark.parametrize("module", [DiffStride([2.0, 2.0], learnable=False), SpectralPooling([2.0, 2.0])])
def test_fixed_strides_are_no_parameters(module: nn.Module) -> None:
    assert not list(module.parameters())


@pytest.mark.parametrize("module", MODULES)
def test_a_number_is_one_axis(module: Any) -> None:
    x = torch.randn(2, 3, 50)
    assert module(2.0, axes=-1).axes == (-1,)
    assert torch.equal(module(2.0, axes=-1)(x), module(2.0, axes=(-1,))(x))


@pytest.mark.parametrize("axes", ["time", (1.5,), (True,), True, ("-1",)])
@pytest.mark.parametrize("module", MODULES)
def test_axes_are_whole_numbers(module: Any, axes: Any) -> None:
    with pytest.raises(TypeError, match="axes must be whole numbers, as in"):
        module(2.0, axes=axes)


@pytest.mark.parametrize("strides", [None, True, "2", ["a", 2.0], [None, 2.0]])
@pytest.mark.parametrize("module", MODULES)
def test_strides_are_numbers(module: Any, strides: Any) -> None:
    with pytest.raises(TypeError, match="strides must be a number or one number per axis, got"):
        module(strides)


@pytest.mark.parametrize("module", MODULES)
def test_strides_may_be_a_tensor(module: Any) -> None:
    assert module(torch.tensor(2.5)).strides.tolist() == [2.5, 2.5]
    assert module(torch.tensor([2.5, 1.5])).strides.tolist() == [2.5, 1.5]


@pytest.mark.parametrize("module", MODULES)
def test_an_array_is_no_input(module: Any) -> None:
    with pytest.raises(TypeError, match=r"input must be a tensor, got ndarray.*torch\.from_numpy"):
        module(2.0)(torch.zeros(8, 8).numpy())


@pytest.mark.parametrize("module", MODULES)
def test_a_layer_alone_cannot_be_frozen_in_place(module: Any) -> None:
    with pytest.raises(ValueError, match=r"take what its freeze\(sizes\) gives"):
        freeze_strides_(module(2.0), torch.zeros(8, 8))


def test_widths_learn_where_strides_are_held() -> None:
    layer = DiffStride(2.3, -1, 4.0, "folded", learn_smoothness=True)
    layer.strides.requires_grad_(False)
    (layer(torch.randn(3, 40)) ** 2).sum().backward()
    assert layer.log_smoothness.grad is not None
    assert bool((layer.log_smoothness.grad != 0).all())


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ([32], ValueError, r"sizes must hold 2 value\(s\), one per axis of \(-2, -1\), got 1: \[32\]"),
        ((2, 3, 12, 17), ValueError, r"sizes must hold 2 value.*got 4"),
        (torch.ones(2, 3, 12, 17), TypeError, "sizes must be numbers of samples.*got a tensor"),
        (12, TypeError, "sizes must be numbers of samples.*got 12"),
        ([5, 0], ValueError, r"sizes must be at least 1 sample, got \[5, 0\]"),
    ],
)
@pytest.mark.parametrize("method", ["freeze", "effective_strides", "output_sizes"])
@pytest.mark.parametrize("module", MODULES)
def test_sizes_that_are_not_one_per_axis_are_refused(
    module: Any, method: str, sizes: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(module([2.0, 2.0]), method)(sizes)


@pytest.mark.parametrize(
    ("strides", "axes", "message"),
    [
        ([2.0, 2.0], (-1, -1), r"axes.*\(-1, -1\)"),
        ([2.0], (), "axes"),
        ([], (), "axes"),
        ([2.0], (-2, -1), r"strides.*\[2.0\]"),
        ([2.0, 2.0, 2.0], (-2, -1), "strides.*2.0, 2.0, 2.0"),
        ([2.0, 0.5], (-2, -1), "stride.*0.5"),
        ([2.0, float("nan")], (-2, -1), "stride.*nan"),
        ([float("inf"), 2.0], (-2, -1), "stride.*inf"),
    ],
)
@pytest.mark.parametrize("module", MODULES)
def test_bad_strides_and_axes_are_refused(
    module: Any, strides: list[float], axes: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        module(strides, axes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"smoothness": 0.0}, "smoothness.*0"),
        ({"ramp": "x"}, "ramp.*'x'"),
        ({"shared": True}, r"strides.*\[2.0, 2.0\]"),
    ],
)
def test_diffstride_refuses_a_bad_setting(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiffStride([2.0, 2.0], **arguments)


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ((1, -1), (20, 31), r"axes.*\(1, -1\)"),
        ((-3, -1), (20, 31), r"axes.*\(-3, -1\).*\(20, 31\)"),
        ((0, 2), (20, 31), r"axes.*\(0, 2\).*\(20, 31\)"),
        ((-2, -1), (20, 0), r"axis -1.*\(20, 0\)"),
    ],
)
@pytest.mark.parametrize("module", MODULES)
def test_inputs_that_lack_the_axes_are_refused(
    module: Any, axes: tuple[int, ...], shape: tuple[int, ...], message: str
) -> None:
    layer = module([2.0, 2.0], axes)
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(shape))


@pytest.mark.parametrize("ramp", RAMPS)
def test_derivative_in_the_input(ramp: Ramp) -> None:
    layer = DiffStride([1.9, 2.2], smoothness=1.5, ramp=ramp).double()
    assert torch.autograd.gradcheck(layer, (randn(2, 7, 9).requires_grad_(),))


def test_derivative_of_spectral_pooling_in_the_input() -> None:
    assert torch.autograd.gradcheck(SpectralPooling([1.9, 2.2]).double(), (randn(2, 7, 9).requires_grad_(),))


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize(("strides", "shared"), [([1.9, 2.2], False), ([1.9], True)])
def test_derivative_in_the_strides(strides: list[float], shared: bool, ramp: Ramp) -> None:
    layer, x = DiffStride(strides, smoothness=1.2, ramp=ramp, shared=shared).double(), randn(2, 7, 9)
    leaf = torch.tensor(strides, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: with_strides(layer, s, x), (leaf,))


@pytest.mark.parametrize("shape", [(20, 31), (2, 64, 100), (1, 1, 5, 3), (1, 1)])
@pytest.mark.parametrize("module", MODULES)
def test_forward_changes_nothing_in_the_module(module: Any, shape: tuple[int, ...]) -> None:
    layer = module([1.0, 40.0])
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer(torch.randn(shape))
    torch.testing.assert_close(dict(layer.state_dict()), before, rtol=0, atol=0)
    assert set(before) == {"strides"}


def test_projection_brings_strides_back_to_at_least_one() -> None:
    layer = DiffStride([2.0, 2.0])
    with torch.no_grad():
        layer.strides.copy_(torch.tensor([0.3, 1.7]))
    layer.project_()
    torch.testing.assert_close(layer.strides.detach(), torch.tensor([1.0, 1.7]))


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("shared", [False, True])
def test_a_stride_below_one_counts_as_one(shared: bool, ramp: Ramp) -> None:
    layer = DiffStride([2.0] if shared else [2.0, 2.0], ramp=ramp, shared=shared)
    x = torch.randn(2, 12, 20)
    with torch.no_grad():
        layer.strides.fill_(0.3)
    found = layer(x)
    layer.project_()
    assert layer.strides.tolist() == [1.0] * len(layer.strides)
    assert torch.equal(found, layer(x))


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_gradient_of_a_stride_below_one_leads_back_alone(sign: int) -> None:
    """A step of gradient descent moves it up, by the gradient of a stride of 1, or not at all."""
    layer, x = DiffStride(1.0, axes=[-1]).double(), randn(3, 20)
    at_one = torch.autograd.grad(layer(x).square().sum(), layer.strides)[0]
    with torch.no_grad():
        layer.strides.fill_(0.3)
    (found,) = torch.autograd.grad(sign * layer(x).square().sum(), layer.strides)
    torch.testing.assert_close(found, (sign * at_one).clamp(max=0))


def test_without_a_hook_an_optimiser_cannot_lose_a_stride() -> None:
    """The loss asks for a stride of 0 and then for a large one: it follows at once."""
    layer, x = DiffStride(1.5, axes=[-1], ramp="folded", learn_smoothness=True), torch.randn(3, 20)
    optimizer = torch.optim.SGD(layer.parameters(), 0.01)
    for sign, n_steps in ((-1, 200), (1, 20)):
        for _ in range(n_steps):
            optimizer.zero_grad()
            (sign * layer(x).square().sum()).backward()
            optimizer.step()
    assert layer.strides.item() > 1.05


def test_a_stride_that_is_no_number_is_refused() -> None:
    layer = DiffStride(2.0)
    with torch.no_grad():
        layer.strides.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"stride.*nan"):
        layer(torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("sizes", [(64, 100), (20, 31), (5, 8), (1, 2)])
@pytest.mark.parametrize("stride", [1.0, 1.08, 2.3, 50.0])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("learnable", [False, True])
def test_output_sizes_are_those_of_the_output(
    stride: float, sizes: tuple[int, int], ramp: Ramp, shared: bool, learnable: bool
) -> None:
    layer = DiffStride([stride] if shared else [stride, 1.7], ramp=ramp, shared=shared, learnable=learnable)
    assert tuple(layer.output_sizes(sizes)) == layer(torch.randn(sizes)).shape


@pytest.mark.parametrize("sizes", [(64, 100), (20, 31), (5, 8), (2, 3)])
@pytest.mark.parametrize("stride", [1.0, 1.08, 2.3, 50.0])
def test_output_sizes_of_spectral_pooling_are_those_of_the_output(stride: float, sizes: tuple[int, int]) -> None:
    layer = SpectralPooling([stride, 1.7])
    assert tuple(layer.output_sizes(sizes)) == layer(torch.randn(sizes)).shape


@pytest.mark.parametrize("sizes", [(64, 100), (20, 31), (5, 8)])
@pytest.mark.parametrize("stride", [1.0, 1.08, 2.3, 50.0])
@pytest.mark.parametrize("shared", [False, True])
def test_effective_strides_are_those_that_forward_realises(stride: float, sizes: tuple[int, int], shared: bool) -> None:
    layer, x = DiffStride([stride] if shared else [stride, 1.7], shared=shared).double(), randn(3, *sizes)
    matrices = [downsampling_matrix(n, s.detach()) for n, s in zip(sizes, layer.effective_strides(sizes), strict=True)]
    torch.testing.assert_close(layer(x), apply_matrices(x, matrices, (-2, -1)))


def test_effective_strides_pass_gradients_straight_through() -> None:
    layer = DiffStride([1.0, 400.0])
    torch.stack(layer.effective_strides([64, 100])).sum().backward()
    torch.testing.assert_close(layer.strides.grad, torch.ones(2))


def test_effective_stride_frozen_at_one_is_one() -> None:
    assert [float(s) for s in DiffStride([1.0, 1.0], learnable=False).effective_strides([64, 100])] == [1.0, 1.0]


def test_effective_strides_of_spectral_pooling_are_not_clamped() -> None:
    assert [float(s) for s in SpectralPooling([1.0, 400.0]).effective_strides([64, 100])] == [1.0, 400.0]


@pytest.mark.parametrize("learnable", [False, True])
def test_state_dict_restores_the_strides(learnable: bool) -> None:
    source, target = (DiffStride(strides, learnable=learnable) for strides in ([1.7, 2.3], [3.0, 3.0]))
    target.load_state_dict(source.state_dict())
    x = torch.randn(2, 20, 31)
    torch.testing.assert_close(target(x), source(x), rtol=0, atol=0)


def test_state_dict_restores_spectral_pooling() -> None:
    source, target = SpectralPooling([1.7, 2.3]), SpectralPooling([3.0, 3.0])
    target.load_state_dict(source.state_dict())
    assert target.output_sizes([20, 31]) == source.output_sizes([20, 31])


@pytest.mark.parametrize("axes", [(-2, -1), (1, 2)])
@pytest.mark.parametrize("module", MODULES)
def test_bfloat16_autocast_is_close(module: Any, axes: tuple[int, ...]) -> None:
    layer, x = module([1.7, 2.3], axes), torch.randn(4, 40, 64, 100)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert relative_error(y.float(), layer(x)) < 2e-2


def test_bfloat16_autocast_gradient_in_the_strides_is_close() -> None:
    layer, x = DiffStride([1.7, 2.3]), torch.randn(4, 3, 64, 100)
    (expected,) = torch.autograd.grad(layer(x).square().mean(), layer.strides)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    (actual,) = torch.autograd.grad(y.float().square().mean(), layer.strides)
    torch.testing.assert_close(actual, expected, rtol=5e-2, atol=0)


def einsum_reference(x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    letters = "abcd"
    i = letters[axis]
    y: Tensor = torch.einsum(f"oi,{letters.replace(i, 'i')}->{letters.replace(i, 'o')}", matrix, x)
    return y


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2])
def test_resampling_an_axis_equals_einsum(axis: int) -> None:
    x = randn(7, 6, 5, 8)
    matrix = randn(4, x.shape[axis])
    torch.testing.assert_close(resample_axis(x, Operator(matrix), axis), einsum_reference(x, matrix, axis))


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("smoothness", [0.5, 1.0, 2.5, 4.0, 30.0])
@pytest.mark.parametrize("value", [1.0, 1.05, 2.0, 2.3, 7.9])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gradients_of_an_operator_are_those_of_its_matrix(
    axis: int, value: float, smoothness: float, ramp: Ramp
) -> None:
    x, stride = randn(12, 20, 17).requires_grad_(), torch.tensor(value, dtype=torch.float64, requires_grad=True)
    n_in = x.shape[axis]
    operator = downsampling_operator(Mask.of(n_in, stride, smoothness, ramp))
    output = resample_axis(x, operator, axis)
    expected = einsum_reference(x[None], downsampling_matrix(n_in, stride, smoothness, ramp), axis % 3 + 1)[0]
    torch.testing.assert_close(output, expected)
    weights = randn(*output.shape)
    found, wanted = (torch.autograd.grad((out * weights).sum(), (x, stride)) for out in (output, expected))
    torch.testing.assert_close(found, wanted)


def test_what_is_kept_for_the_gradient_is_smaller_than_the_input() -> None:
    layer, x = DiffStride([2.0], axes=(-1,)), torch.randn(32, 100)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda _: None):
        layer(x)
    of_maps = [tensor.numel() for tensor in kept if tensor.ndim and len(tensor) == len(x)]
    assert 0 < sum(of_maps) < x.numel() / 2


def test_resampling_with_a_constant_matrix_passes_the_gradient_of_the_input() -> None:
    x = randn(3, 20, 5).requires_grad_()
    operator = Operator(spectral_pooling_matrix(20, torch.tensor(2.0, dtype=torch.float64)))
    assert torch.autograd.gradcheck(lambda x: resample_axis(x, operator, 1), (x,))


# matrices of strides that do not change


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths that a matrix is computed for from now on."""
    lengths: list[int] = []
    for cached in (fixed_matrix, fixed_pooling_matrix):
        cached.cache_clear()
    plain = matrices.mask_basis

    def record(n_in: int, *arguments: Any) -> tuple[Tensor, Tensor]:
        lengths.append(n_in)
        return plain(n_in, *arguments)

    monkeypatch.setattr(matrices, "mask_basis", record)
    return lengths


@pytest.mark.parametrize("layer", [DiffStride([2.3, 1.7]), SpectralPooling([2.3, 1.7])], ids=["DiffStride", "spectral"])
def test_in_evaluation_a_matrix_is_computed_once(layer: Any, computed: list[int]) -> None:
    x = torch.randn(2, 20, 30)
    with torch.no_grad():
        first = layer(x)
        assert torch.equal(layer(x), first)
    assert sorted(computed) == [20, 30]


def test_a_stride_that_moved_has_another_matrix() -> None:
    layer, x = DiffStride([2.0], axes=(-1,)), torch.randn(2, 40)
    with torch.no_grad():
        before = layer(x)
        layer.strides.fill_(2.05)
        assert not torch.equal(layer(x), before)


def test_a_matrix_from_evaluation_serves_training() -> None:
    layer, x = DiffStride([2.0], axes=(-1,), learnable=False), torch.randn(2, 40, requires_grad=True)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert x.grad is not None


def test_evaluation_gives_what_training_gives() -> None:
    layer, x = DiffStride([2.3, 1.7]), torch.randn(2, 20, 30)
    with torch.no_grad():
        evaluated = layer(x)
    torch.testing.assert_close(layer(x), evaluated)


def test_moving_strides_leave_a_bounded_number_of_tensors() -> None:
    layer, x = DiffStride([1.0, 1.0]), torch.randn(1, 40, 60)
    caches = (matrices.mask_basis, matrices.ramp_basis, fixed_matrix)
    for stride in torch.linspace(1, 19, 3000).tolist():
        with torch.no_grad():
            layer.strides.fill_(stride)
            layer(x)
        layer(x).sum().backward()
    sizes = [cache.cache_info().currsize for cache in caches]
    assert all(0 < size <= cache.cache_info().maxsize for size, cache in zip(sizes, caches, strict=True))


@pytest.mark.parametrize("kind", [DiffStride, SpectralPooling])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int16, torch.bool, torch.complex64])
def test_what_is_no_real_number_is_refused_as_a_convolution_does(kind: type, dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="floating-point"):
        kind([2.0, 2.0])(torch.ones(1, 1, 8, 8, dtype=dtype))


@pytest.mark.parametrize("kind", [DiffStride, SpectralPooling])
def test_a_number_is_the_stride_of_every_axis(kind: type) -> None:
    assert kind(2).strides.tolist() == [2.0, 2.0]
    assert kind(2)(torch.ones(1, 1, 64, 100)).shape == kind([2.0, 2.0])(torch.ones(1, 1, 64, 100)).shape
