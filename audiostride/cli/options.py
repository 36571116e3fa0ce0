"""The options that several commands share, each written once."""

from typing import Annotated

import typer

from audiostride.errors import list_all


def _list_all(value: bool) -> bool:
    list_all(value)
    return value


ShowAll = Annotated[
    bool,
    typer.Option(
        "--all", help="List every recording that is missing or unusable, not twenty of them.", callback=_list_all
    ),
]
