"""Evaluate a checkpoint on the files of a manifest's split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audiostride.build import apply_folds, read_task_manifests
from audiostride.data.corpus import check_bad_files
from audiostride.data.manifest import LABEL_SEPARATOR, Clip, Manifest, read_manifest, require_files
from audiostride.data.targets import encode, has_label, names_of, unknown_names
from audiostride.errors import ArgumentError, DataError, UserError
from audiostride.evaluation.probabilities import probabilities
from audiostride.evaluation.scores import TaskScore, decide_classes, joined, score
from audiostride.files import csv_text, path_text, write_text_atomic
from audiostride.prediction.decoding import Source
from audiostride.prediction.model import WindowModel
from audiostride.prediction.onnx_model import OnnxModel
from audiostride.prediction.stream import FileResult, WindowResult, predict_sources, window_samples
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.model import RunModel

N_DECODERS = 2  # threads that decode ahead of the model


@dataclass(frozen=True)
class Prediction:
    """What the model says of one clip in one task; its probability is calibrated where the run is.

    Of a multi-label task, `label` and `predicted` hold the classes between `;`, and the probability is that of the
    likeliest class.
    """

    clip: Clip
    task: str
    label: str
    predicted: str
    probability: float
    n_windows: int
    duration_s: float


@dataclass(frozen=True)
class RunScore:
    """Scores per task, the prediction for every clip, and a note on recordings left out.

    `logits` `(clip, class)` and `labels`, as `encode` gives them, are in the order of a task's predictions.
    """

    scores: dict[str, TaskScore]
    predictions: list[Prediction]
    note: str | None
    logits: dict[str, Tensor]
    labels: dict[str, Tensor]


@dataclass(frozen=True)
class Subject:
    """A model to score, and what its recipe says of the data.

    Attributes:
        model: whose logits are scored.
        recipe: that it was trained with.
        temperatures: of the tasks that were calibrated.
        knows_manifests: whether the manifests of the recipe can be looked for; an exported model does not hold them.
    """

    model: WindowModel
    recipe: Recipe
    temperatures: Mapping[str, float]
    knows_manifests: bool = True

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> "Subject":
        """Score a run."""
        temperatures = {task: calibration.temperature for task, calibration in checkpoint.calibration.items()}
        return cls(RunModel(checkpoint), checkpoint.recipe, temperatures)

    @classmethod
    def of_onnx(cls, model: OnnxModel) -> "Subject":
        """Score an exported model.

        Raises:
            UserError: it holds no recipe that this version reads.
        """
        try:
            recipe = Recipe.model_validate_json(model.metadata["recipe"])
        except (KeyError, ValueError) as error:
            raise UserError(f"{model.path}: holds no recipe that this version reads") from error
        temperatures = {task: value for task, value in model.temperatures.items() if value != 1}
        return cls(model, recipe, temperatures, knows_manifests=False)


def _task_manifests(subject: Subject, manifest: Path | None, tasks: Sequence[str] | None) -> dict[str, Manifest]:
    """Read the manifest to evaluate every wanted task on."""
    known = subject.recipe.tasks
    for name in tasks or ():
        if name not in known:
            raise ArgumentError("task", name, f"the run has no such task, expected one of {', '.join(known)}")
    wanted = {name: task for name, task in known.items() if not tasks or name in tasks}
    if manifest is None:
        if not subject.knows_manifests:
            raise UserError(f"{subject.model.path}: an exported model does not know its recordings; name a manifest")
        return read_task_manifests(subject.recipe, wanted)
    other = read_manifest(manifest)
    if any(clip.fold is not None for clip in other.clips):  # by its column `split`, the model may have seen its clips
        other = apply_folds(other, subject.recipe.data)
    manifests = {name: other for name, task in wanted.items() if task.label in other.label_columns}
    if not manifests:
        columns = ", ".join(sorted({task.label for task in wanted.values()}))
        raise UserError(
            f"{manifest}:1: no label column of the run's tasks ({columns}); "
            f"label columns: {', '.join(other.label_columns) or 'none'}"
        )
    return manifests


def _labelled_clips(subject: Subject, task: str, manifest: Manifest, split: str) -> list[Clip]:
    settings, classes = subject.recipe.tasks[task], subject.model.classes[task]
    column, kind = settings.label, settings.kind
    clips = [clip for clip in manifest.clips if clip.split == split and has_label(clip, column, kind)]
    unknown = sorted(unknown_names(clips, column, classes, kind))
    if unknown and kind == "single":
        raise DataError(
            f"{manifest.path}: the task {task!r} does not know the label(s) {', '.join(unknown)}; "
            f"it was trained on {', '.join(classes)}"
        )
    return clips


def clips_to_score(
    subject: Subject, split: str = "test", manifest: Path | None = None, tasks: Sequence[str] | None = None
) -> dict[str, list[Clip]]:
    """Collect the clips that `score_model` scores, per task; tasks of one manifest share its clips.

    Raises:
        UserError: an unknown task, split or manifest. DataError: more recordings missing than the recipe allows, or
            labels that the model does not know.
    """
    clips_by_task = {}
    for task, task_manifest in _task_manifests(subject, manifest, tasks).items():
        clips_by_task[task] = _labelled_clips(subject, task, task_manifest, split)
        if not clips_by_task[task]:
            splits = ", ".join(sorted({clip.split for clip in task_manifest.clips}))
            raise ArgumentError(
                "split", split, f"{task_manifest.path} has no clip of it for {task!r}; splits: {splits}"
            )
    max_bad_files = subject.recipe.data.max_bad_files
    require_files((clip for clips in clips_by_task.values() for clip in clips), max_bad_files)
    return clips_by_task


def _window_samples(model: WindowModel, window_s: float | None, hop_s: float | None) -> tuple[int, int]:
    """Compute the samples of a window and of the hop, which is the window by default."""
    n_window, _ = window_samples(model, window_s, None)
    return window_samples(model, window_s, n_window / model.sample_rate if hop_s is None else hop_s)


def _mean_logits(
    model: WindowModel,
    clips: Sequence[Clip],
    window_s: float | None,
    hop_s: float | None,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[dict[int, FileResult], dict[int, str]]:
    """Average the logits of every clip's windows; by index the results, and the reasons of clips that failed."""
    n_window, n_hop = _window_samples(model, window_s, hop_s)
    sources = [Source(clip.path, clip.start_s, clip.duration_s) for clip in clips]
    results: dict[int, FileResult] = {}
    reasons: dict[int, str] = {}
    for result in predict_sources(
        model, sources, tuple(model.classes), n_window=n_window, n_hop=n_hop, n_threads=N_DECODERS
    ):
        if isinstance(result, WindowResult):
            continue
        i = len(results) + len(reasons)  # sources end in their order
        if isinstance(result, FileResult):
            results[i] = result
        else:
            reasons[i] = result.reason
        if on_progress is not None:
            on_progress(i + 1, len(clips))
    return results, reasons


