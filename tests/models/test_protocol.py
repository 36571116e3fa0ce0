"""Backbones of one's own: any module from log-mel to maps, with or without strides."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiostride.errors import UserError
from audiostride.frontend import LogMel
from audiostride.layers import DiffStride
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.models.costs import window_layers
from audiostride.models.downsampler import project_strides_
from audiostride.models.protocol import (
    STRIDE_METHODS,
    NoStrides,
    StridedBackbone,
    compile_backbone,
    count_channels,
    require_strides,
    strides_of,
)
from audiostride.strides.cutoffs import read_strides
from audiostride.training.step import forward_backward


class CountsItsCalls(nn.Module):
    """It writes a buffer, draws random numbers and looks at its mode whenever it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.5))
        self.register_buffer("n_calls", torch.zeros(()))
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.n_calls += 1
        self.modes.append(self.training)
        out: Tensor = self.layers(x + torch.rand_like(x))
        return out


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def classifier(backbone: nn.Module) -> AudioClassifier:
    return AudioClassifier(LogMel(), backbone, {"a": 2, "b": 3})


def test_counting_channels_changes_nothing() -> None:
    backbone = CountsItsCalls()
    before, random = copy.deepcopy(backbone.state_dict()), torch.get_rng_state()
    assert count_channels(backbone, 64, 100) == 5
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
    assert backbone.modes == []
    assert all(module.training for module in backbone.modules())


def test_the_number_of_channels_that_a_backbone_names_is_believed() -> None:
    backbone = CountsItsCalls()
    backbone.n_channels = 7  # type: ignore[assignment]
    assert count_channels(backbone, 64, 100) == 7


@pytest.mark.parametrize(
    ("backbone", "told"),
    [
        (nn.Flatten(0), r"Flatten gave \(6400,\)"),
        (nn.AdaptiveMaxPool2d(1, return_indices=True), "AdaptiveMaxPool2d gave tuple"),
    ],
)
def test_what_gives_no_maps_is_told(backbone: nn.Module, told: str) -> None:
    with pytest.raises(UserError, match=told):
        classifier(backbone)


@pytest.mark.parametrize(
    ("layers", "n_channels"),
    [
        ([nn.Conv2d(1, 4, 3)], 4),
        ([nn.Conv2d(1, 4, 3), nn.Flatten(2)], 4),  # (batch, channel, place)
        ([nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(1)], 4),  # (batch, channel)
    ],
)
def test_any_maps_are_pooled_to_their_maximum(layers: list[nn.Module], n_channels: int) -> None:
    model = classifier(nn.Sequential(*layers)).eval()
    waveform = 0.3 * torch.randn(3, 16000)
    maps = model.backbone(model.frontend(waveform))
    expected = maps.reshape(3, n_channels, -1).max(2).values
    torch.testing.assert_close(model.embed(waveform), expected)
    assert model(waveform)["b"].shape == (3, 3)


def test_the_package_s_own_backbone_has_strides() -> None:
    backbone = TimeFrequencyCnn(width=1 / 16)
    assert isinstance(backbone, StridedBackbone)
    assert strides_of(backbone) is backbone
    assert require_strides(backbone) is backbone


def test_another_backbone_answers_that_it_has_none() -> None:
    strides = classifier(nn.Conv2d(1, 4, 3)).strided_backbone
    assert isinstance(strides, NoStrides)
    assert (strides.strides_by_axis(), strides.learned_smoothness()) == ({}, None)
    assert [*strides.downsamplers(), *strides.layer_strides(64, 100), *strides.stuck_strides(64, 100)] == []


def test_a_backbone_without_strides_cannot_be_read() -> None:
    told = "the backbone Conv2d has no strides that can be read: it lacks the methods downsamplers, layer_strides, .*"
    with pytest.raises(UserError, match=told + "The base audiostride.models.StridesOfLayers"):
        read_strides(classifier(nn.Conv2d(1, 4, 3)), 16000)


def test_the_methods_that_an_error_names_are_those_of_a_backbone_with_strides() -> None:
    assert {name for name in vars(StridedBackbone) if name in vars(NoStrides) and name[0] != "_"} == {*STRIDE_METHODS}


def test_there_is_no_complexity_without_strides() -> None:
    targets = {"a": torch.zeros(2, dtype=torch.int64), "b": torch.zeros(2, dtype=torch.int64)}
    with pytest.raises(UserError, match="complexity_weight: there are no strides"):
        forward_backward(classifier(nn.Conv2d(1, 4, 3)), torch.randn(2, 16000), targets, complexity_weight=1.0)


def test_strides_within_any_module_are_projected() -> None:
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ModuleDict({"pool": DiffStride([2.0, 2.0])})["pool"])
    backbone[1].strides.data.fill_(0.5)
    project_strides_(backbone)
    assert backbone[1].strides.tolist() == [1.0, 1.0]


def test_a_backbone_is_compiled_in_the_parts_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(TimeFrequencyCnn, "compile_activations", lambda _: done.append("parts"))
    compile_backbone(TimeFrequencyCnn(width=1 / 16))
    assert done == ["parts"]


def test_a_backbone_that_names_no_parts_is_not_compiled() -> None:
    with pytest.raises(UserError, match=r"training\.compile: the backbone Conv2d does not say what can be compiled"):
        compile_backbone(nn.Conv2d(1, 4, 3))


class Recurrent(nn.Module):
    """Layers that give more than maps, or are called with a keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(64, 8, 3)
        self.gru = nn.GRU(8, 6, batch_first=True)
        self.act = nn.ReLU()

    def forward(self, log_mel: Tensor) -> Tensor:
        frames: Any = self.gru(self.conv(log_mel.squeeze(1)).mT)[0]
        out: Tensor = self.act(input=frames).mT
        return out


def test_layers_that_give_more_than_maps_are_counted() -> None:
    layers = {layer.name: layer for layer in window_layers(classifier(Recurrent()).eval(), 16000)}
    n_frames = 16000 // 160
    assert layers["backbone.conv"].n_macs == 8 * 64 * 3 * (n_frames - 2)
    assert layers["backbone.gru"].output_shape == (n_frames - 2, 6)
    assert layers["heads.task_a"].n_macs == 6 * 2
