"""The backbone, its blocks and downsampling layers, and the classifier that composes them."""

from audiostride.models.registry import register_backbone

__all__ = ["register_backbone"]
