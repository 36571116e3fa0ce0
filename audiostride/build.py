"""The only place where a recipe becomes objects."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from audiostride.data.batches import NO_LABEL, Source, TaskBatches
from audiostride.data.corpus import Corpus, open_corpora
from audiostride.data.manifest import SPLITS, Manifest, read_manifest
from audiostride.data.windows import RandomWindows
from audiostride.errors import DataError, UserError
from audiostride.evaluation import LabelledClips
from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.recipe import Recipe, Task

Classes = dict[str, tuple[str, ...]]


def build_model(recipe: Recipe, classes: Mapping[str, tuple[str, ...]]) -> AudioClassifier:
    """The classifier with fresh weights, drawn from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    settings = recipe.model.model_dump(exclude={"stride_low", "stride_high"})
    backbone = TimeFrequencyCnn(**settings, stride_range=(recipe.model.stride_low, recipe.model.stride_high))
    of_windows = recipe.frontend.model_dump(include={"normalization", "top_db"})
    frontend = LogMel(**recipe.frontend.model_dump(exclude=set(of_windows)))
    n_classes = {task: len(names) for task, names in classes.items()}
    return AudioClassifier(frontend, backbone, n_classes, **of_windows, **recipe.augmentation.model_dump())


def window_size(recipe: Recipe) -> int:
    """Samples of a window."""
    return round(recipe.data.window_s * recipe.frontend.sample_rate)


def read_task_manifests(tasks: Mapping[str, Task]) -> dict[str, Manifest]:
    """The manifest of every task, which must have the task's label column; read once for tasks that share it."""
    read: dict[tuple[str, str | None], Manifest] = {}
    for name, task in tasks.items():
        key = task.manifest, task.root
        if key not in read:
            read[key] = read_manifest(Path(task.manifest), None if task.root is None else Path(task.root))
        if task.label not in read[key].label_columns:
            raise UserError(
                f"{task.manifest}:1: no column {task.label!r} for the task {name!r}; "
                f"label columns: {', '.join(read[key].label_columns) or 'none'}"
            )
    return {name: read[task.manifest, task.root] for name, task in tasks.items()}


@dataclass(frozen=True)
class TrainingData:
    """What a training run reads: batches, classes per task, labelled validation clips per task."""

    batches: TaskBatches
    classes: Classes
    validation: dict[str, LabelledClips]
    note: str | None  # on recordings left out and splits unused


def _task_classes(name: str, column: str, manifest: Manifest) -> tuple[str, ...]:
    """The classes of a task; DataError if they cannot be learned."""
    names = manifest.classes(column)
    if len(names) < 2:
        splits = ", ".join(sorted({repr(clip.split) for clip in manifest.clips}))
        raise DataError(
            f"{manifest.path}: the task {name!r} needs at least 2 classes of {column!r} in the "
            f"split train, got {', '.join(names) or 'none'}; splits: {splits}"
        )
    if unknown := sorted(set(manifest.classes(column, "valid")) - set(names)):
        raise DataError(
            f"{manifest.path}: the split valid has labels in {column!r} that train lacks: {', '.join(unknown)}"
        )
    return names


def _validation(corpus: Corpus, column: str, names: tuple[str, ...]) -> LabelledClips:
    indices = corpus.select("valid", column)
    return LabelledClips(
        [corpus.samples[i] for i in indices], [names.index(corpus.clips[i].labels[column]) for i in indices]
    )


def build_training_data(recipe: Recipe, on_progress: Callable[[int, int], None] | None = None) -> TrainingData:
    """Read the manifests, decode what the cache lacks, and set up batches and validation.

    Raises:
        UserError: a manifest that is missing or wrong. DataError: recordings missing or unusable.
    """
    manifests = read_task_manifests(recipe.tasks)
    classes = {name: _task_classes(name, task.label, manifests[name]) for name, task in recipe.tasks.items()}
    sources = {(task.manifest, task.root): manifests[name] for name, task in recipe.tasks.items()}
    if recipe.training.batch_size < len(sources):
        raise UserError(
            f"training.batch_size={recipe.training.batch_size}: expected at least {len(sources)}, a row per manifest"
        )
    opened, note = open_corpora(
        list(sources.values()),
        ("train", "valid"),
        recipe.frontend.sample_rate,
        None if recipe.data.cache_dir is None else Path(recipe.data.cache_dir),
        recipe.data.n_workers,
        recipe.data.max_bad_files,
        on_progress,
    )
    corpora = dict(zip(sources, opened, strict=True))
    validation = {
        name: _validation(corpora[task.manifest, task.root], task.label, classes[name])
        for name, task in recipe.tasks.items()
    }
    notes = [note, *map(_unused_splits, sources.values())]
    batches = TaskBatches(
        [_source(recipe, corpus, key, classes) for key, corpus in corpora.items()], recipe.training.batch_size
    )
    return TrainingData(batches, classes, validation, "\n".join(filter(None, notes)) or None)


def _unused_splits(manifest: Manifest) -> str | None:
    counts = Counter(clip.split for clip in manifest.clips if clip.split not in SPLITS)
    if not counts:
        return None
    named = ", ".join(f"{split!r} ({n} clips)" for split, n in sorted(counts.items()))
    return f"{manifest.path}: training uses the splits train and valid, not {named}"


def _source(recipe: Recipe, corpus: Corpus, key: tuple[str, str | None], classes: Classes) -> Source:
    tasks = {name: task for name, task in recipe.tasks.items() if (task.manifest, task.root) == key}
    indices = sorted({i for task in tasks.values() for i in corpus.select("train", task.label)})
    if not indices:
        raise DataError(f"{corpus.manifest.path}: no usable recording in the split train")
    windows = RandomWindows([corpus.samples[i] for i in indices], window_size(recipe), recipe.seed)
    targets = {}
    for name, task in tasks.items():
        index = {label: i for i, label in enumerate(classes[name])} | {None: NO_LABEL}
        targets[name] = torch.tensor([index[corpus.clips[i].labels.get(task.label)] for i in indices])
    return Source(windows, targets)
