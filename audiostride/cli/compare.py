"""`audiostride compare`: several runs side by side."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import check_outputs, print_line, progress, say, show, table, visible, write_json
from audiostride.cli.options import (
    Device,
    JsonFile,
    OtherManifest,
    ShowAll,
    Split,
    Tasks,
    WhichCheckpoint,
    note_checkpoint,
)
from audiostride.cli.run_dirs import run_files
from audiostride.comparison.csv_names import CSV_TABLES, csv_path
from audiostride.errors import UserError
from audiostride.files import write_text_atomic

if TYPE_CHECKING:
    from audiostride.comparison.tables import TextTable

EXAMPLES = """
audiostride compare runs/birds runs/birds-wide
audiostride compare runs/birds-runs/* --plot cost.png
"""


N_NAME = 16  # columns of the terminal for a name

NOTES = """\
+-: standard deviation over seeds or folds. windows/s and s/step: median over
the log of each training, on the machine that it ran on. peak: memory of a
training step without the optimiser. within the spread: the interval of the
difference, when test files are drawn again, contains 0. It does not cover
what other seeds would change, so train several."""


def _show(content: "TextTable") -> None:
    rows = table(*content.columns, left=content.n_left)
    before = ""
    for first, *others in content.rows:
        name = "" if first == before else "\n".join(textwrap.wrap(first, N_NAME))
        rows.add_row(name, *others)
        before = first
    show(content.title, rows)


def _write(target: str, text: str) -> None:
    if target == "-":
        print(visible(text), end="")
    else:
        write_text_atomic(Path(target), text)


def command(
    *,
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders or checkpoint files.")],
    split: Split = "test",
    manifest: OtherManifest = None,
    task: Tasks = None,
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write a CSV with a line per group of runs and task. Each table lies beside it, as FILE-cost.csv.",
        ),
    ] = None,
    latex_file: Annotated[
        str | None, typer.Option("--latex", metavar="FILE|-", help="Write the tables in LaTeX; - for stdout.")
    ] = None,
    json_file: JsonFile = None,
    markdown_file: Annotated[
        str | None, typer.Option("--markdown", metavar="FILE|-", help="Write the tables in Markdown; - for stdout.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw accuracy against multiply-adds into a .png, .svg or .pdf."),
    ] = None,
    checkpoint: WhichCheckpoint = "best",
    device: Device = "auto",
    show_all: ShowAll = False,
) -> None:
    """Compare runs: accuracy, strides and cost.

    Runs that differ in their seed or their fold alone are one row, with mean and deviation.
    """
    csv_files = [] if csv_file is None else [csv_file, *(csv_path(csv_file, name) for name in CSV_TABLES)]
    texts = {"--json": json_file, "--latex": latex_file, "--markdown": markdown_file}
    outputs = [*(("--csv", path) for path in csv_files), *texts.items(), ("--plot", plot)]
    inputs = [path for run in runs for path in run_files(run)]
    check_outputs(outputs, *inputs, manifest)
    to_stdout = [option for option, target in texts.items() if target == "-"]
    if len(to_stdout) > 1:
        raise UserError(f"{' - and '.join(to_stdout)} - exclude each other: both would be standard output")

    from audiostride.comparison.compare import compare_runs
    from audiostride.comparison.csv_tables import csv_table, csv_tables
    from audiostride.comparison.latex import latex
    from audiostride.comparison.plot import common_tasks, plot_tradeoff
    from audiostride.comparison.tables import as_dict, markdown, text_tables
    from audiostride.strides.plots import plot_format

    if plot is not None:
        plot_format(plot)
    for run in runs:
        note_checkpoint(run, checkpoint)
    with progress("files") as on_progress:
        result = compare_runs(
            runs, split, manifest=manifest, tasks=task, which=checkpoint, device=device, on_progress=on_progress
        )
    for warning in result.warnings:
        say(warning)
    if not to_stdout:
        for content in text_tables(result):
            _show(content)
        print_line(NOTES, style="dim")
    if csv_file is not None:
        write_text_atomic(csv_file, csv_table(result))
        for name, text in csv_tables(result).items():
            write_text_atomic(csv_path(csv_file, name), text)
    if latex_file is not None:
        _write(latex_file, latex(result))
    if markdown_file is not None:
        _write(markdown_file, markdown(result))
    if plot is not None:
        if not common_tasks(result):
            say("--plot: the runs have no task in common; each is drawn with the mean of its own")
        plot_tradeoff(result, plot)
    if json_file is not None:
        write_json(json_file, as_dict(result))