def score_run(
    checkpoint: Checkpoint,
    split: str = "test",
    *,
    manifest: Path | str | None = None,
    tasks: Sequence[str] | None = None,
    window_s: float | None = None,
    hop_s: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> RunScore:
    """Score a checkpoint; arguments and errors are those of `score_model`."""
    return score_model(
        Subject.of_checkpoint(checkpoint),
        split,
        manifest=manifest,
        tasks=tasks,
        window_s=window_s,
        hop_s=hop_s,
        on_progress=on_progress,
    )


def score_model(
    subject: Subject,
    split: str = "test",
    *,
    manifest: Path | str | None = None,
    tasks: Sequence[str] | None = None,
    window_s: float | None = None,
    hop_s: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> RunScore:
    """Score a model; every file is read once, whatever the number of tasks it has labels for.

    Windows follow each other every `hop_s` from the start of a file; the last one is padded with zeros, and dropped
    if it holds less than half a window of audio. Logits are averaged over the windows of a file.

    Args:
        split: whose files.
        manifest: instead of the recipe's own, for the tasks whose label column it has.
        tasks: only these.
        window_s: seconds of a window, by default the recipe's.
        hop_s: seconds between windows, by default the window.
        on_progress: called with the clips done and in all.

    Raises:
        UserError: an unknown task, split or manifest, or a window that is too short.
        DataError: more recordings missing or unusable than the recipe allows, or labels that the model does not know.
    """
    _window_samples(subject.model, window_s, hop_s)  # a mistake there shows before anything is read
    clips_by_task = clips_to_score(subject, split, None if manifest is None else Path(manifest), tasks)
    clips: list[Clip] = []  # of all tasks; those that share a manifest share its clips
    indices: dict[int, int] = {}
    for clip in (clip for task_clips in clips_by_task.values() for clip in task_clips):
        if id(clip) not in indices:
            indices[id(clip)] = len(clips)
            clips.append(clip)
    results, reasons = _mean_logits(subject.model, clips, window_s, hop_s, on_progress)
    bad_files = [f"{clips[i].path}: {reason}" for i, reason in reasons.items()]
    notes = [check_bad_files(bad_files, subject.recipe.data.max_bad_files)]
    notes += [_unknown(subject, task, task_clips) for task, task_clips in clips_by_task.items()]
    scored = RunScore({}, [], "\n".join(filter(None, notes)) or None, {}, {})
    for task, task_clips in clips_by_task.items():
        kept = [i for i in (indices[id(clip)] for clip in task_clips) if i in results]
        if not kept:
            raise DataError(f"no usable recording is left in the split {split}")
        _score_task(subject, task, [clips[i] for i in kept], [results[i] for i in kept], scored)
    return scored


def _unknown(subject: Subject, task: str, clips: Sequence[Clip]) -> str | None:
    """Say which labels of a multi-label task are none of its classes; what the clips hold beside them counts."""
    settings = subject.recipe.tasks[task]
    unknown = unknown_names(clips, settings.label, subject.model.classes[task], settings.kind)
    if not unknown:
        return None
    named = ", ".join(f"{name} ({n} clips)" for name, n in sorted(unknown.items()))
    return f"{task}: labels that the model has not learned are left out: {named}"


def _score_task(
    subject: Subject, task: str, clips: Sequence[Clip], results: Sequence[FileResult], scored: RunScore
) -> None:
    """Add the score of a task to `scored`, and the prediction of each of its clips."""
    logits = torch.from_numpy(np.stack([result.mean_logits[task] for result in results]))
    n_windows = torch.tensor([result.n_windows for result in results])
    classes, column, traits = subject.model.classes[task], subject.recipe.tasks[task].label, subject.model.traits[task]
    labels = encode(clips, column, classes, traits.kind)
    temperature = subject.temperatures.get(task)
    scored.scores[task] = score(logits, labels, n_windows, classes, temperature=temperature, traits=traits)
    scored.logits[task], scored.labels[task] = logits, labels
    found = decide_classes(logits, classes, temperature or 1.0, traits)[0] if traits.kind == "multilabel" else None
    probability = probabilities(logits.numpy(), temperature or 1.0, traits.kind).max(axis=1)
    for i, (clip, result) in enumerate(zip(clips, results, strict=True)):
        predicted = classes[int(logits[i].argmax())] if found is None else joined(classes, found[i].tolist())
        label = LABEL_SEPARATOR.join(sorted(names_of(clip, column, traits.kind)))
        scored.predictions.append(
            Prediction(clip, task, label, predicted, float(probability[i]), result.n_windows, result.duration_s)
        )


def write_predictions(path: Path, result: RunScore) -> None:
    """Write the predictions as CSV."""
    rows: list[list[object]] = [["path", "start_s", "task", "label", "predicted", "probability", "n_windows"]]
    for p in result.predictions:
        row = [path_text(p.clip.path), f"{p.clip.start_s:g}", p.task, p.label, p.predicted, f"{p.probability:.6f}"]
        rows.append([*row, p.n_windows])
    write_text_atomic(path, csv_text(rows))
