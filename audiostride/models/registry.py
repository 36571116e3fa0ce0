"""Backbones by the names that recipes call them by."""

from collections.abc import Callable
from typing import Any

from torch import nn

from audiostride.errors import UserError
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.densenet import densenet_bc121
from audiostride.models.efficientnet import efficientnet_b0
from audiostride.models.network import Network
from audiostride.models.resnet import resnet18
from audiostride.models.stride_settings import StrideSettings
from audiostride.vocabulary import BACKBONE, BACKBONE_STRIDES, Order, Placement

Builder = Callable[..., nn.Module]


def _of_settings(build: Callable[..., Network]) -> Builder:
    """Build a network from all settings of a recipe; placement and order are those of another backbone alone."""

    def built(
        *, width: float, dropout: float, placement: Placement | None = None, order: Order | None = None, **strides: Any
    ) -> Network:
        return build(StrideSettings(**strides), width=width, dropout=dropout)

    return built


_builders: dict[str, Builder] = {
    BACKBONE: TimeFrequencyCnn,
    "resnet18": _of_settings(resnet18),
    "densenet_bc121": _of_settings(densenet_bc121),
    "efficientnet_b0": _of_settings(efficientnet_b0),
}


def register_backbone(name: str, build: Callable[..., nn.Module]) -> None:
    """Let recipes build a backbone by `model.backbone: NAME`, in this process.

    Whatever loads a run with this backbone needs the name too: register it in a module that is imported first. A
    script that registers it and then calls `audiostride.cli.main.main()` is the command line with this backbone.

    Args:
        name: of the backbone. Registering it again replaces it.
        build: called with all settings of the recipe's section `model` as keywords (`width`, `dropout`,
            `downsampling`, `stride_time`, ... and `stride_range`, a pair). It gives a module as described in
            `audiostride.models.protocol.StridedBackbone`.

    Raises:
        ValueError: the name is empty, or that of a backbone of the package.

    >>> register_backbone("pointwise", lambda *, width, **_: nn.Conv2d(1, round(64 * width), 1))
    >>> build_backbone("pointwise", width=0.5)
    Conv2d(1, 32, kernel_size=(1, 1), stride=(1, 1))
    """
    if not name or name in BACKBONE_STRIDES:
        raise ValueError(f"name must be another than {', '.join(BACKBONE_STRIDES)} and not empty, got {name!r}")
    _builders[name] = build


def check_backbone(name: str) -> None:
    """Raise UserError for a name that no backbone is registered under."""
    if name not in _builders:
        known = ", ".join(sorted(_builders))
        raise UserError(
            f"model.backbone: no backbone is registered as {name!r}, expected one of {known}; "
            "audiostride.models.register_backbone adds one"
        )


def build_backbone(name: str, **settings: object) -> nn.Module:
    """Build the backbone that is registered under a name.

    Raises:
        UserError: there is no such name, or what it builds is no `torch.nn.Module`.
    """
    check_backbone(name)
    backbone = _builders[name](**settings)
    if not isinstance(backbone, nn.Module):
        raise UserError(f"model.backbone: {name} built a {type(backbone).__name__}, expected a torch.nn.Module")
    return backbone
