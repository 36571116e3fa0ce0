"""The backbone: its size, the sizes of its maps, the order of its layers, its strides and their gradients."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiostride.layers import DiffStride
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.blocks import ConvUnit
from audiostride.models.downsampler import StridedConv2d, project_strides_
from audiostride.models.layer_strides import LayerStride
from audiostride.vocabulary import STRIDES, Downsampling, Order, Placement, Ramp

METHODS: list[Downsampling] = ["strided_conv", "spectral_pooling", "fixed_stride", "diffstride"]
FOURIER_METHODS: list[Downsampling] = ["spectral_pooling", "fixed_stride", "diffstride"]
PLACEMENTS: list[Placement] = ["per_axis", "per_block"]
ORDERS: list[Order] = ["conv_pool_relu_bn", "conv_relu_bn_pool"]
RAMPS: list[Ramp] = ["outside", "inside"]
WIDTH = 1 / 64


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def strides_of(model: TimeFrequencyCnn) -> list[float]:
    strides = model.strides_by_axis()
    return [*strides["time"], *strides["frequency"]]


def stride_gradients(model: TimeFrequencyCnn) -> Tensor:
    gradients = [layer.strides.grad for _, layer in model.downsamplers()]
    return torch.cat([gradient for gradient in gradients if gradient is not None])


def realised_sizes(model: TimeFrequencyCnn, n_mels: int, n_frames: int) -> list[tuple[int, str, int, int]]:
    """Block, axis and size before and after of everything that downsamples, as seen in a forward pass."""
    seen: list[tuple[int, str, int, int]] = []

    def watch(block: int, unit: Any, axes: tuple[int, ...]) -> None:
        def record(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            for axis in axes:
                name = {-2: "frequency", -1: "time"}[axis]
                seen.append((block, name, inputs[0].shape[axis], output.shape[axis]))

        unit.register_forward_hook(record)

    for number, block in enumerate(model.blocks, 1):
        for unit in (block.time, block.frequency):
            watch(number, unit, getattr(unit.conv if unit.pool is None else unit.pool, "axes", ()))
    model.eval()(torch.randn(1, 1, n_mels, n_frames))
    return seen


def promised_sizes(layers: list[LayerStride]) -> list[tuple[int, str, int, int]]:
    return [(layer.block, layer.axis, layer.n_in, layer.n_out) for layer in layers]


def randomise_statistics(unit: ConvUnit) -> None:
    """Make batch norm an affine map that does not commute with anything."""
    for values in (unit.norm.weight, unit.norm.bias, unit.norm.running_mean):
        assert values is not None
        nn.init.normal_(values)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("downsampling", METHODS)
def test_number_of_parameters_does_not_depend_on_the_method(downsampling: Downsampling, placement: Placement) -> None:
    with torch.device("meta"):
        model = TimeFrequencyCnn(downsampling, placement)
    parameters = [p for name, p in model.named_parameters() if not name.endswith("strides")]
    assert all(p.requires_grad for p in parameters)
    assert sum(p.numel() for p in parameters) == 3_537_216


@pytest.mark.parametrize(
    ("placement", "shared", "n_strides"), [("per_axis", False, 12), ("per_block", False, 12), ("per_block", True, 6)]
)
def test_number_of_learned_strides(placement: Placement, shared: bool, n_strides: int) -> None:
    model = TimeFrequencyCnn("diffstride", placement, width=WIDTH, shared=shared)
    assert sum(p.numel() for name, p in model.named_parameters() if name.endswith("strides")) == n_strides


@pytest.mark.parametrize("sizes", [(64, 100), (40, 63), (17, 31)])
@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("downsampling", METHODS)
def test_promised_sizes_are_those_of_the_maps(
    downsampling: Downsampling, placement: Placement, ramp: Ramp, sizes: tuple[int, int]
) -> None:
    model = TimeFrequencyCnn(downsampling, placement, width=WIDTH, ramp=ramp)
    assert promised_sizes(model.layer_strides(*sizes)) == realised_sizes(model, *sizes)


@pytest.mark.parametrize("downsampling", METHODS)
def test_promised_sizes_hold_when_pooling_comes_last(downsampling: Downsampling) -> None:
    model = TimeFrequencyCnn(downsampling, order="conv_relu_bn_pool", width=WIDTH)
    assert promised_sizes(model.layer_strides(64, 100)) == realised_sizes(model, 64, 100)


@pytest.mark.parametrize("downsampling", METHODS)
def test_shared_strides_give_the_promised_sizes(downsampling: Downsampling) -> None:
    model = TimeFrequencyCnn(downsampling, "per_block", width=WIDTH, shared=True)
    assert promised_sizes(model.layer_strides(64, 100)) == realised_sizes(model, 64, 100)


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("downsampling", METHODS)
def test_last_map_has_the_promised_size(downsampling: Downsampling, placement: Placement) -> None:
    model = TimeFrequencyCnn(downsampling, placement, width=WIDTH)
    n_out = {layer.axis: layer.n_out for layer in model.layer_strides(64, 100)}
    maps = model(torch.randn(2, 1, 64, 100))
    assert maps.shape == (2, model.n_channels, n_out["frequency"], n_out["time"])


def test_fixed_stride_has_maps_of_the_size_of_diffstride() -> None:
    frozen, learned = (TimeFrequencyCnn(m, width=WIDTH, stride_time=[2.0] * 6) for m in ("fixed_stride", "diffstride"))
    assert promised_sizes(frozen.layer_strides(64, 100))[0] == promised_sizes(learned.layer_strides(64, 100))[0]


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_strided_convolutions_keep_every_stride_th_sample(stride: int, placement: Placement) -> None:
    model = TimeFrequencyCnn("strided_conv", placement, width=WIDTH, stride_time=[stride] * 6)
    sizes, expected = [layer.n_out for layer in model.layer_strides(64, 101) if layer.axis == "time"], [101]
    for _ in range(6):
        expected.append(-(-expected[-1] // stride))
    assert sizes == expected[1:]


@pytest.mark.parametrize("n_frames", [99, 100])
def test_strided_convolution_is_a_subsampled_convolution(n_frames: int) -> None:
    conv = StridedConv2d(2, 3, (1, 3), [3.0], [-1])
    x = torch.randn(1, 2, 5, n_frames)
    dense = nn.functional.conv2d(x, conv.weight, conv.bias, padding=(0, 1))
    torch.testing.assert_close(conv(x), dense[..., ::3])


@pytest.mark.parametrize("downsampling", METHODS)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_strides_belong_to_their_block_and_axis(placement: Placement, downsampling: Downsampling) -> None:
    time, frequency = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0], [3.0, 1.0, 1.0, 2.0, 2.0, 1.0]
    model = TimeFrequencyCnn(downsampling, placement, width=WIDTH, stride_time=time, stride_frequency=frequency)
    assert model.strides_by_axis() == {"time": time, "frequency": frequency}


@pytest.mark.parametrize(("placement", "axes"), [("per_axis", [(-1,), (-2,)]), ("per_block", [(-2, -1)])])
@pytest.mark.parametrize("downsampling", METHODS)
def test_placement_of_the_downsampling_layers(
    downsampling: Downsampling, placement: Placement, axes: list[tuple[int, ...]]
) -> None:
    model = TimeFrequencyCnn(downsampling, placement, width=WIDTH)
    expected = [(block, layer_axes) for block in range(1, 7) for layer_axes in axes]
    assert [(block, layer.axes) for block, layer in model.downsamplers()] == expected


@pytest.mark.parametrize("downsampling", METHODS)
def test_convolutions_are_along_time_then_along_mel(downsampling: Downsampling) -> None:
    convolutions = [m for m in TimeFrequencyCnn(downsampling, width=WIDTH).modules() if isinstance(m, nn.Conv2d)]
    assert [(c.kernel_size, c.padding, c.bias is not None) for c in convolutions] == [
        ((1, 3), (0, 1), True),
        ((3, 1), (1, 0), True),
    ] * 6


@pytest.mark.parametrize("downsampling", FOURIER_METHODS)
def test_pooling_comes_before_relu_and_batch_norm(downsampling: Downsampling) -> None:
    unit: Any = TimeFrequencyCnn(downsampling, width=1 / 16, order="conv_pool_relu_bn").blocks[0].time
    randomise_statistics(unit.eval())
    x = torch.randn(2, 1, 20, 31)
    torch.testing.assert_close(unit(x), unit.norm(unit.pool(unit.conv(x)).relu()))


@pytest.mark.parametrize("downsampling", FOURIER_METHODS)
def test_pooling_comes_after_relu_and_batch_norm(downsampling: Downsampling) -> None:
    unit: Any = TimeFrequencyCnn(downsampling, width=1 / 16, order="conv_relu_bn_pool").blocks[0].time
    randomise_statistics(unit.eval())
    x = torch.randn(2, 1, 20, 31)
    torch.testing.assert_close(unit(x), unit.pool(unit.norm(unit.conv(x).relu())))


@pytest.mark.parametrize("downsampling", FOURIER_METHODS)
def test_the_two_orders_differ(downsampling: Downsampling) -> None:
    first, second = (TimeFrequencyCnn(downsampling, order=order, width=1 / 16).eval() for order in ORDERS)
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 1, 64, 100)
    assert (first(x) - second(x)).abs().max() > 1e-3


def test_strided_convolutions_have_one_order() -> None:
    first, second = (TimeFrequencyCnn("strided_conv", order=order, width=1 / 16).eval() for order in ORDERS)
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 1, 64, 100)
    torch.testing.assert_close(first(x), second(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("width", "channels"),
    [
        (1.0, [64, 128, 256, 256, 512, 512]),
        (0.25, [16, 32, 64, 64, 128, 128]),
        (2.0, [128, 256, 512, 512, 1024, 1024]),
        (1e-4, [1] * 6),
    ],
)
def test_width_multiplies_the_channels(width: float, channels: list[int]) -> None:
    with torch.device("meta"):
        model = TimeFrequencyCnn("strided_conv", width=width)
    blocks: Any = model.blocks
    assert [block.frequency.conv.out_channels for block in blocks] == channels
    assert model.n_channels == channels[-1]


def test_dropout_drops_whole_channels_of_the_last_map() -> None:
    model = TimeFrequencyCnn("strided_conv", width=0.25, dropout=0.5)
    maps = model(torch.randn(2, 1, 64, 100))
    dropped = (maps == 0).all((-2, -1))
    assert 0.3 < dropped.float().mean() < 0.7
    assert (maps != 0).all((-2, -1)).logical_or(dropped).all()


def test_dropout_does_nothing_in_evaluation() -> None:
    plain, dropping = (TimeFrequencyCnn("strided_conv", width=0.25, dropout=p).eval() for p in (0.0, 0.5))
    dropping.load_state_dict(plain.state_dict())
    x = torch.randn(2, 1, 64, 100)
    torch.testing.assert_close(dropping(x), plain(x), rtol=0, atol=0)


@pytest.mark.parametrize("downsampling", METHODS)
def test_items_of_a_batch_are_independent_in_evaluation(downsampling: Downsampling) -> None:
    model, x = TimeFrequencyCnn(downsampling, width=1 / 16).eval(), torch.randn(3, 1, 64, 100)
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("low_high", [(1.0, 3.0), (2.0, 2.5), (1.5, 1.5)])
@pytest.mark.parametrize("downsampling", FOURIER_METHODS)
def test_random_strides_are_within_their_range(downsampling: Downsampling, low_high: tuple[float, float]) -> None:
    model = TimeFrequencyCnn(
        downsampling, width=WIDTH, stride_time="random", stride_frequency="random", stride_range=low_high
    )
    assert all(low_high[0] <= stride <= low_high[1] for stride in strides_of(model))


def test_random_strides_are_real_numbers() -> None:
    model = TimeFrequencyCnn("diffstride", width=WIDTH, stride_time="random", stride_frequency="random")
    assert len(set(strides_of(model))) == 12
    assert not any(stride.is_integer() for stride in strides_of(model))


@pytest.mark.parametrize(
    ("low_high", "possible"), [((1.0, 3.0), {1, 2, 3}), ((1.5, 3.5), {2, 3}), ((1.4, 2.6), {2}), ((2.0, 2.0), {2})]
)
def test_random_strides_of_convolutions_are_all_integers_in_the_range(
    low_high: tuple[float, float], possible: set[int]
) -> None:
    drawn: set[float] = set()
    for _ in range(8):
        model = TimeFrequencyCnn(
            "strided_conv", width=WIDTH, stride_time="random", stride_frequency="random", stride_range=low_high
        )
        drawn |= set(strides_of(model))
    assert drawn == possible


@pytest.mark.parametrize("downsampling", METHODS)
def test_random_strides_are_reproducible(downsampling: Downsampling) -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(7)
        model = TimeFrequencyCnn(downsampling, width=WIDTH, stride_time="random", stride_frequency="random")
        drawn.append(strides_of(model))
    assert drawn[0] == drawn[1]


def test_random_strides_differ_between_seeds() -> None:
    first, second = (TimeFrequencyCnn(width=WIDTH, stride_time="random") for _ in range(2))
    assert strides_of(first) != strides_of(second)


def test_only_the_axis_asked_for_is_random() -> None:
    model = TimeFrequencyCnn(width=WIDTH, stride_time="random")
    assert model.strides_by_axis()["frequency"] == list(STRIDES)


def test_shared_random_strides_are_equal_on_both_axes() -> None:
    model = TimeFrequencyCnn(
        "diffstride", "per_block", width=WIDTH, stride_time="random", stride_frequency="random", shared=True
    )
    strides = model.strides_by_axis()
    assert strides["time"] == strides["frequency"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"downsampling": "x"}, "downsampling.*'x'"),
        ({"placement": "x"}, "placement.*'x'"),
        ({"order": "x"}, "order.*'x'"),
        ({"ramp": "x"}, "ramp.*'x'"),
        ({"smoothness": 0.0}, "smoothness.*0"),
        ({"width": 0.0}, "width.*0"),
        ({"width": -1.0}, "width.*-1"),
        ({"width": float("nan")}, "width.*nan"),
        ({"dropout": 1.0}, "dropout.*1"),
        ({"dropout": -0.1}, "dropout.*-0.1"),
        ({"stride_time": [2.0] * 5}, "stride_time.*5"),
        ({"stride_frequency": [2.0] * 7}, "stride_frequency.*7"),
        ({"stride_time": [0.5] * 6}, "stride.*0.5"),
        ({"stride_time": [float("nan")] * 6}, "stride.*nan"),
        ({"stride_time": "random", "stride_range": (3.0, 1.0)}, "stride_range.*3.*1"),
        ({"stride_time": "random", "stride_range": (0.5, 1.0)}, "stride_range.*0.5"),
        ({"shared": True}, "shared.*per_block"),
        ({"shared": True, "placement": "per_block", "stride_time": [3.0] * 6}, "shared.*stride_time"),
        ({"downsampling": "strided_conv", "stride_time": [1.5] * 6}, "stride.*1.5"),
        ({"downsampling": "strided_conv", "stride_time": [0.0] * 6}, "stride.*0"),
        ({"downsampling": "strided_conv", "stride_time": [float("nan")] * 6}, "stride.*nan"),
        ({"downsampling": "strided_conv", "stride_time": [float("inf")] * 6}, "stride.*inf"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimeFrequencyCnn(**{"width": WIDTH, **arguments})


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_projection_brings_every_learned_stride_back_to_at_least_one(placement: Placement) -> None:
    model = TimeFrequencyCnn("diffstride", placement, width=WIDTH)
    with torch.no_grad():
        for _, layer in model.downsamplers():
            layer.strides.sub_(1.5)
    project_strides_(model)
    expected = [max(stride - 1.5, 1.0) for stride in STRIDES]
    assert model.strides_by_axis() == {"time": expected, "frequency": expected}


@pytest.mark.parametrize("downsampling", ["strided_conv", "spectral_pooling", "fixed_stride"])
def test_projection_leaves_fixed_strides(downsampling: Downsampling) -> None:
    model = TimeFrequencyCnn(downsampling, width=WIDTH)
    project_strides_(model)
    assert model.strides_by_axis() == {"time": list(STRIDES), "frequency": list(STRIDES)}


@pytest.mark.parametrize("downsampling", ["strided_conv", "spectral_pooling", "fixed_stride"])
def test_fixed_strides_are_no_parameters_and_receive_no_gradient(downsampling: Downsampling) -> None:
    model = TimeFrequencyCnn(downsampling, width=WIDTH)
    model(torch.randn(2, 1, 64, 100)).square().sum().backward()
    assert not [name for name, _ in model.named_parameters() if name.endswith("strides")]
    assert all(layer.strides.grad is None for _, layer in model.downsamplers())


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_every_learned_stride_receives_a_gradient(order: Order, shared: bool) -> None:
    model = TimeFrequencyCnn("diffstride", "per_block", order, width=1 / 16, shared=shared)
    model(torch.randn(2, 1, 64, 100)).amax((-2, -1)).square().sum().backward()
    gradients = stride_gradients(model)
    assert len(gradients) == (6 if shared else 12)
    assert gradients.isfinite().all()
    assert (gradients.abs() > 1e-6).all()


@pytest.mark.parametrize("ramp", RAMPS)
def test_strides_receive_a_gradient_unless_the_ramp_fills_their_box(ramp: Ramp) -> None:
    model = TimeFrequencyCnn("diffstride", "per_axis", width=1 / 16, ramp=ramp)
    model(torch.randn(2, 1, 64, 100)).amax((-2, -1)).square().sum().backward()
    layers = model.layer_strides(64, 100)
    fixed = [ramp == "inside" and layer.n_in / (2 * float(layer.effective_stride.detach())) <= 4 for layer in layers]
    assert [bool(gradient == 0) for gradient in stride_gradients(model)] == fixed


@pytest.mark.parametrize("downsampling", METHODS)
def test_every_weight_receives_a_finite_gradient(downsampling: Downsampling) -> None:
    model = TimeFrequencyCnn(downsampling, width=1 / 16)
    model(torch.randn(2, 1, 64, 100)).amax((-2, -1)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_state_dict_restores_learned_strides() -> None:
    source = TimeFrequencyCnn(width=WIDTH, stride_time="random", stride_frequency="random")
    target = TimeFrequencyCnn(width=WIDTH)
    target.load_state_dict(source.state_dict())
    assert target.strides_by_axis() == source.strides_by_axis()


def test_learned_strides_load_into_a_frozen_model() -> None:
    learned = TimeFrequencyCnn("diffstride", width=WIDTH, stride_time=[2.5] * 6, stride_frequency=[1.5] * 6).eval()
    frozen = TimeFrequencyCnn("fixed_stride", width=WIDTH).eval()
    frozen.load_state_dict(learned.state_dict())
    x = torch.randn(1, 1, 64, 100)
    torch.testing.assert_close(frozen(x), learned(x))


def test_effective_strides_are_those_of_the_layers() -> None:
    model = TimeFrequencyCnn("diffstride", width=WIDTH)
    layers, modules = model.layer_strides(64, 100), [layer for _, layer in model.downsamplers()]
    for strides, module in zip(layers, modules, strict=True):
        assert isinstance(module, DiffStride)
        torch.testing.assert_close(strides.effective_stride, module.effective_strides([strides.n_in])[0])


# convolution and downsampling in one


def one_after_the_other(unit: ConvUnit, x: Tensor) -> Tensor:
    assert unit.pool is not None
    out: Tensor = unit.norm(unit.pool(unit.conv(x)).relu())
    return out


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("strides", [[2.0] * 6, [1.0, 1.7, 2.3, 1.0, 1.2, 3.0]])
@pytest.mark.parametrize("downsampling", FOURIER_METHODS)
def test_a_model_gives_what_its_layers_give_one_after_the_other(
    downsampling: Downsampling, strides: list[float], ramp: Ramp
) -> None:
    settings: Any = {"width": WIDTH, "ramp": ramp, "stride_time": strides, "stride_frequency": strides[::-1]}
    model = TimeFrequencyCnn(downsampling, **settings).double()
    x = torch.randn(2, 1, 64, 100, dtype=torch.float64)
    expected = x
    for block in model.blocks:
        for unit in (block.time, block.frequency):
            assert unit.is_fused
            expected = one_after_the_other(unit, expected)
    torch.testing.assert_close(model(x), expected)
    weights = torch.randn_like(expected)
    gradients, wanted = (
        torch.autograd.grad((out * weights).sum(), list(model.parameters())) for out in (model(x), expected)
    )
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9 * float(weights.abs().sum()))


def test_a_model_that_learns_smoothness_gives_what_its_layers_give_one_after_the_other() -> None:
    model = TimeFrequencyCnn(width=WIDTH, ramp="folded", smoothness=8.0, learn_smoothness=True).double()
    x = torch.randn(2, 1, 64, 100, dtype=torch.float64)
    expected = x
    for unit in model.units():
        expected = one_after_the_other(unit, expected)
    weights = torch.randn_like(expected)
    gradients, wanted = (
        torch.autograd.grad((out * weights).sum(), list(model.parameters())) for out in (model(x), expected)
    )
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9 * float(weights.abs().sum()))


@pytest.mark.parametrize("strides", [[2.0] * 6, [1.0, 1.7, 2.3, 1.0, 1.2, 3.0]])
@pytest.mark.parametrize("downsampling", FOURIER_METHODS)
def test_evaluation_gives_the_same_with_gradients_and_without(downsampling: Downsampling, strides: list[float]) -> None:
    settings: Any = {"width": 0.25, "ramp": "folded", "stride_time": strides, "stride_frequency": strides[::-1]}
    model, x = TimeFrequencyCnn(downsampling, **settings).eval(), torch.randn(2, 1, 64, 100)
    with torch.no_grad():
        found = model(x)
    torch.testing.assert_close(found, model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("strides", [[2.0] * 6, [1.0, 1.7, 2.3, 1.0, 1.2, 3.0]])
def test_maps_between_fused_units_lie_as_the_next_one_wants_them(strides: list[float], batch: int) -> None:
    model = TimeFrequencyCnn("fixed_stride", width=0.1, ramp="folded", stride_time=strides, stride_frequency=strides)
    x = torch.randn(batch, 1, 64, 100)
    for unit in model.units():
        x = unit(x)
        assert x.permute(3, 2, 0, 1).is_contiguous()  # (time, mel, batch, channel)


# compiled activations

looks_at_gradients = pytest.mark.filterwarnings("ignore:The .grad attribute")  # dynamo does, of what it is given


def move_strides(model: TimeFrequencyCnn) -> None:
    with torch.no_grad():
        for _, layer in model.downsamplers():
            layer.strides.add_(0.2 * torch.randn_like(layer.strides)).clamp_(1, 3)


@looks_at_gradients
def test_moving_strides_do_not_recompile_without_end() -> None:
    model, n_graphs = TimeFrequencyCnn(width=0.1, ramp="inside"), 0

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> Any:
        nonlocal n_graphs
        n_graphs += 1
        return graph.forward

    model.compile_activations(count)
    sizes = set()
    for _ in range(25):
        sizes.add(tuple(layer.n_out for layer in model.layer_strides(64, 100)))
        model(torch.randn(2, 1, 64, 100)).sum().backward()
        move_strides(model)
    assert len(sizes) > 15  # the strides did move
    assert 0 < n_graphs <= 6


@looks_at_gradients
@pytest.mark.parametrize("order", ORDERS)
def test_compiled_activations_change_nothing(order: Order) -> None:
    model, x = TimeFrequencyCnn(width=WIDTH, order=order), torch.randn(3, 1, 64, 100)
    plain = model(x)
    parameters, weights = list(model.parameters()), torch.randn_like(plain)
    expected = torch.autograd.grad((plain * weights).sum(), parameters)
    model.compile_activations("aot_eager")
    compiled = model(x)
    torch.testing.assert_close(compiled, plain, rtol=1e-5, atol=1e-5)
    found = torch.autograd.grad((compiled * weights).sum(), parameters)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))
