"""`audiostride strides`: what the strides of a run keep, in Hz and cycles per band."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import check_output, print_line, run_files, say, show, table, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from audiostride.cutoffs import StrideReading


NOTES = """\
cut-off and ramp are rates of change of the spectrogram, not frequencies of
sound: in Hz along time, in cycles per band entering the layer along frequency.
eff.: the stride clamped to what n_in allows; factor: n_in / n_out; cut-off:
half the rate that the stride leaves; ramp: the gain falls from 1 to 0 there."""


def strides_table(readings: "Sequence[StrideReading]") -> "Table":
    """One row per block and axis."""
    columns = ("stride", "eff.", "n_in", "n_out", "factor", "cut-off", "ramp")
    result = table("block", "axis", *columns, left=2)
    for r in readings:
        result.add_row(
            str(r.block),
            r.axis,
            f"{r.stride:.3f}",
            f"{r.effective_stride:.3f}",
            str(r.n_in),
            str(r.n_out),
            f"{r.realised_factor:.3f}",
            f"{r.cutoff:.3f}",
            "-" if r.ramp_end is None else f"{r.ramp_start:.3g}-{r.ramp_end:.3g}",
        )
    return result


def command(
    run: Annotated[Path, typer.Argument(help="Run folder or checkpoint file.")],
    json_file: Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Write JSON; - for stdout.")] = None,
    checkpoint: Annotated[str, typer.Option(help="best or last.")] = "best",
) -> None:
    """Show the learned strides as cut-off frequencies."""
    from audiostride.build import window_size
    from audiostride.checkpoint import load_run
    from audiostride.cutoffs import read_strides

    check_output("--json", json_file, *run_files(run))
    loaded = load_run(run, checkpoint)
    readings = read_strides(loaded.model, window_size(loaded.recipe))
    if json_file is not None:
        write_json(json_file, {"layers": [reading.as_dict() for reading in readings]})
    if json_file == "-":
        return
    show(f"strides of {run}", strides_table(readings))
    for reading in readings:
        if reading.cutoff_cycles_per_octave is not None:
            print_line(f"block 1, frequency: {reading.cutoff_cycles_per_octave:.2f} cycles per octave at 1 kHz")
    print_line(NOTES, style="dim")
    model = loaded.recipe.model
    if model.downsampling == "diffstride" and model.ramp == "inside":
        stuck = [r for r in readings if r.n_in <= 2 * r.effective_stride * model.smoothness]
        if stuck:
            names = ", ".join(f"block {r.block} {r.axis}" for r in stuck)
            say(f"fixed at their start, too few samples for the ramp:\n  {names}")
    if model.downsampling != "diffstride":
        say(f"these strides were not learned: downsampling is {model.downsampling}")
    if model.downsampling == "strided_conv":
        say("strided convolutions do not filter: what lies above the cut-off aliases")
