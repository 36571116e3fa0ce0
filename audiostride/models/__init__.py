"""The backbone, its blocks and downsampling layers, and the classifier that composes them."""

from audiostride.models.layer_strides import StridesOfLayers
from audiostride.models.registry import register_backbone

__all__ = ["StridesOfLayers", "register_backbone"]
