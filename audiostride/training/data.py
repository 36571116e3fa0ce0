"""What a training run reads: batches, losses, and clips to validate on."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiostride.build import Classes, read_task_manifests, window_size
from audiostride.data.audio import find_recordings
from audiostride.data.batches import Source, TaskBatches
from audiostride.data.cache import PackedAudio, pack_audio
from audiostride.data.corpus import Corpus, open_corpora
from audiostride.data.manifest import SPLITS, Manifest
from audiostride.data.targets import NO_LABEL, class_names, encode, groups, is_labelled, unknown_names
from audiostride.data.windows import RandomWindows
from audiostride.device import choose_device
from audiostride.errors import DataError, UserError
from audiostride.evaluation.clips import LabelledClips
from audiostride.evaluation.measures import choose_measure
from audiostride.recipe.schema import Recipe
from audiostride.recipe.task import Task
from audiostride.training.fingerprint import Fingerprint, fingerprint
from audiostride.training.losses import TaskLoss
from audiostride.vocabulary import Measure

FEW_VALID = 20  # clips: each is worth 5 points of accuracy or more
MAX_POSITIVE_WEIGHT = 20.0  # of a class that next to no clip has


@dataclass(frozen=True)
class TrainingData:
    """What a training run reads: batches, losses and classes per task, labelled validation clips of every manifest."""

    batches: TaskBatches
    losses: dict[str, TaskLoss]
    classes: Classes
    validation: list[LabelledClips]
    note: str | None  # on recordings left out or decoded again, and on splits unused
    fingerprint: Fingerprint
    measures: dict[str, Measure]
    unheard: tuple[str, ...]  # tasks whose training clips all hold one of their classes


def _task_classes(name: str, task: Task, manifest: Manifest) -> tuple[str, ...]:
    """Give the classes of a task; DataError if they cannot be learned."""
    column = task.label
    names = class_names(manifest, column, task.kind)
    n_least = 1 if task.kind == "multilabel" else 2
    if len(names) < n_least:
        splits = ", ".join(sorted({repr(clip.split) for clip in manifest.clips}))
        raise DataError(
            f"{manifest.path}: the task {name!r} needs at least {n_least} class{'es' * (n_least > 1)} of {column!r} in "
            f"the split train, got {', '.join(names) or 'none'}; splits: {splits}"
        )
    unknown = sorted(set(class_names(manifest, column, task.kind, "valid")) - set(names))
    if unknown and task.kind == "single":
        raise DataError(
            f"{manifest.path}: the split valid has labels in {column!r} that train lacks: {', '.join(unknown)}"
        )
    if task.background is not None and task.background not in names:
        raise UserError(
            f"tasks.{name}.background: {task.background!r} is no class of {column!r} in the split train of "
            f"{manifest.path}; classes: {', '.join(names)}"
        )
    return names


def _unlearned(name: str, task: Task, manifest: Manifest, classes: Sequence[str]) -> str | None:
    """Say which classes of a multi-label task occur on validation clips and can never be found there."""
    valid = [clip for clip in manifest.clips if clip.split == "valid"]
    unknown = sorted(unknown_names(valid, task.label, classes, task.kind))
    if not unknown:
        return None
    return f"{name}: classes of the split valid that train lacks are left out: {', '.join(unknown)}"


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
    manifests = read_task_manifests(recipe)
    classes = {name: _task_classes(name, task, manifests[name]) for name, task in recipe.tasks.items()}
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
        ("train", "valid") if recipe.data.test_fold is None else SPLITS,  # every fold then has the same packs
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
    targets = {name: of_task for source in sources for name, of_task in source.targets.items()}
    losses = {name: _task_loss(recipe, name, of_task, len(classes[name])) for name, of_task in targets.items()}
    validated = {name: labels for clips in validation for name, labels in clips.labels.items()}
    measures = {
        name: choose_measure(task.best, validated[name][is_labelled(validated[name])])
        for name, task in recipe.tasks.items()
    }
    unlearned = [_unlearned(name, task, manifests[name], classes[name]) for name, task in recipe.tasks.items()]
    notes = [background.note if background else None, note, *map(_unused_splits, of_key.values()), *unlearned]
    batches = TaskBatches(
        sources,
        recipe.training.batch_size,
        _background_windows(recipe, background),
        _background_indices(recipe, classes) if recipe.augmentation.noise_as_background else None,
    )
    note = "\n".join(filter(None, notes)) or None
    return TrainingData(
        batches,
        losses,
        classes,
        validation,
        note,
        fingerprint(corpora, background),
        measures,
        _unheard(recipe, targets),
    )


def _background_indices(recipe: Recipe, classes: Classes) -> dict[str, int | None]:
    return {
        name: None if task.background is None else classes[name].index(task.background)
        for name, task in recipe.tasks.items()
    }


def _unheard(recipe: Recipe, targets: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Name the tasks that learn from no clip without a class, or of the class that means nothing."""
    return tuple(
        name
        for name, task in recipe.tasks.items()
        if task.background is None and (task.kind == "single" or bool(targets[name].any(1).all()))
    )


