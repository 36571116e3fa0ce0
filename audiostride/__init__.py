"""Audio classifiers that learn their own strides, and what those strides say about the task."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiostride.comparison.compare import compare_runs
    from audiostride.frontend import LogMel
    from audiostride.layers import DiffStride, SpectralPooling, downsampling_matrix, spectral_pooling_matrix
    from audiostride.loading import load
    from audiostride.models.backbone import TimeFrequencyCnn
    from audiostride.models.classifier import AudioClassifier
    from audiostride.recipe.reader import load_recipe
    from audiostride.runs.checkpoint import load_run
    from audiostride.runs.scoring import score_run
    from audiostride.strides.cutoffs import read_strides
    from audiostride.training.run import train_recipe

_MODULES = {
    "AudioClassifier": "models.classifier",
    "DiffStride": "layers",
    "LogMel": "frontend",
    "SpectralPooling": "layers",
    "TimeFrequencyCnn": "models.backbone",
    "compare_runs": "comparison.compare",
    "downsampling_matrix": "layers",
    "load": "loading",
    "load_recipe": "recipe.reader",
    "load_run": "runs.checkpoint",
    "read_strides": "strides.cutoffs",
    "score_run": "runs.scoring",
    "spectral_pooling_matrix": "layers",
    "train_recipe": "training.run",
}

__all__ = [
    "AudioClassifier",
    "DiffStride",
    "LogMel",
    "SpectralPooling",
    "TimeFrequencyCnn",
    "compare_runs",
    "downsampling_matrix",
    "load",
    "load_recipe",
    "load_run",
    "read_strides",
    "score_run",
    "spectral_pooling_matrix",
    "train_recipe",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing torch takes seconds, the command line has none to spare."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
