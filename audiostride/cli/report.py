"""`audiostride report`: one HTML file about a run."""

from pathlib import Path
from typing import Annotated

import typer

from audiostride.cli.console import check_outputs, progress, say
from audiostride.cli.evaluate_events import Events, Ignored, Renamed, score
from audiostride.cli.options import Device, OtherManifest, ShowAll, Split, WhichCheckpoint, note_checkpoint
from audiostride.cli.prepare_annotations import check_unused
from audiostride.cli.run_dirs import run_files

EXAMPLES = """
audiostride report runs/birds --out birds.html
"""


def command(
    *,
    run: Annotated[Path, typer.Argument(help="Run folder or checkpoint file.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    split: Split = "test",
    manifest: OtherManifest = None,
    events: Events = None,
    renamed: Renamed = None,
    ignored: Ignored = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --events, the task whose events are annotated.")
    ] = None,
    checkpoint: WhichCheckpoint = "best",
    device: Device = "auto",
    show_all: ShowAll = False,
) -> None:
    """Write a page that shows a whole run.

    It has the recipe, curves, strides, results, and the worst clips, to see and to hear.

    With --events it shows what becomes of annotated events too, and the busiest minutes.
    """
    from audiostride.device import choose_device
    from audiostride.errors import UserError
    from audiostride.files import path_text, write_text_atomic
    from audiostride.report.page import build_report, render_report
    from audiostride.runs.checkpoint import load_run
    from audiostride.runs.event_scoring import EventSettings
    from audiostride.runs.scoring import Subject

    check_outputs([("--out", out)], *run_files(run), manifest, events)
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: expected a name that ends in .html")
    if events is None:
        check_unused({"renamed": renamed, "ignored": ignored, "task": task}, "an option of --events ANNOTATIONS")
    note_checkpoint(run, checkpoint)
    loaded = load_run(run, checkpoint, choose_device(device))
    of_events = None
    if events is not None:
        of_events = score(
            Subject.of_checkpoint(loaded),
            events,
            EventSettings(),
            renamed=renamed or [],
            ignored=ignored or [],
            task=task,
            split=split,
            manifest=manifest,
        )
    with progress("files") as on_progress:
        data = build_report(
            loaded, path_text(run.resolve().name), split, manifest=manifest, events=of_events, on_progress=on_progress
        )
    for note in data.notes:
        say(note)
    write_text_atomic(out, render_report(data))
    say(f"--out: {out}")
