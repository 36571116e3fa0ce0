"""`audiostride eval`: score a run on the files of a split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.confusion import show_confusion
from audiostride.cli.console import check_outputs, print_line, progress, say, show, table, write_json
from audiostride.cli.evaluate_events import (
    CollarS,
    Confirm,
    Events,
    Ignored,
    MatchBy,
    MinIou,
    Plot,
    Refractory,
    Renamed,
    Smooth,
    Threshold,
    evaluate_events,
    read_criterion,
)
from audiostride.cli.options import (
    Device,
    JsonFile,
    ModelPath,
    OtherManifest,
    ShowAll,
    Split,
    Tasks,
    WhichCheckpoint,
    WindowS,
    make_rules,
    note_checkpoint,
)
from audiostride.cli.prepare_annotations import check_unused
from audiostride.cli.run_dirs import run_files
from audiostride.evaluation.majority import majority_text

if TYPE_CHECKING:
    from audiostride.evaluation.scores import TaskScore
    from audiostride.runs.scoring import Subject

EXAMPLES = """
audiostride eval runs/birds
audiostride eval birds.onnx --manifest birds.csv
audiostride eval runs/season --events season
"""


N_ROWS_SHOWN = 40  # classes of a multi-label task


def _cells(*values: float | None) -> list[str]:
    return ["-" if value is None else f"{value:.4f}" for value in values]


def _show_singles(scores: "dict[str, TaskScore]", title: str) -> None:
    summary = table("task", "accuracy", "majority", "macro F1", "AUC", "ECE", "calibr.", "files", "windows")
    for task, score in scores.items():
        measures = score.accuracy, score.majority_accuracy, score.macro_f1, score.auc, score.ece, score.ece_calibrated
        summary.add_row(task, *_cells(*measures), str(score.n_files), str(score.n_windows))
    show(title, summary)
    print_line(
        "majority: accuracy of always answering with the most frequent class. ECE: by how much probabilities are off "
        "on average; calibr.: the same after calibration"
    )
    for task, score in scores.items():
        if not score.beats_majority:
            print_line(f"{task}: {majority_text(score.majority_class)}")
        show_confusion(task, score.classes, score.confusion)


def _show_multilabel(scores: "dict[str, TaskScore]", title: str) -> None:
    summary = table("task", "mAP", "micro AP", "AUC", "macro F1", "exact", "ECE", "calibr.", "files")
    for task, score in scores.items():
        means = score.mean_average_precision, score.micro_average_precision, score.auc, score.macro_f1, score.accuracy
        summary.add_row(task, *_cells(*means, score.ece, score.ece_calibrated), str(score.n_files))
    show(title, summary)
    for task, score in scores.items():
        by_class = table("class", "AP", "AUC", "threshold", "precision", "recall", "F1", "files")
        for each in score.by_class[:N_ROWS_SHOWN]:
            values = each.average_precision, each.auc, each.threshold, each.precision, each.recall, each.f1
            by_class.add_row(each.name, *_cells(*values), str(each.n_clips))
        show(f"{task}: class by class", by_class)
        if len(score.classes) > N_ROWS_SHOWN:
            print_line(f"{task}: {len(score.classes) - N_ROWS_SHOWN} more classes in the JSON (--json FILE)")
        if score.absent:
            print_line(f"{task}: in no file of the split, so in no mean: {', '.join(score.absent)}")


def _show(scores: "dict[str, TaskScore]", title: str) -> None:
    of_kind = {kind: {t: s for t, s in scores.items() if s.kind == kind} for kind in ("single", "multilabel")}
    if of_kind["single"]:
        _show_singles(of_kind["single"], title)
    if of_kind["multilabel"]:
        _show_multilabel(of_kind["multilabel"], title)


def _load(run: Path, checkpoint: str, device: str) -> "tuple[Subject, Path, int]":
    """Load a run or an exported model, with its file and the step that it was saved at."""
    from audiostride.device import choose_device
    from audiostride.loading import check_for_onnx
    from audiostride.prediction.onnx_model import OnnxModel
    from audiostride.runs.checkpoint import load_run
    from audiostride.runs.scoring import Subject

    if run.suffix.lower() == ".onnx":
        check_for_onnx(device, checkpoint)
        exported = OnnxModel(run)
        return Subject.of_onnx(exported), run, int(exported.metadata.get("step", 0))
    note_checkpoint(run, checkpoint)
    loaded = load_run(run, checkpoint, choose_device(device))
    return Subject.of_checkpoint(loaded), loaded.path, loaded.step


def command(
    *,
    run: ModelPath,
    split: Split = "test",
    manifest: OtherManifest = None,
    task: Tasks = None,
    json_file: JsonFile = None,
    predictions: Annotated[Path | None, typer.Option(help="Write a CSV with the prediction of every file.")] = None,
    window_s: WindowS = None,
    hop_s: Annotated[
        float | None,
        typer.Option(help="Seconds from one window to the next.", show_default="the window, half of it with --events"),
    ] = None,
    events: Events = None,
    match: MatchBy = None,
    min_iou: MinIou = None,
    collar_s: CollarS = None,
    threshold: Threshold = None,
    confirm: Confirm = None,
    refractory: Refractory = None,
    smooth: Smooth = None,
    renamed: Renamed = None,
    ignored: Ignored = None,
    plot: Plot = None,
    checkpoint: WhichCheckpoint = "best",
    device: Device = "auto",
    show_all: ShowAll = False,
) -> None:
    """Evaluate a run or an exported model on a split.

    Every file is cut into consecutive windows whose logits are averaged. With --events, the annotated events of whole
    recordings are scored instead.
    """
    from audiostride.runs.event_scoring import EventSettings
    from audiostride.runs.scoring import score_model, write_predictions
    from audiostride.strides.plots import plot_format

    outputs = {"--json": json_file, "--predictions": predictions, "--plot": plot}
    check_outputs(outputs.items(), *run_files(run), manifest, events)
    if plot is not None:
        plot_format(plot)
    of_events = {
        "match": match,
        "min_iou": min_iou,
        "collar_s": collar_s,
        "threshold": threshold,
        "confirm": confirm,
        "refractory": refractory,
        "smooth": smooth,
        "renamed": renamed,
        "ignored": ignored,
        "plot": plot,
    }
    if events is None:
        check_unused(of_events, "an option of --events ANNOTATIONS")
    else:
        check_unused({"predictions": predictions}, "lists labelled files, and is no option of --events")
        settings = EventSettings(
            read_criterion(match, min_iou, collar_s),
            make_rules(confirm, refractory, smooth),
            threshold,
            window_s,
            hop_s,
        )
    subject, path, step = _load(run, checkpoint, device)
    about = {"split": split, "checkpoint": str(path), "step": step}
    title = f"{path.stem} of {run} (step {step}), split {split}"
    if events is not None:
        evaluate_events(
            subject,
            events,
            settings,
            about,
            title=title,
            renamed=renamed,
            ignored=ignored,
            tasks=task,
            split=split,
            manifest=manifest,
            json_file=json_file,
            plot=plot,
        )
        return
    with progress("files") as on_progress:
        result = score_model(
            subject, split, manifest=manifest, tasks=task, window_s=window_s, hop_s=hop_s, on_progress=on_progress
        )
    if result.note:
        say(result.note)
    if json_file != "-":
        _show(result.scores, title)
    if predictions is not None:
        write_predictions(predictions, result)
    if json_file is not None:
        tasks = {name: score.as_dict() for name, score in result.scores.items()}
        write_json(json_file, {"tasks": tasks, **about})
