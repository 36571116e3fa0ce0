"""What a training run reads: batches, losses, and clips to validate on."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiostride.build import Classes, read_task_manifests, window_size
from audiostride.data.audio import find_recordings
from audiostride.data.batches import NO_LABEL, Source, TaskBatches
from audiostride.data.cache import PackedAudio, pack_audio
from audiostride.data.corpus import Corpus, open_corpora
from audiostride.data.manifest import SPLITS, Manifest
from audiostride.data.windows import RandomWindows
from audiostride.device import choose_device
from audiostride.errors import DataError, UserError
from audiostride.evaluation.clips import LabelledClips
from audiostride.recipe.schema import Recipe, Task
from audiostride.training.fingerprint import Fingerprint, fingerprint
from audiostride.training.losses import TaskLoss


@dataclass(frozen=True)
class TrainingData:
    """What a training run reads: batches, losses and classes per task, labelled validation clips of every manifest."""

    batches: TaskBatches
    losses: dict[str, TaskLoss]
    classes: Classes
    validation: list[LabelledClips]
    note: str | None  # on recordings left out or decoded again, and on splits unused
    fingerprint: Fingerprint


def _task_classes(name: str, column: str, manifest: Manifest) -> tuple[str, ...]:
    """Give the classes of a task; DataError if they cannot be learned."""
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


def _open_background(recipe: Recipe) -> PackedAudio | None:
    """Open the recordings in the folder of background noise, None without one."""
    if recipe.augmentation.background is None:
        return None
    folder = Path(recipe.augmentation.background)
    if not folder.is_dir():
        raise UserError(f"augmentation.background: {folder} is no folder, expected one with recordings of noise")
    paths = find_recordings(folder)
    if not paths:
        raise UserError(f"augmentation.background: no recordings in {folder}")
    packed = pack_audio(paths, recipe.frontend.sample_rate, _cache_dir(recipe), recipe.data.n_workers)
    if packed.bad:
        path, reason = next(iter(packed.bad.items()))
        raise DataError(f"augmentation.background: {path}: {reason}")
    return packed


def _background_windows(recipe: Recipe, packed: PackedAudio | None) -> RandomWindows | None:
    """Draw windows from the background noise."""
    if packed is None:
        return None
    return RandomWindows(list(packed.samples.values()), window_size(recipe), recipe.seed + 1)


def _cache_dir(recipe: Recipe) -> Path | None:
    return None if recipe.data.cache_dir is None else Path(recipe.data.cache_dir)


def build_training_data(recipe: Recipe, on_progress: Callable[[int, int], None] | None = None) -> TrainingData:
    """Read the manifests, decode what the cache lacks, and set up batches and validation.

    Raises:
        UserError: a manifest that is missing or wrong. DataError: recordings missing or unusable.
    """
    manifests = read_task_manifests(recipe.tasks)
    classes = {name: _task_classes(name, task.label, manifests[name]) for name, task in recipe.tasks.items()}
    tasks: dict[tuple[str, str | None], dict[str, Task]] = {}  # of every manifest
    for name, task in recipe.tasks.items():
        tasks.setdefault((task.manifest, task.root), {})[name] = task
    of_key = {key: manifests[next(iter(sharing))] for key, sharing in tasks.items()}
    if recipe.training.batch_size < len(tasks):
        raise UserError(
            f"training.batch_size={recipe.training.batch_size}: expected at least {len(tasks)}, a row per manifest"
        )
    balanced = [_balanced(sharing) for sharing in tasks.values()]
    device = choose_device(recipe.data.device, key="data.device")
    background = _open_background(recipe)
    corpora, note = open_corpora(
        list(of_key.values()),
        ("train", "valid"),
        recipe.frontend.sample_rate,
        _cache_dir(recipe),
        n_workers=recipe.data.n_workers,
        max_bad_files=recipe.data.max_bad_files,
        on_progress=on_progress,
    )
    sources, validation = [], []
    for corpus, sharing, task_of_groups in zip(corpora, tasks.values(), balanced, strict=True):
        clips = _labelled(corpus, "train", sharing, classes)
        if not clips.samples:
            raise DataError(f"{corpus.manifest.path}: no usable recording in the split train")
        sources.append(_source(recipe, clips, task_of_groups, device))
        validation.append(_labelled(corpus, "valid", sharing, classes))
    losses = {
        name: _task_loss(recipe, name, source.targets[name], len(classes[name]))
        for source in sources
        for name in source.targets
    }
    notes = [background.note if background else None, note, *map(_unused_splits, of_key.values())]
    batches = TaskBatches(sources, recipe.training.batch_size, _background_windows(recipe, background))
    note = "\n".join(filter(None, notes)) or None
    return TrainingData(batches, losses, classes, validation, note, fingerprint(corpora, background))


def _labelled(corpus: Corpus, split: str, tasks: Mapping[str, Task], classes: Classes) -> LabelledClips:
    """Give the clips of a split with the class indices of every task that their manifest labels."""
    indices = corpus.select(split, {task.label for task in tasks.values()})
    labels = {}
    for name, task in tasks.items():
        index = {label: i for i, label in enumerate(classes[name])} | {None: NO_LABEL}
        labels[name] = [index[corpus.clips[i].labels.get(task.label)] for i in indices]
    return LabelledClips([corpus.samples[i] for i in indices], labels)


def _balanced(tasks: Mapping[str, Task]) -> str | None:
    """Give the one task of a manifest, if any, whose classes are sampled equally often."""
    names = [name for name, task in tasks.items() if task.sampling == "balanced"]
    if len(names) > 1:
        raise UserError(f"tasks.{names[1]}.sampling: tasks.{names[0]} of the same manifest is balanced already")
    return names[0] if names else None


def _source(recipe: Recipe, clips: LabelledClips, balanced: str | None, device: torch.device) -> Source:
    groups = None if balanced is None else clips.labels[balanced]
    windows = RandomWindows(clips.samples, window_size(recipe), recipe.seed, groups, device)
    return Source(windows, {name: torch.tensor(labels) for name, labels in clips.labels.items()})


def inverse_frequency(targets: Tensor, n_classes: int) -> Tensor:
    """Give class weights whose mean over the labelled clips is 1.

    >>> inverse_frequency(torch.tensor([0, 0, 0, 1, NO_LABEL]), 2)
    tensor([0.6667, 2.0000])
    """
    counts = targets[targets != NO_LABEL].bincount(minlength=n_classes)
    return counts.sum() / (n_classes * counts.clamp(min=1))


def _task_loss(recipe: Recipe, name: str, targets: Tensor, n_classes: int) -> TaskLoss:
    task = recipe.tasks[name]
    weights = inverse_frequency(targets, n_classes) if task.class_weights == "inverse_frequency" else None
    return TaskLoss(task.weight, weights, recipe.training.label_smoothing)


def _unused_splits(manifest: Manifest) -> str | None:
    splits = Counter(clip.split for clip in manifest.clips)
    unused = ", ".join(f"{split!r} ({n} clips)" for split, n in sorted(splits.items()) if split not in SPLITS)
    if unused:
        return f"{manifest.path}: training uses the splits train and valid, not {unused}"
    if "valid" not in splits:
        return f"{manifest.path}: no clip in the split valid, so the last checkpoint counts as the best"
    return None
