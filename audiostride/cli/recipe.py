"""`audiostride recipe`: what the keys of a recipe mean."""

import json
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import text_width
from audiostride.errors import UserError

if TYPE_CHECKING:
    from audiostride.recipe.keys import KeyDescription

EXAMPLES = """
audiostride recipe --keys model
audiostride recipe training.steps
audiostride recipe --schema > recipe.schema.json
"""


def key_lines(key: "KeyDescription", width: int) -> list[str]:
    r"""Write a key, what it may be, its default and its description, in lines of at most `width` columns.

    >>> from audiostride.recipe.keys import KeyDescription
    >>> print("\n".join(key_lines(KeyDescription("seed", "whole number", "0", "Seed of all chance."), 40)))
    seed
        whole number; default 0
        Seed of all chance.
    """
    default = "must be given" if key.default is None else f"default {key.default}"
    texts = (f"{key.values}; {default}", key.description)
    wrapped = [textwrap.wrap(text, width - 4, break_on_hyphens=False) for text in texts]
    return [key.key, *(f"    {line}" for lines in wrapped for line in lines)]


def command(
    prefix: Annotated[
        str, typer.Argument(help="Section or key to describe, as in model or training.steps.", show_default="all keys")
    ] = "",
    *,
    keys: Annotated[
        bool, typer.Option("--keys", help="Describe keys: values, default, meaning. This is what it does by default.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors, and nothing else.")
    ] = False,
) -> None:
    """Describe the keys of a recipe: values, default, meaning."""
    from audiostride.recipe.keys import describe_keys, recipe_json_schema

    if schema:
        if keys or prefix:
            raise UserError("--schema is of the whole recipe: leave out --keys and PREFIX")
        print(json.dumps(recipe_json_schema(), indent=2))
        return
    width = text_width()
    print("\n\n".join("\n".join(key_lines(key, width)) for key in describe_keys(prefix)))
