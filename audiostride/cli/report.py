"""`audiostride report`: one HTML file about a run."""

from pathlib import Path
from typing import Annotated

import typer

from audiostride.cli.console import check_output, progress, run_files, say
from audiostride.cli.options import Device, OtherManifest, ShowAll, Split, WhichCheckpoint


def command(
    *,
    run: Annotated[Path, typer.Argument(help="Run folder or checkpoint file.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")],
    split: Split = "test",
    manifest: OtherManifest = None,
    checkpoint: WhichCheckpoint = "best",
    device: Device = "auto",
    show_all: ShowAll = False,
) -> None:
    """Write a page with the recipe, curves, strides, results and the worst clips of a run, to see and to hear."""
    from audiostride.device import choose_device
    from audiostride.errors import UserError
    from audiostride.files import write_text_atomic
    from audiostride.report.page import build_report, render_report
    from audiostride.runs.checkpoint import load_run

    check_output("--out", out, *run_files(run), manifest)
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: expected a name that ends in .html")
    loaded = load_run(run, checkpoint, choose_device(device))
    with progress("files") as on_progress:
        data = build_report(loaded, run.resolve().name, split, manifest=manifest, on_progress=on_progress)
    for note in data.notes:
        say(note)
    try:
        write_text_atomic(out, render_report(data))
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror})") from error
