"""Strided layers of any model become learned ones: sizes stay, branches share a layer, and what is left says why."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiostride.layers import DiffStride, FixedResample, freeze_strides_, replace_strides, stride_parameters

X = torch.linspace(-3, 3, 2 * 3 * 32 * 32).view(2, 3, 32, 32).sin()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def conv(n_in: int, n_out: int, size: int, stride: Any = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2)


class Residual(nn.Module):
    """A block as ResNet has it: the skip is a convolution of one tap with the same stride."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.skip = conv(8, 8, 3, 2), conv(8, 8, 3), conv(8, 8, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu()) + self.skip(x)


class Inception(nn.Module):
    """Three branches that meet as channels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.pool = nn.Conv2d(8, 4, 3, 2), nn.Conv2d(8, 4, 3, 2), nn.MaxPool2d(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), self.b(x), self.pool(x)], dim=1)


def network(middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(conv(3, 8, 3, 2), nn.ReLU(), middle, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(4))


def test_the_branches_of_a_residual_block_share_a_layer() -> None:
    model = network(Residual())
    model(X)
    done = replace_strides(model, X)
    assert done.replaced == [("0",), ("2.first", "2.skip")]
    assert set(done.left) == {"3"}
    assert str(done).splitlines()[:2] == [
        "replaced `0` (Conv2d)",
        "replaced `2.first` (Conv2d) and `2.skip` (Conv2d)",
    ]
    block = model[2]
    assert block.first[1] is block.skip[0]  # one tap mixes channels alone: the map is made smaller first
    assert sum(isinstance(module, DiffStride) for module in model.modules()) == 2


def test_branches_that_meet_as_channels_share_a_layer() -> None:
    model = network(Inception())
    model(X)
    assert replace_strides(model, X).replaced == [("0",), ("2.a", "2.b", "2.pool")]


@pytest.mark.parametrize("size", [32, 31, 21])
@pytest.mark.parametrize("middle", [Residual, Inception, lambda: nn.AvgPool2d(2), lambda: conv(8, 8, 3, (2, 1))])
def test_maps_keep_their_sizes_and_a_training_step_moves_every_stride(middle: Any, size: int) -> None:
    model, x = network(middle()), X[..., :size, :size]
    expected = model(x).shape
    shapes = [tuple(value.shape) for value in model.state_dict().values()]
    replace_strides(model, x)
    assert model(x).shape == expected
    strides = stride_parameters(model, 0.05)
    rest = [value for value in model.parameters() if all(value is not stride for stride in strides[0]["params"])]
    assert [tuple(value.shape) for value in rest] == shapes
    optimizer = torch.optim.Adam([*strides, {"params": rest}])
    before = [stride.detach().clone() for stride in strides[0]["params"]]
    model(x).square().sum().backward()
    optimizer.step()
    for old, new in zip(before, strides[0]["params"], strict=True):
        assert (old != new).all()
    assert model(x).shape == expected


def test_pretrained_weights_stay() -> None:
    model = network(Residual())
    model(X)
    before = {value.data_ptr() for value in model.parameters()}
    replace_strides(model, X, learnable=False)
    assert {value.data_ptr() for value in model.parameters()} == before


@pytest.mark.parametrize("learn", [False, True])
def test_widths_of_ramps_are_learned_if_asked_for(learn: bool) -> None:
    model = network(Residual())
    replace_strides(model, X, smoothness=12, learn_smoothness=learn)
    layers = [module for module in model.modules() if isinstance(module, DiffStride)]
    assert [layer.smoothness for layer in layers] == [pytest.approx([12.0, 12.0])] * 2
    model(X).square().sum().backward()
    moves = [layer.learn_smoothness and bool((layer.log_smoothness.grad != 0).all()) for layer in layers]
    assert moves == [learn, learn]


def test_an_endless_ramp_computes_what_the_strided_model_computes() -> None:
    """With a stride that divides the size, a ramp that folds keeps every s-th sample in the end."""
    model = network(Residual()).double()
    expected = model(X.double())
    replace_strides(model, X.double(), smoothness=1e9)
    torch.testing.assert_close(model(X.double()), expected, rtol=1e-5, atol=1e-7)


def test_a_mean_over_blocks_is_replaced_whole() -> None:
    model = nn.Sequential(nn.AvgPool2d(2), nn.AvgPool2d(3, 2, padding=1))
    replace_strides(model, X)
    assert isinstance(model[0], DiffStride)
    assert isinstance(model[1][0], nn.AvgPool2d)


@pytest.mark.parametrize(
    ("model", "name", "why"),
    [
        (nn.Sequential(nn.Conv2d(3, 8, 4, 4)), "0", "stride 4"),
        (nn.Sequential(nn.Conv2d(3, 8, 3)), "0", "no stride"),
        (nn.Sequential(nn.AdaptiveMaxPool2d(2)), "0", "AdaptiveMaxPool2d"),
        (nn.Sequential(conv(3, 4, 3, 2), nn.Flatten(), nn.Linear(4 * 16 * 16, 2)), "0", "another size"),
        (nn.Sequential(nn.AdaptiveMaxPool2d(3), conv(3, 4, 3, 2)), "1", "3 samples"),
        (conv(3, 4, 3, 2), "", "alone"),
    ],
)
def test_what_is_left_says_why(model: nn.Module, name: str, why: str) -> None:
    expected = model(X)
    done = replace_strides(model, X)
    assert not done.replaced
    assert why in done.left[name]
    assert f"left `{name}`: " in str(done)
    assert torch.equal(model(X), expected)


def test_other_strides_are_replaced_when_they_are_asked_for() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 4, 4))
    expected = model(X).shape
    assert replace_strides(model, X, strides=(2, 4)).replaced == [("0",)]
    assert model(X).shape == expected


def test_a_stride_may_be_asked_for_as_a_number() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 4, 4), conv(8, 8, 3, 2))
    done = replace_strides(model, X, strides=4)
    assert done.replaced == [("0",)]
    assert done.left == {"1": "stride 2, asked for 4"}


@pytest.mark.parametrize("example", [(1, 3, 32, 32), torch.Size([1, 3, 32, 32]), 32])
@pytest.mark.parametrize("function", [replace_strides, freeze_strides_])
def test_a_shape_is_no_example(function: Any, example: Any) -> None:
    model = nn.Sequential(conv(3, 4, 3, 2), DiffStride(2.0))
    with pytest.raises(
        TypeError, match=r"example_input must be a tensor or a tuple of arguments.*torch\.zeros\(.*32\)"
    ):
        function(model, example)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_modes_and_statistics_of_the_model_stay_as_they_were() -> None:
    model = nn.Sequential(conv(3, 8, 3, 2), nn.BatchNorm2d(8), nn.Dropout().eval())
    replace_strides(model, X)
    assert [module.training for module in (model, model[1], model[2])] == [True, True, False]
    assert model[1].num_batches_tracked == 0


def test_signals_of_one_dimension_and_volumes() -> None:
    for kind, shape in ((nn.Conv1d, (2, 3, 40)), (nn.Conv3d, (1, 3, 8, 8, 8))):
        model, x = nn.Sequential(kind(3, 4, 3, 2, padding=1)), torch.ones(shape)
        expected = model(x).shape
        assert replace_strides(model, x).replaced == [("0",)]
        assert model(x).shape == expected


def test_a_model_is_frozen_whole() -> None:
    model = network(Residual())
    replace_strides(model, X)
    with torch.no_grad():
        model[2].skip[0].strides.copy_(torch.tensor([1.6, 2.2]))
    expected = model(X).detach()
    assert freeze_strides_(model, X) == ["0.1", "2.first.1", "2.skip.0"]
    assert model[2].skip[0] is model[2].first[1]
    assert isinstance(model[2].skip[0], FixedResample)
    assert torch.equal(model(X).detach(), expected)
    exported = torch.export.export(model.eval(), (X,))
    torch.testing.assert_close(exported.module()(X), expected)


def test_a_layer_that_sees_several_sizes_is_not_frozen() -> None:
    shared = DiffStride(2.0)
    with pytest.raises(ValueError, match="several sizes"):
        freeze_strides_(nn.Sequential(shared, nn.ReLU(), shared), X)


def test_a_model_that_cannot_be_frozen_whole_is_left_as_it_was() -> None:
    first, shared = DiffStride(2.0), DiffStride(2.0)
    model = nn.Sequential(first, shared, shared)
    with pytest.raises(ValueError, match="1: the example gives it maps of several sizes"):
        freeze_strides_(model, X)
    assert model[0] is first


def test_groups_of_the_optimiser() -> None:
    model = nn.Sequential(DiffStride(2.0, learn_smoothness=True), DiffStride(2.0), DiffStride(2.0, learnable=False))
    groups = stride_parameters(model, 1e-2)
    assert [(len(group["params"]), group["lr"], group["weight_decay"]) for group in groups] == [
        (2, 0.01, 0),
        (1, 0.04, 0),
    ]
    assert stride_parameters(nn.Linear(1, 1), 1e-2) == []
