"""`audiostride export`: a run as one ONNX file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audiostride.cli.console import check_outputs, print_line, progress, say, show, table, write_json
from audiostride.cli.options import JsonFile, WhichCheckpoint, note_checkpoint
from audiostride.cli.run_dirs import run_files
from audiostride.errors import UserError
from audiostride.vocabulary import OPSET

if TYPE_CHECKING:
    from audiostride.export.check import Changes
    from audiostride.export.run import Export


EXAMPLES = """
audiostride export runs/birds --out birds.onnx
audiostride export runs/birds --out small.onnx \\
    --quantize int8
"""


def _show(result: "Export") -> None:
    tasks = list(result.variants[0].accuracy or ())
    names = [f"accuracy {task}" if len(tasks) > 1 else "accuracy" for task in tasks]
    rows = table("form", "bytes", "ms for a window", "windows/s (64 at a time)", *names)
    for variant in result.variants:
        accuracy = [f"{(variant.accuracy or {})[task]:.4f}" for task in tasks]
        speed = f"{variant.speed.ms_per_window:.2f}", f"{variant.speed.windows_per_s:.0f}"
        rows.add_row(variant.name, f"{variant.n_bytes:,}", *speed, *accuracy)
    show(f"{result.path}, opset {result.opset}", rows)
    check = result.verification
    print_line(
        f"logits of ONNX and torch differ by at most {check.difference:.2g} (the largest is {check.largest_logit:.3g}) "
        f"over {check.n_windows} windows, {check.n_recorded} of them of recordings"
    )


def _warn(changes: "Changes") -> None:
    """Say which answers the 8 bits change."""
    if changes.n_changed:
        verb = "gets" if changes.n_changed == 1 else "get"
        clips = f"{changes.n_changed} of {changes.n_clips} test clips {verb} another answer"
        say(f"task {changes.task}: in 8 bits {clips}")
    if changes.lost:
        lost = ", ".join(map(repr, changes.lost))
        say(f"task {changes.task}: in 8 bits no test clip gets {lost} any more; use the file without --quantize")


def command(
    *,
    run: Annotated[Path, typer.Argument(help="Run folder or checkpoint file.")],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")],
    opset: Annotated[int, typer.Option(help="Version of the ONNX operators, 13 to 21.")] = OPSET,
    quantize: Annotated[
        Literal["int8"] | None, typer.Option(help="Store and compute the convolutions in 8 bits.")
    ] = None,
    json_file: JsonFile = None,
    checkpoint: WhichCheckpoint = "best",
) -> None:
    """Write a model as ONNX, with its front end.

    The outputs of onnxruntime and torch are compared, and nothing is written unless they agree.
    """
    check_outputs([("--out", out), ("--json", json_file)], *run_files(run))
    if out.suffix.lower() != ".onnx":
        raise UserError(f"--out {out}: expected a name that ends in .onnx")
    from audiostride.export.run import export_run
    from audiostride.runs.checkpoint import load_run

    note_checkpoint(run, checkpoint)
    loaded = load_run(run, checkpoint)
    with progress("files") as on_progress:
        result = export_run(loaded, out, opset=opset, quantize=quantize is not None, on_progress=on_progress)
    if result.verification.note:
        say(result.verification.note)
    if json_file != "-":
        _show(result)
    for changes in result.changes:
        _warn(changes)
    if json_file is not None:
        write_json(json_file, result.as_dict())
