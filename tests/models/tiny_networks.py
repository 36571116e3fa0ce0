"""The paper's networks, narrow and with the statistics of a batch, for tests of what is made of them."""

from typing import Any

import torch

from audiostride.frontend import LogMel
from audiostride.models.classifier import AudioClassifier
from audiostride.models.registry import build_backbone
from audiostride.vocabulary import BACKBONE, BACKBONE_STRIDES

NETWORKS = [name for name in BACKBONE_STRIDES if name != BACKBONE]


def tiny_classifier(name: str, n_mels: int = 32, **changes: Any) -> AudioClassifier:
    """A classifier of two tasks in evaluation mode whose batch norms know the statistics of noise."""
    strides = BACKBONE_STRIDES[name]
    settings = {"stride_time": strides, "stride_frequency": strides, "width": 1 / 32, "dropout": 0.0} | changes
    backbone = build_backbone(name, **settings)
    model = AudioClassifier(LogMel(n_mels=n_mels), backbone, {"tone": 3, "type": 2}, normalization="standard")
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(8, 4000))
        for module in model.modules():  # a channel that hardly varies is divided by little, and so is what is rounded
            if isinstance(module, torch.nn.BatchNorm2d) and module.running_var is not None:
                module.running_var.clamp_(min=0.1)
    return model.eval()
