"""The optimiser of a run: which parameters share a learning rate, and which of them decay."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from audiostride.vocabulary import MOMENTUM, SMOOTHNESS_RATE, OptimizerKind


def _group_name(name: str, parameter: nn.Parameter, weight_decay: float) -> str:
    last = name.rpartition(".")[2]
    if last in ("strides", "log_smoothness"):
        return last
    # what scales or shifts a channel has one dimension: batch norms and biases
    return "undecayed" if weight_decay and parameter.ndim < 2 else "weights"


def _groups(model: nn.Module, rates: dict[str, float], weight_decay: float) -> Iterator[dict[str, Any]]:
    groups: dict[str, list[nn.Parameter]] = {name: [] for name in rates}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[_group_name(name, parameter, weight_decay)].append(parameter)
    for name, parameters in groups.items():
        if parameters:
            decay = weight_decay if name == "weights" else 0.0
            yield {
                "params": parameters,
                "lr": rates[name],
                "initial_lr": rates[name],
                "weight_decay": decay,
                "name": name,
            }


def make_optimizer(
    model: nn.Module,
    learning_rate: float,
    stride_learning_rate: float,
    *,
    kind: OptimizerKind = "adam",
    momentum: float = MOMENTUM,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Make an optimiser with groups of their own for the strides and for the widths of the ramps.

    Args:
        model: whose parameters learn; those without a gradient are left out.
        learning_rate: of the weights.
        stride_learning_rate: of the strides; the logarithm of a ramp's width learns at four times this rate.
        kind: "adam", "adamw" or "sgd".
        momentum: of sgd, in [0, 1).
        weight_decay: of parameters with two dimensions or more, which are the weights of convolutions and of linear
            layers. Strides, widths of ramps, batch norms and biases never decay. In adam and sgd it is added to the
            gradient; in adamw it shrinks the weight itself.

    Reference:
        Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """
    rates = {
        "weights": learning_rate,
        "strides": stride_learning_rate,
        "log_smoothness": SMOOTHNESS_RATE * stride_learning_rate,
        "undecayed": learning_rate,
    }
    groups = list(_groups(model, rates, weight_decay))
    if kind == "sgd":
        return torch.optim.SGD(groups, momentum=momentum)
    return (torch.optim.AdamW if kind == "adamw" else torch.optim.Adam)(groups)


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the saved state of an optimiser; a state of an older version does not name its groups."""
    names = [group["name"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, name in zip(optimizer.param_groups, names, strict=True):
        group["name"] = name


def current_rate(optimizer: torch.optim.Optimizer, name: str) -> float | None:
    """Give the learning rate of the group called `name`, None if there is no such group."""
    rates = [float(group["lr"]) for group in optimizer.param_groups if group["name"] == name]
    return rates[0] if rates else None
