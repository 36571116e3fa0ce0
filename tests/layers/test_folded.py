"""The ramp that folds: its two limits, a gradient wherever an axis can have one, and the smoothness that is learned."""

import pytest
import torch
from torch import Tensor

from audiostride.layers import DiffStride, downsampling_matrix, spectral_pooling_matrix
from audiostride.layers.gains import Mask
from audiostride.models.backbone import TimeFrequencyCnn

ENDLESS = 1e6  # bins: so wide a ramp is no mask


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def double(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def gradients(n_in: int, stride: float, smoothness: float) -> tuple[Tensor, Tensor]:
    """Of a random projection of the matrix, in stride and smoothness."""
    leaves = double(stride), double(smoothness)
    matrix = downsampling_matrix(n_in, *leaves, "folded")
    return torch.autograd.grad((matrix * randn(*matrix.shape)).sum(), leaves)


@pytest.mark.parametrize(("n_in", "stride"), [(100, 2), (64, 4), (12, 3), (60, 5), (33, 1)])
def test_without_a_mask_an_integer_stride_keeps_every_sth_sample(n_in: int, stride: int) -> None:
    x = randn(n_in)
    kept = downsampling_matrix(n_in, double(stride).detach(), 1e9, "folded") @ x
    torch.testing.assert_close(kept, x[::stride], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("n_in", "stride"), [(100, 2.0), (96, 3.0), (48, 4.0)])
def test_without_a_ramp_it_is_spectral_pooling(n_in: int, stride: float) -> None:
    """But for the bin at half the new rate, which a crop keeps and a cut before it does not."""
    narrow = downsampling_matrix(n_in, double(stride).detach(), 1e-6, "folded")
    pooled = spectral_pooling_matrix(n_in, double(stride).detach())
    torch.testing.assert_close(narrow, pooled, rtol=0, atol=1e-9)


def test_the_model_without_a_mask_is_that_of_strided_convolutions() -> None:
    torch.manual_seed(0)
    strided = TimeFrequencyCnn("strided_conv", width=0.1).double().eval()
    folded = TimeFrequencyCnn("fixed_stride", width=0.1, ramp="folded", smoothness=ENDLESS).double().eval()
    weights = folded.state_dict() | strided.state_dict()
    folded.load_state_dict({name: weights[name] for name in folded.state_dict()})
    log_mel = randn(2, 1, 64, 96)  # of sizes that the strides divide
    torch.testing.assert_close(folded(log_mel), strided(log_mel), rtol=0, atol=1e-4)


@pytest.mark.parametrize("smoothness", [1.0, 1.5, 4.0, 8.0, 16.0, 100.0])
@pytest.mark.parametrize("stride", [1.0, 1.01, 1.5, 2.0, 2.5, 3.0, 4.0, 10.0, 1000.0])
def test_every_axis_of_four_samples_or_more_has_a_gradient(stride: float, smoothness: float) -> None:
    without = [n for n in range(4, 131) if gradients(n, stride, smoothness)[0] == 0]
    assert without == []


@pytest.mark.parametrize(("n_in", "stride"), [(50, 2.3), (33, 1.7), (64, 3.1), (7, 1.45)])
def test_derivatives_in_stride_and_smoothness(n_in: int, stride: float) -> None:
    leaves = double(stride), double(5.3)
    assert torch.autograd.gradcheck(lambda s, r: downsampling_matrix(n_in, s, r, "folded"), leaves)


@pytest.mark.parametrize(("n_in", "stride", "n_out"), [(100, 2.0, 50), (25, 2.0, 13), (100, 3.0, 34), (3, 9.0, 2)])
def test_as_many_samples_are_left_as_of_a_strided_convolution(n_in: int, stride: float, n_out: int) -> None:
    assert Mask.of(n_in, stride, 8.0, "folded").n_out == n_out


@pytest.mark.parametrize(("shape", "axes"), [((2, 50), (-1,)), ((3, 20, 31), (-2, -1)), ((2, 12, 16, 21), (1, 2, 3))])
@pytest.mark.parametrize("shared", [False, True])
def test_derivatives_of_the_layer_over_one_to_three_axes(
    shape: tuple[int, ...], axes: tuple[int, ...], *, shared: bool
) -> None:
    strides = [1.9] if shared else [1.9, 2.2, 1.3][: len(axes)]
    layer = DiffStride(strides, axes, 3.3, "folded", shared=shared, learn_smoothness=True).double()
    x = randn(*shape)
    names, leaves = zip(*layer.named_parameters(), strict=True)

    def projected(*values: Tensor) -> Tensor:
        y: Tensor = torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))
        return (y * randn(*y.shape)).sum()

    assert set(names) == {"strides", "log_smoothness"}
    assert torch.autograd.gradcheck(projected, leaves)


