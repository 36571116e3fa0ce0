"""Optimisers: which parameters decay and learn at which rate, and steps counted by hand."""

import copy

import pytest
import torch
from torch import nn

from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.training.optimizer import current_rate, make_optimizer, restore_optimizer
from audiostride.vocabulary import OptimizerKind

KINDS: list[OptimizerKind] = ["adam", "adamw", "sgd"]


class TinyLayers(nn.Module):
    """A parameter of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.norm = nn.BatchNorm2d(1)
        self.strides = nn.Parameter(torch.tensor([2.0]))
        self.log_smoothness = nn.Parameter(torch.tensor([3.0]))
        for parameter in self.parameters():
            parameter.data.fill_(2.0)


def values_after_a_step(kind: OptimizerKind, gradient: float, weight_decay: float) -> dict[str, float]:
    model = TinyLayers()
    optimizer = make_optimizer(model, 0.1, 0.1, kind=kind, weight_decay=weight_decay)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    optimizer.step()
    return {name: parameter.item() for name, parameter in model.named_parameters()}


def group_names(model: nn.Module, weight_decay: float) -> dict[str, str]:
    optimizer = make_optimizer(model, 0.1, 0.2, weight_decay=weight_decay)
    of_parameter = {id(parameter): name for name, parameter in model.named_parameters()}
    return {of_parameter[id(p)]: group["name"] for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_mixes_channels_decays(kind: OptimizerKind) -> None:
    values = values_after_a_step(kind, 0.0, 0.5)
    assert values.pop("linear.weight") < 2
    assert set(values.values()) == {2.0}


def test_adamw_shrinks_weights_whatever_their_gradient() -> None:
    # a first step of Adam is the learning rate, whatever the size of the gradient
    values = values_after_a_step("adamw", 3.0, 0.5)
    assert values["linear.weight"] == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1)
    assert values["linear.bias"] == pytest.approx(2 - 0.1)


def test_adam_adds_the_decay_to_the_gradient() -> None:
    assert values_after_a_step("adam", 0.0, 1e-3)["linear.weight"] == pytest.approx(2 - 0.1, abs=1e-4)


def test_sgd_adds_the_decay_to_the_gradient() -> None:
    assert values_after_a_step("sgd", 3.0, 0.5)["linear.weight"] == pytest.approx(2 - 0.1 * (3 + 0.5 * 2))


def test_sgd_has_momentum() -> None:
    model = TinyLayers()
    optimizer = make_optimizer(model, 0.1, 0.1, kind="sgd", momentum=0.5)
    for gradient in (1.0, 3.0):
        model.linear.weight.grad = torch.full_like(model.linear.weight, gradient)
        optimizer.step()
    assert model.linear.weight.item() == pytest.approx(2 - 0.1 * 1 - 0.1 * (0.5 * 1 + 3))


def test_every_parameter_of_the_network_is_in_the_group_that_its_kind_asks_for() -> None:
    backbone = TimeFrequencyCnn(width=1 / 16, ramp="folded", smoothness=16, learn_smoothness=True)
    found = group_names(AudioClassifier(LogMel(), backbone, {"a": 2}), 0.1)
    for name, group in found.items():
        last = name.rpartition(".")[2]
        mixes = last == "weight" and (".conv." in name or "heads." in name)
        assert group == ("weights" if mixes else last if last in ("strides", "log_smoothness") else "undecayed")


def test_without_decay_the_groups_are_those_of_older_versions() -> None:
    assert set(group_names(TinyLayers(), 0.0).values()) == {"weights", "strides", "log_smoothness"}


def test_a_state_whose_groups_have_no_names_is_restored() -> None:
    optimizer = make_optimizer(TinyLayers(), 0.1, 0.2)
    state = copy.deepcopy(optimizer.state_dict())
    for group in state["param_groups"]:
        del group["name"]
    restore_optimizer(optimizer, state)
    rates = [current_rate(optimizer, name) for name in ("weights", "strides", "log_smoothness", "undecayed")]
    assert rates == [0.1, 0.2, 0.8, None]
