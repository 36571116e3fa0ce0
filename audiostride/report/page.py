"""One HTML file about a run: it opens anywhere, offline, for good."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml

from audiostride.build import read_task_manifests
from audiostride.errors import UserError
from audiostride.evaluation.calibration import (
    Calibration,
    as_answers,
    reliability,
)
from audiostride.evaluation.majority import majority_text
from audiostride.evaluation.probabilities import probabilities
from audiostride.evaluation.scores import TaskScore
from audiostride.models.protocol import StridedBackbone
from audiostride.report.clips import WorstClip, can_write_mp3, worst_clips
from audiostride.report.events import EventReport, event_report
from audiostride.report.figures import (
    Picture,
    accuracy_curve,
    learning_rates,
    loss_curve,
    reliability_diagram,
    stride_pictures,
)
from audiostride.report.precision_recall import precision_recall
from audiostride.report.results import (
    Cell,
    ConfusedPair,
    accuracy_interval,
    cells,
    confused_pairs,
)
from audiostride.report.splits import Split, count_splits
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.event_scoring import EventResult
from audiostride.runs.folder import RunFolder
from audiostride.runs.scoring import RunScore, score_run
from audiostride.strides.cutoffs import StrideReading
from audiostride.strides.plots import caption
from audiostride.strides.reading import run_strides

N_IN_TABLE = 15  # classes whose confusion matrix is a table of numbers; a picture is drawn of more
N_IN_PICTURE = 200  # and of still more, only the pairs confused most are named


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be believed on these clips: as trained and, if the run is calibrated, after it."""

    temperature: float | None
    diagram: Picture


@dataclass(frozen=True)
class TaskReport:
    """All about one task. `splits` is None if the manifest that it was trained with is not there."""

    name: str
    score: TaskScore
    interval: tuple[float, float]
    manifest: str
    splits: list[Split] | None
    curves: list[Picture]
    precision_recall: Picture | None
    cells: list[Cell]
    pairs: list[ConfusedPair]
    worst: list[WorstClip]
    reliability: Reliability

    @property
    def is_binary(self) -> bool:
        """Tell whether the task is a question of yes or no, which leaves room for another beside it."""
        return self.score.kind == "single" and len(self.score.classes) == 2


@dataclass(frozen=True)
class ReportData:
    """Everything that the page shows."""

    name: str
    checkpoint: str
    step: int
    date: str
    version: str
    split: str
    manifest: str | None
    notes: list[str]
    recipe: str
    environment: dict[str, str]
    learning_rates: Picture | None
    downsampling: str
    strides: Sequence[StrideReading]
    stride_figures: list[Picture]
    stride_caption: str
    tasks: list[TaskReport]
    events: EventReport | None = None


def _splits(checkpoint: Checkpoint, task: str) -> list[Split] | None:
    settings = checkpoint.recipe.tasks[task]
    try:
        manifest = read_task_manifests(checkpoint.recipe, [task])[task]
        return count_splits(manifest, settings.label, settings.kind)
    except UserError:
        return None


def _reliability(result: RunScore, task: str, calibration: Calibration | None) -> Reliability:
    logits, labels, _ = as_answers(result.logits[task].numpy(), result.labels[task].numpy())
    before = probabilities(logits)
    after = None if calibration is None else probabilities(logits, calibration.temperature)
    return Reliability(
        None if calibration is None else calibration.temperature,
        reliability_diagram(reliability(before, labels), None if after is None else reliability(after, labels), task),
    )


