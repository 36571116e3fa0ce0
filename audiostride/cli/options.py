"""The options that several commands share, each written once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from audiostride.errors import list_all

DEVICES = ("auto", "cpu", "cuda", "mps")


def _list_all(*, value: bool) -> bool:
    list_all(value=value)
    return value


ShowAll = Annotated[
    bool,
    typer.Option(
        "--all", help="List every recording that is missing or unusable, not twenty of them.", callback=_list_all
    ),
]
Device = Annotated[
    str, typer.Option(help="Where a run computes: auto, cpu, cuda or mps.", autocompletion=lambda: list(DEVICES))
]
WhichCheckpoint = Annotated[Literal["best", "last"], typer.Option(help="Which checkpoint of a run folder to use.")]
JsonFile = Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Write JSON; - for stdout.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as in model.width=0.25.")
]
Split = Annotated[str, typer.Option(help="Split of the manifest.")]
OtherManifest = Annotated[
    Path | None, typer.Option(help="Another manifest than the recipe's, for the tasks whose labels it has.")
]
Tasks = Annotated[list[str] | None, typer.Option("--task", metavar="NAME", help="Only this task; may be repeated.")]
ModelPath = Annotated[Path, typer.Argument(help="Run folder, checkpoint file or exported .onnx file.")]
WindowS = Annotated[float | None, typer.Option(help="Window in seconds.", show_default="the model's")]
HopS = Annotated[
    float | None, typer.Option(help="Seconds from one window to the next.", show_default="half the window")
]
Threshold = Annotated[
    float | None,
    typer.Option(help="What is less probable is no detection.", show_default="the model's own, else 0.5"),
]
