"""The only place where a recipe becomes objects."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch

from audiostride.data.augmentation import Augmentation
from audiostride.data.folds import split_by_fold
from audiostride.data.manifest import Manifest, read_manifest
from audiostride.errors import UserError
from audiostride.frontend import LogMel
from audiostride.models.classifier import AudioClassifier
from audiostride.models.layer_strides import LayerStride
from audiostride.models.registry import build_backbone
from audiostride.recipe.data import Data
from audiostride.recipe.schema import Recipe

Classes = dict[str, tuple[str, ...]]


def build_model(recipe: Recipe, classes: Mapping[str, tuple[str, ...]]) -> AudioClassifier:
    """Build the classifier with fresh weights, drawn from the recipe's seed; torch's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        return draw_model(recipe, classes)


def draw_model(recipe: Recipe, classes: Mapping[str, tuple[str, ...]]) -> AudioClassifier:
    """Build the classifier with fresh weights, drawn with torch's global generator as it stands."""
    settings = recipe.model.model_dump(exclude={"backbone", "pooling", "stride_low", "stride_high"})
    stride_range = (recipe.model.stride_low, recipe.model.stride_high)
    backbone = build_backbone(recipe.model.backbone, **settings, stride_range=stride_range)
    of_windows = recipe.frontend.model_dump(include={"normalization", "top_db"})
    frontend = LogMel(**recipe.frontend.model_dump(exclude=set(of_windows)))
    n_classes = {task: len(names) for task, names in classes.items()}
    masks = recipe.augmentation.model_dump(include={"mask_frequency", "mask_time"})
    return AudioClassifier(
        frontend,
        backbone,
        n_classes,
        n_window=window_size(recipe),
        pooling=recipe.model.pooling,
        **of_windows,
        **masks,
    )


def build_augmentation(recipe: Recipe) -> Augmentation:
    """Give what changes the windows to train on."""
    settings = {"speed", "gain_db", "background_snr_db", "noise_snr_db", "noise_colours", "noise_as_background"}
    shift = round(recipe.augmentation.time_shift_s * recipe.frontend.sample_rate)
    return Augmentation(shift, **recipe.augmentation.model_dump(include=settings))


def map_size(recipe: Recipe) -> tuple[int, int]:
    """Give mel bands and frames of a window."""
    return recipe.frontend.n_mels, window_size(recipe) // recipe.frontend.hop_length


def stuck_text(recipe: Recipe, stuck: Sequence[LayerStride]) -> str:
    """Name strides that cannot learn at the sizes of a recipe's windows, and the cure.

    Args:
        recipe: of the model.
        stuck: as its backbone lists them.
    """
    names = ", ".join(f"block {layer.block} {layer.axis} ({layer.n_in} samples)" for layer in stuck)
    folds = recipe.model.ramp == "folded"
    cure = "a longer window or smaller strides before them" if folds else "model.ramp: folded"
    return f"strides that cannot learn, too few samples for their ramp: {names}; the cure is {cure}"


def window_size(recipe: Recipe) -> int:
    """Give samples of a window."""
    return round(recipe.data.window_s * recipe.frontend.sample_rate)


def apply_folds(manifest: Manifest, data: Data) -> Manifest:
    """Split a manifest by the folds that a recipe names; it stays as it is where the recipe names none."""
    return manifest if data.test_fold is None else split_by_fold(manifest, data.test_fold, data.valid_fold)


def read_task_manifests(recipe: Recipe, names: Collection[str] | None = None) -> dict[str, Manifest]:
    """Give the manifest of every task of a recipe, or of those in `names`; read once for tasks that share it.

    Clips are split by the folds that the recipe names, if it does.

    Raises:
        UserError: no such manifest, a mistake in it, or one that lacks the task's label column or the folds.
    """
    read: dict[tuple[str, str | None], Manifest] = {}
    tasks = {name: task for name, task in recipe.tasks.items() if names is None or name in names}
    for name, task in tasks.items():
        key = task.manifest, task.root
        if key not in read:
            manifest = read_manifest(Path(task.manifest), None if task.root is None else Path(task.root))
            read[key] = apply_folds(manifest, recipe.data)
        if task.label not in read[key].label_columns:
            raise UserError(
                f"{task.manifest}:1: no column {task.label!r} for the task {name!r}; "
                f"label columns: {', '.join(read[key].label_columns) or 'none'}"
            )
    return {name: read[task.manifest, task.root] for name, task in tasks.items()}