def _task_report(
    checkpoint: Checkpoint,
    result: RunScore,
    task: str,
    *,
    manifest: Path | None,
    metrics: Sequence[Mapping[str, Any]],
    calibration: Calibration | None,
) -> TaskReport:
    settings = checkpoint.recipe.tasks[task]
    root = (manifest or Path(settings.manifest)).parent if manifest or settings.root is None else Path(settings.root)
    score, logits, labels = result.scores[task], result.logits[task], result.labels[task]
    predictions = [prediction for prediction in result.predictions if prediction.task == task]
    paths = [prediction.clip.path for prediction in predictions]
    right = [prediction.label == prediction.predicted for prediction in predictions]
    return TaskReport(
        name=task,
        score=score,
        interval=accuracy_interval(np.array(right), paths),
        manifest=settings.manifest,
        splits=_splits(checkpoint, task),
        curves=[
            curve
            for curve in (loss_curve(metrics, task), accuracy_curve(metrics, task, settings.kind))
            if curve is not None
        ],
        precision_recall=precision_recall(logits, labels, score),
        cells=cells(score),
        pairs=confused_pairs(score),
        worst=worst_clips(checkpoint, result, task, root.absolute()),
        reliability=_reliability(result, task, calibration),
    )


def _notes(run: RunFolder | None, metrics: Sequence[object], environment: Mapping[str, str]) -> list[str]:
    """Give what the report lacks, and why."""
    of_run = (
        "it is a checkpoint file alone, outside the folder of its run"
        if run is None
        else f"the run has no {run.metrics.name}"
    )
    missing = {
        f"No curves: {of_run}.": not metrics,
        "Not known what it was trained with: there is no environment.json of the run.": not environment,
        "No players: libsndfile on this machine writes no MP3.": not can_write_mp3(),
    }
    return [note for note, is_missing in missing.items() if is_missing]


def build_report(
    checkpoint: Checkpoint,
    name: str,
    split: str = "test",
    *,
    manifest: Path | None = None,
    events: EventResult | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ReportData:
    """Evaluate a checkpoint and collect what is known of its run.

    What the run's folder lacks (curves, versions, a calibration of this checkpoint) is left out with a note.

    Args:
        name: of the run, for the heading.
        split: whose files are evaluated.
        manifest: instead of the recipe's own, for the tasks whose label column it has.
        events: of whole recordings, as `score_events` gives them for this checkpoint.
        on_progress: called with the files done and in all.

    Raises:
        UserError, DataError: as `score_run`.
    """
    result = score_run(checkpoint, split, manifest=manifest, on_progress=on_progress)
    run = RunFolder.of_checkpoint(checkpoint.path)
    metrics = [] if run is None else run.read_metrics()
    environment = {} if run is None else run.read_environment()
    tasks = [
        _task_report(
            checkpoint,
            result,
            task,
            manifest=manifest,
            metrics=metrics,
            calibration=checkpoint.calibration.get(task),
        )
        for task in result.scores
    ]
    has_strides = isinstance(checkpoint.model.backbone, StridedBackbone)
    strides = run_strides(checkpoint.path if run is None else run.path, checkpoint) if has_strides else None
    return ReportData(
        name=name,
        checkpoint=str(checkpoint.path),
        step=checkpoint.step,
        date=datetime.fromtimestamp(checkpoint.path.stat().st_mtime, UTC).strftime("%Y-%m-%d"),
        version=importlib.metadata.version("audiostride"),
        split=split,
        manifest=None if manifest is None else str(manifest),
        notes=[*filter(None, [result.note]), *_notes(run, metrics, environment)],
        recipe=yaml.safe_dump(checkpoint.recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        environment=environment,
        learning_rates=learning_rates(metrics),
        downsampling=checkpoint.recipe.model.downsampling,
        strides=strides.learned.readings if strides else (),
        stride_figures=stride_pictures(name, strides) if strides else [],
        stride_caption=caption({name: [strides]}) if strides else "",
        tasks=sorted(tasks, key=lambda task: task.is_binary),
        events=None if events is None else event_report(checkpoint, events),
    )


def render_report(data: ReportData) -> str:
    """Give the page: HTML that needs nothing else, whatever is in it escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("template.html.j2")
    page = template.render(
        data=data,
        n_in_table=N_IN_TABLE,
        n_in_picture=N_IN_PICTURE,
        majority_text=majority_text,
    )
    return page.encode(errors="backslashreplace").decode()  # names of files need not be Unicode
