"""A recipe drafted for a manifest: look at the recordings, choose, and measure how many steps fit the time."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from audiostride.data.folds import fold_names, split_by_fold
from audiostride.data.manifest import Manifest, sort_classes
from audiostride.data.scan import Scan
from audiostride.drafts.choices import (
    SHORT_S,
    Choice,
    choose_frontend,
    choose_task,
    choose_window,
    share_at_most,
    thriftier,
)
from audiostride.drafts.schedule import ENOUGH, Pace, Schedule, measure_pace, plan_steps
from audiostride.drafts.survey import Survey, survey_manifest
from audiostride.drafts.text import as_values, write_yaml
from audiostride.errors import ArgumentError, UserError
from audiostride.recipe.schema import Recipe
from audiostride.vocabulary import LABELS_COLUMN

MANY_CLIPS = 5000  # from which a wider model pays on a GPU
N_CLASSES_MAX = 1000
N_FOLDS_MIN = 3


@dataclass(frozen=True)
class Draft:
    """A recipe with what it was drafted from.

    Args:
        choices: in the order of the recipe.
        survey: of the recordings.
        pace: of a step on this machine.
        schedule: that fits the time.
        counts: training clips of every class, by task.
    """

    choices: Sequence[Choice]
    survey: Survey
    pace: Pace
    schedule: Schedule
    counts: dict[str, dict[str, int]]

    @property
    def recipe(self) -> Recipe:
        """Give the recipe itself."""
        return Recipe.model_validate(as_values(self.choices))

    def text(self, head: Sequence[str]) -> str:
        """Write the recipe as YAML under a comment."""
        return write_yaml(head, self.choices)


def name_task(text: str) -> str:
    """Make a name for a task of any text.

    >>> name_task("My birds (2026)"), name_task("2026")
    ('My_birds_2026', 'task_2026')
    """
    name = re.sub(r"\W+", "_", text).strip("_") or "task"
    return name if name.isidentifier() else f"task_{name}"


def choose_labels(manifest: Manifest, labels: Sequence[str] = ()) -> list[str]:
    """Choose the columns to learn: those that are named, else the one called `labels` or `label`, else the only one.

    Raises:
        ArgumentError: no such column, or several and none is named.
    """
    columns = {
        name: len({clip.labels[name] for clip in manifest.clips if name in clip.labels})
        for name in manifest.label_columns
    }
    told = ", ".join(f"{name} ({n} classes)" for name, n in columns.items()) or "none"
    for label in labels:
        if label not in columns:
            raise ArgumentError("label", label, f"no such column in {manifest.path}; label columns: {told}")
    if labels:
        return list(dict.fromkeys(labels))
    if LABELS_COLUMN in columns or "label" in columns:
        return [LABELS_COLUMN if LABELS_COLUMN in columns else "label"]
    if len(columns) == 1:
        return list(columns)
    if not columns:
        raise UserError(f"{manifest.path}:1: no column of classes beside path and split, expected one such as label")
    raise UserError(f"{manifest.path}: which column is to be learned? name it with --label: {told}")


def _classes(manifest: Manifest, label: str) -> dict[str, int]:
    """Count the training clips of every class in a column."""
    balance = Scan(manifest, (), ()).balance.get(label, {})
    counts = {name: of_split["train"] for name, of_split in balance.items() if name and of_split["train"]}
    least = 1 if label == LABELS_COLUMN else 2
    if not least <= len(counts) <= N_CLASSES_MAX:
        found = f"{len(counts)} classes" if len(counts) != 1 else f"one class, {next(iter(counts))!r},"
        raise UserError(
            f"{manifest.path}: the column {label!r} has {found} in the split train, expected {least} to {N_CLASSES_MAX}"
        )
    return counts


def _model(device: torch.device, n_clips: int) -> list[Choice]:
    on_gpu = device.type != "cpu"
    width = 0.25 if not on_gpu else 1.0 if n_clips >= MANY_CLIPS else 0.5
    why = f"{width:g} of the channels" + ("." if on_gpu else ": what a CPU trains in minutes.")
    return [
        Choice("model", "downsampling", "diffstride", "The strides are learned: audiostride strides reads them."),
        Choice("model", "ramp", "folded", "Maps are as small as those of strided convolutions."),
        Choice("model", "width", width, why),
    ]


def _training(batch_size: int, n_parts: int) -> list[Choice]:
    parts = (
        [Choice("training", "accumulate", n_parts, "A whole batch does not fit into the memory.")]
        if n_parts > 1
        else []
    )
    return [
        Choice("training", "batch_size", batch_size),
        *parts,
        Choice(
            "training", "learning_rate", 3e-3, "What short runs of this model learn well with; strides move faster."
        ),
        Choice("training", "stride_learning_rate", 5e-3),
        Choice("training", "schedule", "cosine"),
    ]


def _n_windows(manifest: Manifest, survey: Survey, window_s: float, *splits: str) -> float:
    """Count the windows that the clips of some splits fill, as far as headers were read."""
    n_clips = sum(clip.split in splits for clip in manifest.clips)
    mean_s = sum(survey.durations_s) / max(1, len(survey.durations_s))
    return n_clips * max(1.0, mean_s / window_s)


def _steps(schedule: Schedule, pace: Pace) -> list[Choice]:
    took = f"A step takes {pace.seconds_per_step:.2g} s here"
    if schedule.is_enough:
        reason = f"{took}, so there is time for more; these repeat the recordings as often as it is worth."
    else:
        reason = f"{took}: these fill the time, validations included."
    return [
        Choice("training", "steps", schedule.steps, reason),
        Choice("training", "validate_every", schedule.validate_every),
        Choice("training", "log_every", max(1, schedule.steps // 20)),
    ]


def _folds(manifest: Manifest) -> list[Choice]:
    """Choose folds for validation and test, where a manifest has folds and no split for one of these."""
    if {"valid", "test"} <= {clip.split for clip in manifest.clips} or any(
        clip.fold is None for clip in manifest.clips
    ):
        return []
    names = fold_names(manifest)
    if len(names) < N_FOLDS_MIN:
        return []
    reason = f"The recordings come in {len(names)} folds: one is for testing, one for validation, others for training."
    return [Choice("data", "test_fold", names[-1], reason), Choice("data", "valid_fold", names[-2])]


def draft_recipe(
    manifest: Manifest,
    labels: Sequence[str],
    *,
    shown: str,
    name: str,
    minutes: float,
    device: torch.device,
    on_progress: Callable[[int, int], None] | None = None,
) -> Draft:
    """Draft a recipe.

    Args:
        manifest: what to train on.
        labels: columns to learn, each as a task, the first one that the spectrum is measured by.
        shown: the path of the manifest as the recipe is to give it.
        name: of the task, if there is one alone; several are named after their columns.
        minutes: that the training may take on this machine.
        device: to train on.
        on_progress: as of `survey_manifest`.

    Raises:
        UserError: nothing to train on, one class, or too little memory. DataError: no recording can be used.
    """
    if minutes <= 0:
        raise ArgumentError("minutes", minutes, "expected more than 0")
    if not any(clip.split == "train" for clip in manifest.clips):
        splits = ", ".join(sorted({clip.split for clip in manifest.clips}))
        raise UserError(f"{manifest.path}: no clip in the split train; its splits are {splits}")
    survey = survey_manifest(manifest, labels[0], on_progress)
    folds = _folds(manifest)
    if folds:
        manifest = split_by_fold(manifest, *(str(choice.value) for choice in folds))
    tasks = {label: name if len(labels) == 1 else name_task(label) for label in labels}
    counts = {tasks[label]: _classes(manifest, label) for label in labels}
    lengths = {clip.duration_s for clip in manifest.clips} - {None}
    if fixed := lengths.pop() if len(lengths) == 1 else None:
        window = Choice("data", "window_s", fixed, "The rows of the manifest are windows of this length.")
    else:
        window = choose_window(survey.durations_s)
    isolated = "Marked sounds stand out" if LABELS_COLUMN in labels else ""
    if share_at_most(survey.durations_s, 0.9) <= SHORT_S:
        isolated = isolated or "Clips hold one short sound each"
    choices = [
        *(choice for label in labels for choice in choose_task(tasks[label], shown, label, counts[tasks[label]])),
        window,
        *folds,
        *choose_frontend(survey, isolated),
    ]
    if isolated:
        reason = "Noise of any level is added in training: a model of few recordings learns them by heart otherwise."
        choices.append(Choice("augmentation", "noise_snr_db", [5, 50], reason))
    choices += _model(device, sum(clip.split == "train" for clip in manifest.clips))
    tried = thriftier(choices, 32 if device.type == "cpu" else 64, fixed_window=fixed is not None)
    for chosen, batch_size in tried:
        draft = _timed(chosen, batch_size, manifest, survey, counts, minutes=minutes, device=device)
        if draft.schedule.steps >= ENOUGH:
            return draft
    if not draft.pace.has_run:
        raise UserError(
            f"{device}: out of memory for a training step with one window at a time; "
            "close what else uses it, or choose another device"
        )
    return draft


def _timed(
    choices: list[Choice],
    batch_size: int,
    manifest: Manifest,
    survey: Survey,
    counts: dict[str, dict[str, int]],
    *,
    minutes: float,
    device: torch.device,
) -> Draft:
    """Measure steps of a model of these choices, and add how many of them fit the time."""
    classes = {task: sort_classes(list(of_task)) for task, of_task in counts.items()}
    n_parts = 1
    while True:
        training = _training(batch_size, n_parts)
        recipe = Recipe.model_validate(as_values([*choices, *training]))
        pace = measure_pace(recipe, classes, device)
        if pace.fits or n_parts >= batch_size:
            break
        n_parts *= 2
    window_s = recipe.data.window_s
    schedule = plan_steps(
        60 * minutes,
        pace.seconds_per_step,
        batch_size=batch_size,
        n_windows=_n_windows(manifest, survey, window_s, "train"),
        n_valid_windows=_n_windows(manifest, survey, window_s, "valid"),
    )
    return Draft([*choices, *training, *_steps(schedule, pace)], survey, pace, schedule, counts)
