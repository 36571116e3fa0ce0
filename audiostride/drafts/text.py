"""A recipe as YAML, with the reason of every choice as a comment."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import yaml

from audiostride.drafts.choices import Choice

WIDTH = 100  # columns


def as_values(choices: Sequence[Choice]) -> dict[str, Any]:
    """Give the choices as the nested keys of a recipe."""
    values: dict[str, Any] = {}
    for choice in choices:
        section = values
        for part in choice.section.split("."):
            section = section.setdefault(part, {})
        section[choice.key] = choice.value
    return values


def _entry(key: str, value: object) -> str:
    """Write a key with its value on one line, quoted where YAML asks for it."""
    flow = isinstance(value, list | tuple)
    content = list(value) if isinstance(value, list | tuple) else value
    return yaml.safe_dump(
        {key: content}, default_flow_style=None if flow else False, allow_unicode=True, width=10**6
    ).strip()


def _comment(text: str, indent: str) -> Iterator[str]:
    prefix = f"{indent}# "
    yield from textwrap.wrap(text, WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_on_hyphens=False)


def write_yaml(head: Sequence[str], choices: Sequence[Choice]) -> str:
    r"""Write a recipe: a comment at its head, then every section with its choices.

    >>> print(write_yaml(["Birds."], [Choice("tasks.birds", "label", "name", "The only column.")]), end="")
    # Birds.
    tasks:
      birds:
        # The only column.
        label: name
    """
    lines = [f"# {line}".rstrip() for line in head]
    open_sections: list[str] = []
    for section, of_section in groupby(choices, lambda choice: choice.section):
        parts = section.split(".")
        n_shared = next((i for i, pair in enumerate(zip(parts, open_sections, strict=False)) if pair[0] != pair[1]), 0)
        for depth, part in enumerate(parts):
            if depth >= n_shared:
                lines.append(f"{'  ' * depth}{part}:")
        open_sections = parts
        indent = "  " * len(parts)
        for choice in of_section:
            lines += _comment(choice.reason, indent) if choice.reason else ()
            lines.append(indent + _entry(choice.key, choice.value))
    return "\n".join(lines) + "\n"
