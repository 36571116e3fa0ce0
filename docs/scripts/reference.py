"""Write what is generated from the schema of recipes: docs/reference/recipe.md and recipes/schema.json.

    python docs/scripts/reference.py

The schema is for editors: the recipes name it in their first line.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from audiostride.recipe.keys import KeyDescription, describe_keys, recipe_json_schema

ROOT = Path(__file__).parents[2]
HEAD = """# Recipe keys

A recipe states only what differs from the defaults. `audiostride recipe --keys` prints this page in a terminal,
`audiostride recipe --keys model` a part of it. `audiostride recipe --schema` prints the JSON schema: with it an
editor completes keys, shows descriptions and marks mistakes. Write it beside your recipe once:

    audiostride recipe --schema > schema.json

Then name it in the first line of the recipe:

    # yaml-language-server: $schema=schema.json

This page is written by `docs/scripts/reference.py`.
"""
TITLES = {"": "The recipe", "tasks.NAME": "tasks: one section for each task, under a name of your choice"}


def _section(key: KeyDescription) -> str:
    return key.key.rpartition(".")[0]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def recipe_page() -> str:
    """Write the page: a table for each section."""
    return "\n".join([HEAD, *(_table(name, list(keys)) for name, keys in groupby(describe_keys(), _section))])


def _table(section: str, keys: Sequence[KeyDescription]) -> str:
    rows = [
        f"| `{key.key.rpartition('.')[2]}` | {_cell(key.values)} "
        f"| {'must be given' if key.default is None else f'`{key.default}`'} | {_cell(key.description)} |"
        for key in keys
    ]
    head = ["| key | values | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {TITLES.get(section, section)}", "", *head, *rows, ""])


def files() -> Iterator[tuple[Path, str]]:
    """Yield every generated file with its text."""
    yield ROOT / "docs/reference/recipe.md", recipe_page()
    yield ROOT / "recipes/schema.json", json.dumps(recipe_json_schema(), indent=2) + "\n"


def main() -> None:
    """Write the files."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    for path, text in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
