"""`audiostride eval --events`: score a run on the annotated events of whole recordings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audiostride.cli.console import print_line, progress, say, show, table, write_json
from audiostride.cli.prepare_annotations import check_unused, parse_renamed, say_notes
from audiostride.errors import ArgumentError

if TYPE_CHECKING:
    from audiostride.evaluation.event_matching import Criterion
    from audiostride.evaluation.event_scores import EventCounts, MeanMeasures
    from audiostride.runs.event_scoring import EventResult, EventSettings
    from audiostride.runs.scoring import Subject

N_CLASSES_SHOWN = 20
N_LETTERS = 22  # of a class, so that the table fits in 80 columns

Match = Literal["iou", "collar"]
Events = Annotated[
    Path | None,
    typer.Option(
        metavar="ANNOTATIONS",
        help="Score the events of whole recordings instead of labelled clips: a folder of recordings with tables of "
        "Raven, Audacity or CSV, or one table. Recordings that the manifest has in another split do not count.",
    ),
]
MatchBy = Annotated[
    Match | None,
    typer.Option(
        help="With --events, what a hit is: an annotated and a detected event with enough intersection over union "
        "(iou), or with onset and offset close to each other (collar).",
        show_default="iou",
    ),
]
MinIou = Annotated[
    float | None,
    typer.Option(help="Least intersection over union of a hit, with --match iou.", show_default="0.2"),
]
CollarS = Annotated[
    float | None,
    typer.Option(
        help="Seconds by which onset and offset may differ, with --match collar; the offset also by half of the "
        "annotated event's length.",
        show_default="0.2",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="With --events, least probability of a detection, for all classes.",
        show_default="the model's own, else 0.5",
    ),
]
Confirm = Annotated[
    str | None,
    typer.Option(
        metavar="K/N",
        help="With --events, K of N windows must reach the threshold for a detection.",
        show_default="1/1",
    ),
]
Refractory = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="With --events, detections of a class no more than S seconds apart are one event.",
        show_default="0",
    ),
]
Smooth = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="With --events, average probabilities over the windows that began in the last S seconds.",
        show_default="0",
    ),
]
Renamed = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OLD=NEW", help="With --events, rename an annotated class; may be repeated."),
]
Ignored = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="CLASS",
        help="With --events, count neither spans nor detections of this class (as renamed); may be repeated.",
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(help="With --events, draw misses against false alarms per hour, as PNG, SVG or PDF."),
]


def read_criterion(match: Match | None, min_iou: float | None, collar_s: float | None) -> "Criterion":
    """Choose how events are matched; what belongs to the other way is a mistake."""
    from audiostride.evaluation.event_matching import Collar, Overlap

    if match == "collar":
        check_unused({"min_iou": min_iou}, "an option of --match iou")
        return Collar() if collar_s is None else Collar(collar_s)
    check_unused({"collar_s": collar_s}, "an option of --match collar")
    return Overlap() if min_iou is None else Overlap(min_iou)


def score(
    subject: "Subject",
    path: Path,
    settings: "EventSettings",
    *,
    renamed: Sequence[str],
    ignored: Sequence[str],
    task: str | None,
    split: str,
    manifest: Path | None,
) -> "EventResult":
    """Score a model on the annotations at `path`, and say what was left out."""
    from audiostride.runs.event_data import choose_events, read_events
    from audiostride.runs.event_scoring import score_events

    annotations = read_events(subject, path, parse_renamed(renamed), ignored)
    say_notes(annotations)
    data = choose_events(subject, annotations, task=task, split=split, manifest=manifest, ignored=ignored)
    with progress("recordings") as on_progress:
        result = score_events(subject, data, settings, on_progress=on_progress)
    for note in result.notes:
        say(note)
    return result


def evaluate_events(
    subject: "Subject",
    path: Path,
    settings: "EventSettings",
    about: Mapping[str, object],
    *,
    title: str,
    renamed: Sequence[str] | None,
    ignored: Sequence[str] | None,
    tasks: Sequence[str] | None,
    split: str,
    manifest: Path | None,
    json_file: str | None,
    plot: Path | None,
) -> None:
    """Score a model on annotated events, and show, draw and write what comes of it.

    Args:
        about: the model, for the JSON.
        title: of the tables.
    """
    if tasks and len(tasks) > 1:
        raise ArgumentError("task", tasks[1], "events are those of one task, expected one --task")
    result = score(
        subject,
        path,
        settings,
        renamed=renamed or [],
        ignored=ignored or [],
        task=tasks[0] if tasks else None,
        split=split,
        manifest=manifest,
    )
    if json_file != "-":
        _show(result, title)
    if plot is not None:
        from audiostride.report.det_plot import plot_det

        plot_det(result, plot)
    if json_file is not None:
        write_json(json_file, {**result.as_dict(), **about})


def _short(name: str) -> str:
    return name if len(name) <= N_LETTERS else f"{name[: N_LETTERS - 1]}…"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _measures(of: "EventCounts | MeanMeasures") -> tuple[str, ...]:
    return _number(of.false_alarms_per_hour, 1), _number(of.precision), _number(of.recall), _number(of.f1)


def _counts(of: "EventCounts") -> tuple[str, ...]:
    return str(of.n_annotated), str(of.n_hits), str(of.n_misses), str(of.n_false_alarms)


def _show(result: "EventResult", title: str) -> None:
    classes = sorted(result.score.classes.items(), key=lambda item: -item[1].n_annotated)
    rows = table("class", "events", "hits", "misses", "false", "false/h", "prec.", "recall", "F1")
    for name, counts in classes[:N_CLASSES_SHOWN]:
        rows.add_row(_short(name), *_counts(counts), *_measures(counts))
    rows.add_section()
    rows.add_row("all events", *_counts(result.score.micro), *_measures(result.score.micro))
    rows.add_row("mean of the classes", "", "", "", "", *_measures(result.score.macro))
    show(title, rows)
    if len(classes) > N_CLASSES_SHOWN:
        print_line(f"{len(classes) - N_CLASSES_SHOWN} more in the JSON (--json FILE)")
    if names := result.score.unannotated:
        shown = ", ".join(names[:N_CLASSES_SHOWN]) + (", ..." if len(names) > N_CLASSES_SHOWN else "")
        print_line(f"without annotated events, not in the mean: {shown}")
    _show_curve(result)


def _show_curve(result: "EventResult") -> None:
    from audiostride.runs.event_scoring import LIMITS_PER_HOUR

    if result.curve is None:
        print_line("no curve: no annotated event counts")
        return
    rows = table("false alarms per hour, at most", "miss rate", "false/h", "threshold")
    for limit in LIMITS_PER_HOUR:
        best = result.curve.best_at(limit)
        threshold = f"{best.threshold:.4f}" if best.threshold <= 1 else "none"
        rows.add_row(f"{limit:g}", _number(best.miss_rate), _number(best.false_alarms_per_hour, 1), threshold)
    show("one threshold for all classes", rows)
    if result.score.hours < 1:
        print_line(f"one false alarm in {60 * result.score.hours:.1f} minutes is {1 / result.score.hours:.1f} per hour")
