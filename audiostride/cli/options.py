"""The options that several commands share, each written once."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import say
from audiostride.errors import ArgumentError, list_all
from audiostride.vocabulary import DEVICES, CheckpointName

if TYPE_CHECKING:
    from audiostride.prediction.detector import Rules

IS_RUNTIME = find_spec("audiostride.runs") is None  # without runs, and without the options for them


def _list_all(*, value: bool) -> bool:
    list_all(value=value)
    return value


ShowAll = Annotated[
    bool,
    typer.Option(
        "--all", help="List all recordings that are missing or unusable, not twenty of them.", callback=_list_all
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Where a run computes: auto, cpu, cuda or mps.",
        autocompletion=lambda: list(DEVICES),
        hidden=IS_RUNTIME,
    ),
]
WhichCheckpoint = Annotated[
    CheckpointName,
    typer.Option(
        help="Checkpoint of a run folder to use: the best on validation clips, or the last.", hidden=IS_RUNTIME
    ),
]
JsonFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE|-", help="Write the results as JSON into FILE; - is standard output."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key of the recipe, as in model.width=0.25; may be repeated."
    ),
]
Split = Annotated[str, typer.Option(help="Split of the manifest to look at: train, valid, test or another name in it.")]
OtherManifest = Annotated[
    Path | None, typer.Option(help="Manifest to use in place of the recipe's, for the tasks whose labels it has.")
]
Tasks = Annotated[
    list[str] | None,
    typer.Option("--task", metavar="NAME", help="Use this task alone; may be repeated.", show_default="all tasks"),
]
MODEL_HELP = "Exported .onnx file." if IS_RUNTIME else "Run folder, checkpoint file or exported .onnx file."
ModelPath = Annotated[Path, typer.Argument(help=MODEL_HELP)]
WindowS = Annotated[float | None, typer.Option(help="Length of a window in seconds.", show_default="the model's")]
HopS = Annotated[
    float | None,
    typer.Option(help="Seconds from the start of a window to that of the next.", show_default="half the window"),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Least probability of a detection, from 0 to 1.", show_default="the model's own, else 0.5"),
]
Confirm = Annotated[
    str | None,
    typer.Option(
        metavar="K/N",
        help="Detect a class where K of its last N windows reach the threshold, this one among them.",
        show_default="1/1",
    ),
]
Refractory = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="Detections of a class that lie no more than S seconds apart are one event. With this option listen "
        "prints a line per event, when it begins; without, a line per detection.",
        show_default="only those that touch",
    ),
]
Smooth = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="Average probabilities over the windows that began in the last S seconds before the threshold is applied.",
        show_default="no averaging",
    ),
]


def note_checkpoint(run: Path, which: str) -> None:
    """Say that the last checkpoint of a run folder is used where it was to be the best, which is missing."""
    if IS_RUNTIME or not run.is_dir():
        return
    from audiostride.runs.folder import RunFolder

    used = RunFolder(run).checkpoint(which)
    if used.stem != which:
        say(f"{run}: there is no {which}{used.suffix}, so {used.name} is used")


def parse_pair(text: str) -> tuple[int, int] | None:
    """Read two whole numbers with a slash between them, or None for something else.

    >>> parse_pair("2/3"), parse_pair("2:3")
    ((2, 3), None)
    """
    found = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    return None if found is None else (int(found[1]), int(found[2]))


def make_rules(confirm: str | None, refractory: float | None, smooth: float | None) -> "Rules":
    """Read what the options `Confirm`, `Refractory` and `Smooth` say makes a detection.

    Raises:
        ArgumentError: a value that cannot be read, or is out of range.
    """
    from audiostride.prediction.detector import Rules

    pair = parse_pair("1/1" if confirm is None else confirm)
    if pair is None:
        raise ArgumentError("confirm", confirm, "expected K/N, as in 2/3 for two of the last three windows")
    return Rules(pair, refractory or 0.0, smooth or 0.0)