def _labelled(corpus: Corpus, split: str, tasks: Mapping[str, Task], classes: Classes) -> LabelledClips:
    """Give the clips of a split with the targets of every task that their manifest labels."""
    indices = corpus.select(split, {(task.label, task.kind) for task in tasks.values()})
    clips = [corpus.clips[i] for i in indices]
    labels = {name: encode(clips, task.label, classes[name], task.kind) for name, task in tasks.items()}
    return LabelledClips([corpus.samples[i] for i in indices], labels)


def _balanced(tasks: Mapping[str, Task]) -> str | None:
    """Give the one task of a manifest, if any, whose classes are sampled equally often."""
    names = [name for name, task in tasks.items() if task.sampling == "balanced"]
    if len(names) > 1:
        raise UserError(f"tasks.{names[1]}.sampling: tasks.{names[0]} of the same manifest is balanced already")
    return names[0] if names else None


def _source(recipe: Recipe, clips: LabelledClips, balanced: str | None, device: torch.device) -> Source:
    of_clips = None if balanced is None else groups(clips.labels[balanced])
    return Source(RandomWindows(clips.samples, window_size(recipe), recipe.seed, of_clips, device), clips.labels)


def inverse_frequency(targets: Tensor, n_classes: int) -> Tensor:
    """Give class weights whose mean over the labelled clips is 1.

    >>> inverse_frequency(torch.tensor([0, 0, 0, 1, NO_LABEL]), 2)
    tensor([0.6667, 2.0000])
    """
    counts = targets[targets != NO_LABEL].bincount(minlength=n_classes)
    return counts.sum() / (n_classes * counts.clamp(min=1))


def positive_weights(targets: Tensor) -> Tensor:
    """Give the ratio of clips without a class to clips with it, `MAX_POSITIVE_WEIGHT` at most.

    >>> positive_weights(torch.tensor([[1, 0], [0, 1], [0, 1]]))
    tensor([2.0000, 0.5000])
    """
    n_present = targets.sum(0)
    return ((len(targets) - n_present) / n_present.clamp(min=1)).clamp(max=MAX_POSITIVE_WEIGHT)


def _task_loss(recipe: Recipe, name: str, targets: Tensor, n_classes: int) -> TaskLoss:
    task, smoothing = recipe.tasks[name], recipe.training.label_smoothing
    if task.kind == "multilabel":
        weights = positive_weights(targets) if task.positive_weights == "inverse_frequency" else None
        return TaskLoss(task.weight, None, smoothing, weights, task.focal)
    weights = inverse_frequency(targets, n_classes) if task.class_weights == "inverse_frequency" else None
    return TaskLoss(task.weight, weights, smoothing)


def _unused_splits(manifest: Manifest) -> str | None:
    splits = Counter(clip.split for clip in manifest.clips)
    unused = ", ".join(f"{split!r} ({n} clips)" for split, n in sorted(splits.items()) if split not in SPLITS)
    if unused:
        return f"{manifest.path}: training uses the splits train and valid, not {unused}"
    if "valid" not in splits:
        return f"{manifest.path}: no clip in the split valid, so the last checkpoint counts as the best"
    if splits["valid"] < FEW_VALID:
        return (
            f"{manifest.path}: clips in the split valid: {splits['valid']}; chance decides which checkpoint is the best"
        )
    return None
