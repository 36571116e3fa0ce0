"""Evaluate a checkpoint on the files of a manifest's split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiostride.build import read_task_manifests, window_size
from audiostride.data.corpus import check_bad_files
from audiostride.data.manifest import Clip, Manifest, read_manifest, require_files
from audiostride.errors import DataError, UserError
from audiostride.evaluation.clips import TaskScore, classify_files, score
from audiostride.files import csv_text, write_text_atomic
from audiostride.recipe.schema import MAX_WINDOW_S
from audiostride.runs.checkpoint import Checkpoint


@dataclass(frozen=True)
class Prediction:
    """What the model says of one clip in one task; its probability is calibrated where the run is."""

    clip: Clip
    task: str
    label: str
    predicted: str
    probability: float
    n_windows: int


@dataclass(frozen=True)
class RunScore:
    """Scores per task, the prediction for every clip, and a note on recordings left out.

    `logits` `(clip, class)` and `labels` `(clip,)`, class indices, are in the order of a task's predictions.
    """

    scores: dict[str, TaskScore]
    predictions: list[Prediction]
    note: str | None
    logits: dict[str, Tensor]
    labels: dict[str, Tensor]


def _task_manifests(checkpoint: Checkpoint, manifest: Path | None, tasks: Sequence[str] | None) -> dict[str, Manifest]:
    """The manifest to evaluate every wanted task on."""
    known = checkpoint.recipe.tasks
    for name in tasks or ():
        if name not in known:
            raise UserError(f"--task {name}: the run has no such task, expected one of {', '.join(known)}")
    wanted = {name: task for name, task in known.items() if not tasks or name in tasks}
    if manifest is None:
        return read_task_manifests(wanted)
    other = read_manifest(manifest)
    found = {name: other for name, task in wanted.items() if task.label in other.label_columns}
    if not found:
        columns = ", ".join(sorted({task.label for task in wanted.values()}))
        raise UserError(
            f"{manifest}:1: no label column of the run's tasks ({columns}); "
            f"label columns: {', '.join(other.label_columns) or 'none'}"
        )
    return found


def _labelled_clips(checkpoint: Checkpoint, task: str, manifest: Manifest, split: str) -> list[Clip]:
    column, classes = checkpoint.recipe.tasks[task].label, checkpoint.classes[task]
    clips = [clip for clip in manifest.clips if clip.split == split and column in clip.labels]
    unknown = sorted({clip.labels[column] for clip in clips} - set(classes))
    if unknown:
        raise DataError(
            f"{manifest.path}: the task {task!r} does not know the label(s) {', '.join(unknown)}; "
            f"it was trained on {', '.join(classes)}"
        )
    return clips


def clips_to_score(
    checkpoint: Checkpoint, split: str = "test", manifest: Path | None = None, tasks: Sequence[str] | None = None
) -> dict[str, list[Clip]]:
    """The clips that `score_run` scores, per task, known to be there; tasks of one manifest share its clips.

    Raises:
        UserError: an unknown task, split or manifest. DataError: recordings missing, or labels that the model
            does not know.
    """
    clips_of = {}
    for task, found in _task_manifests(checkpoint, manifest, tasks).items():
        clips_of[task] = _labelled_clips(checkpoint, task, found, split)
        if not clips_of[task]:
            splits = ", ".join(sorted({clip.split for clip in found.clips}))
            raise UserError(f"--split {split}: {found.path} has no clip of it for {task!r}; splits: {splits}")
    require_files(clip for clips in clips_of.values() for clip in clips)
    return clips_of


def score_run(
    checkpoint: Checkpoint,
    split: str = "test",
    manifest: Path | None = None,
    tasks: Sequence[str] | None = None,
    window_s: float | None = None,
    hop_s: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> RunScore:
    """Score a checkpoint; every file is read once, whatever the number of tasks it has labels for.

    Windows follow each other every `hop_s` from the start of a file; the last one is padded with zeros, and dropped
    if it holds less than half a window of audio. Logits are averaged over the windows of a file.

    Args:
        split: whose files.
        manifest: instead of the recipe's own, for the tasks whose label column it has.
        tasks: only these.
        window_s: seconds of a window, by default the recipe's.
        hop_s: seconds between windows, by default the window.

    Raises:
        UserError: an unknown task, split or manifest, or a window that is too short.
        DataError: recordings missing or unusable, or labels that the model does not know.
    """
    sample_rate = checkpoint.recipe.frontend.sample_rate
    window_s = window_size(checkpoint.recipe) / sample_rate if window_s is None else window_s
    hop_s = window_s if hop_s is None else hop_s
    shortest_s = checkpoint.recipe.frontend.win_length / sample_rate
    if not shortest_s <= window_s <= MAX_WINDOW_S:
        raise UserError(f"--window-s {window_s:g}: expected {shortest_s:g} to {MAX_WINDOW_S} seconds")
    if not 1 / sample_rate <= hop_s <= MAX_WINDOW_S:
        raise UserError(f"--hop-s {hop_s:g}: expected more than 0, up to {MAX_WINDOW_S} seconds")
    clips_of = clips_to_score(checkpoint, split, manifest, tasks)
    clips: list[Clip] = []  # of all tasks; those that share a manifest share its clips
    indices: dict[int, int] = {}
    for clip in (clip for of_task in clips_of.values() for clip in of_task):
        if id(clip) not in indices:
            indices[id(clip)] = len(clips)
            clips.append(clip)
    n_done = 0

    def on_clip() -> None:
        nonlocal n_done
        n_done += 1
        if on_progress is not None:
            on_progress(n_done, len(clips))

    device = next(checkpoint.model.parameters()).device
    result, bad = classify_files(checkpoint.model, clips, window_s, hop_s, device, on_clip)
    note = check_bad_files(
        [f"{clips[i].path}: {reason}" for i, reason in bad.items()], checkpoint.recipe.data.max_bad_files
    )
    rows = {
        task: [i for i in (indices[id(clip)] for clip in of_task) if i not in bad] for task, of_task in clips_of.items()
    }
    if not all(rows.values()):
        raise DataError(f"no usable recording is left in the split {split}")
    scores, predictions = {}, []
    logits_of, labels_of = {}, {}
    for task, kept in rows.items():
        logits, n_windows = result.logits[task][kept], result.n_windows[kept]
        kept_clips = [clips[i] for i in kept]
        classes, column = checkpoint.classes[task], checkpoint.recipe.tasks[task].label
        labels = torch.tensor([classes.index(clip.labels[column]) for clip in kept_clips])
        temperature = checkpoint.temperature(task)
        scores[task] = score(logits, labels, n_windows, classes, temperature)
        logits_of[task], labels_of[task] = logits, labels
        predictions += _predictions(task, kept_clips, column, logits / (temperature or 1), n_windows, classes)
    return RunScore(scores, predictions, note, logits_of, labels_of)


def _predictions(
    task: str, clips: Sequence[Clip], column: str, logits: Tensor, n_windows: Tensor, classes: Sequence[str]
) -> list[Prediction]:
    probability, best = logits.softmax(1).max(1)
    return [
        Prediction(clip, task, clip.labels[column], classes[index], p, n)
        for clip, index, p, n in zip(clips, best.tolist(), probability.tolist(), n_windows.tolist(), strict=True)
    ]


def write_predictions(path: Path, result: RunScore) -> None:
    """Write the predictions as CSV."""
    rows: list[list[object]] = [["path", "start_s", "task", "label", "predicted", "probability", "n_windows"]]
    for p in result.predictions:
        row = [p.clip.path, f"{p.clip.start_s:g}", p.task, p.label, p.predicted, f"{p.probability:.6f}"]
        rows.append([*row, p.n_windows])
    try:
        write_text_atomic(path, csv_text(rows))
    except OSError as error:
        raise UserError(f"--predictions {path}: cannot be written ({error.strerror})") from error
