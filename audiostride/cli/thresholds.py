"""`audiostride thresholds`: a threshold per class that reaches a target, kept with the model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import check_outputs, print_line, progress, say, show, table, write_json
from audiostride.cli.options import Device, JsonFile, OtherManifest, ShowAll, Tasks, WhichCheckpoint, note_checkpoint
from audiostride.cli.run_dirs import run_files
from audiostride.errors import ArgumentError

if TYPE_CHECKING:
    from audiostride.runs.thresholds import Thresholds


EXAMPLES = """
audiostride thresholds runs/birds
audiostride thresholds runs/birds --target precision=0.9
"""


def _show(chosen: "Thresholds", title: str) -> None:
    """Show the thresholds of every task, then the classes whose target is out of reach."""
    for task, classes in chosen.tasks.items():
        rows = table("class", "threshold", "precision", "recall", "F1", "alarms/h", "clips")
        for each in classes:
            shares = [each.threshold, each.precision, each.recall, each.f1]
            cells = ["-" if value is None else f"{value:.4f}" for value in shares]
            alarms = "-" if each.false_alarms_per_hour is None else f"{each.false_alarms_per_hour:.2f}"
            rows.add_row(each.name, *cells, alarms, str(each.n_windows))
        show(f"{task}: {title}", rows)
        missed = [each.name for each in classes if each.threshold is not None and not each.is_met]
        if missed:
            print_line(f"{task}: {chosen.target} is out of reach for {', '.join(missed)}")
        if unknown := [each.name for each in classes if each.threshold is None]:
            print_line(f"{task}: no clip of the split {chosen.split} has {', '.join(unknown)}: 0.5 will be used")


def command(
    *,
    run: Annotated[Path, typer.Argument(help="Run folder or checkpoint file.")],
    split: Annotated[str, typer.Option(help="Split of the manifest to choose on.")] = "valid",
    target: Annotated[
        str,
        typer.Option(
            metavar="TARGET",
            help="What a threshold is to reach: f1 (the best), precision=0.9, recall=0.9 or false-alarms-per-hour=1.",
        ),
    ] = "f1",
    manifest: OtherManifest = None,
    task: Tasks = None,
    json_file: JsonFile = None,
    checkpoint: WhichCheckpoint = "best",
    device: Device = "auto",
    show_all: ShowAll = False,
) -> None:
    """Choose a threshold per class, and keep them in the run.

    They come from the calibrated probabilities of the clips of the split. predict, listen, serve and eval use them,
    and export writes them into the model. --threshold sets another one for all classes; eval takes it only beside
    --events. False alarms are counted as events: neighbouring clips of a recording that are all wrong are one.
    """
    from audiostride.device import choose_device
    from audiostride.evaluation.thresholds import Target
    from audiostride.runs.checkpoint import load_run
    from audiostride.runs.thresholds import choose_thresholds, keep_thresholds

    wanted = Target.parse(target)
    check_outputs([("--json", json_file)], *run_files(run), manifest)
    if run.suffix.lower() == ".onnx":
        raise ArgumentError("run", run, "an exported model; choose thresholds for its run, then export it again")
    note_checkpoint(run, checkpoint)
    loaded = load_run(run, checkpoint, choose_device(device))
    with progress("files") as on_progress:
        chosen = choose_thresholds(loaded, wanted, split, manifest=manifest, tasks=task, on_progress=on_progress)
    keep_thresholds(loaded, chosen)
    if chosen.note:
        say(chosen.note)
    if json_file != "-":
        _show(chosen, f"thresholds for {wanted} on {split}")
        print_line(f"kept in {loaded.path}")
    if json_file is not None:
        write_json(json_file, {**chosen.as_dict(), "checkpoint": str(loaded.path), "step": loaded.step})