@pytest.mark.parametrize("ramp", ["folded", "outside", "inside"])
@pytest.mark.parametrize("stride", [1.0, 1.05, 1.4])
@pytest.mark.parametrize("smoothness", [1.5, 3.3, 6.1, 19.7])
@pytest.mark.parametrize("shared", [False, True])
def test_a_stride_at_its_lower_bound_leaves_the_width_its_gradient(
    ramp: str, stride: float, smoothness: float, *, shared: bool
) -> None:
    """The bound `n / (n - R)` grows with the width of the ramp, so the ramp begins earlier."""
    layer = DiffStride(stride, (-2, -1), smoothness, ramp, shared=shared, learn_smoothness=True).double()
    x, weights = randn(20, 64), None

    def loss(log_smoothness: Tensor) -> Tensor:
        nonlocal weights
        y: Tensor = torch.func.functional_call(layer, {"log_smoothness": log_smoothness}, (x,))
        weights = randn(*y.shape) if weights is None else weights
        return (y * weights).sum()

    assert torch.autograd.gradcheck(loss, layer.log_smoothness)


@pytest.mark.parametrize("n_in", [1, 2])
@pytest.mark.parametrize("stride", [1.0, 2.0, 8.0])
def test_a_stride_that_changes_nothing_cannot_learn(n_in: int, stride: float) -> None:
    layer, other = (DiffStride(value, -1, ramp="folded") for value in (stride, 33.0))
    x = torch.randn(3, n_in)
    assert torch.equal(layer(x), other(x))
    assert layer.cannot_learn([n_in]) == [True]
    assert layer.cannot_learn([4]) == [False]


def test_a_stride_shared_by_axes_leaves_the_sizes_of_a_strided_convolution() -> None:
    layer = DiffStride(1.0, (-2, -1), 8.0, "folded", shared=True)
    assert layer.output_sizes([20, 100]) == [20, 100]
    assert [stride.item() for stride in layer.effective_strides([20, 100])] == pytest.approx([20 / 15] * 2)


def test_evaluation_gives_what_training_gives_with_a_learned_smoothness() -> None:
    layer, x = (
        DiffStride([2.3, 1.7], smoothness=[3.0, 9.0], ramp="folded", learn_smoothness=True),
        torch.randn(2, 9, 30),
    )
    with torch.no_grad():
        evaluated = layer(x)
    assert torch.equal(layer(x), evaluated)
    frozen = DiffStride([2.3, 1.7], smoothness=layer.smoothness, ramp="folded", learnable=False)
    assert torch.equal(frozen(x), evaluated)


def test_projection_keeps_a_bin_on_every_ramp() -> None:
    layer = DiffStride([2.0, 2.0], smoothness=1.0, ramp="folded", learn_smoothness=True)
    with torch.no_grad():
        layer.log_smoothness.copy_(torch.tensor([-3.0, 40.0]))
    layer.project_()
    assert layer.smoothness == pytest.approx([1.0, 1e6])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smoothness": 0.5, "ramp": "folded"}, "smoothness.*at least 1 Fourier bin.*0.5"),
        ({"smoothness": [2.0, 0.5], "learn_smoothness": True}, "smoothness.*at least 1 Fourier bin.*0.5"),
        ({"smoothness": [2.0]}, r"smoothness must hold 2 value\(s\), got 1"),
        ({"learn_smoothness": True, "learnable": False}, "learn_smoothness needs learnable strides"),
    ],
)
def test_settings_that_cannot_learn_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiffStride([2.0, 2.0], **settings)  # type: ignore[arg-type]


def test_a_frozen_stride_may_have_any_ramp() -> None:
    assert DiffStride([2.0, 2.0], smoothness=0.5, ramp="folded", learnable=False)(torch.randn(20, 30)).shape == (10, 15)
