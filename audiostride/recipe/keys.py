"""What the schema says about every key of a recipe: for people as a list, for editors as a JSON schema."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiostride.errors import ArgumentError
from audiostride.recipe.schema import Recipe

EXTENDS_TEXT = (
    "Path of another recipe, relative to this one, whose values hold where this one says nothing. Mappings are merged "
    "key by key, null removes a key, anything else replaces."
)
ONE_TASK = "NAME"  # in a key, for the name of a task


@dataclass(frozen=True)
class KeyDescription:
    """A key of a recipe.

    Args:
        key: with dots between sections; `NAME` stands for the name of a task.
        values: what it may be, in words.
        default: as YAML; None if the key must be given.
        description: meaning, unit and when to change it.
    """

    key: str
    values: str
    default: str | None
    description: str


def _as_yaml(value: object) -> str:
    """Write a default as a recipe would.

    >>> [_as_yaml(value) for value in (None, True, 1e-4, 250, [1.0, 2.5], "none")]
    ['null', 'true', '0.0001', '250', '[1, 2.5]', 'none']
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_as_yaml, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _limits(schema: Mapping[str, Any]) -> str:
    """Write the range of a number; limits that only keep out absurd values are left out."""
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    texts = [
        "" if low is None else f"from {low:g}",
        "" if above is None else f"above {above:g}",
        "" if high is None or high >= 10**6 else f"to {high:g}" if low is not None else f"up to {high:g}",
        "" if below is None or below >= 10**6 else f"and below {below:g}",
    ]
    return " ".join(text for text in texts if text)


def _values(schema: Mapping[str, Any]) -> str:
    """Say in words what a schema lets a value be."""
    if "anyOf" in schema:
        return ", or ".join(_values(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = schema["type"]
    if kind == "array" and "prefixItems" in schema:
        return "[lowest, highest]"
    if kind == "array":
        items = schema["items"]
        several = {"number": "numbers", "integer": "whole numbers"}.get(items["type"]) or _values(items)
        return f"list of {several}"
    names = {"boolean": "true | false", "string": "text", "integer": "whole number"}
    return " ".join(text for text in (names.get(kind, kind), _limits(schema)) if text)


def _below(schema: Mapping[str, Any], sections: Mapping[str, Any], prefix: str) -> Iterator[KeyDescription]:
    """Yield the keys of a section and of those in it, in the order of the schema."""
    for name, value in schema["properties"].items():
        key = f"{prefix}{name}"
        if "$ref" in value:
            yield from _below(sections[value["$ref"].rpartition("/")[2]], sections, f"{key}.")
        elif "additionalProperties" in value:
            section = sections[value["additionalProperties"]["$ref"].rpartition("/")[2]]
            yield from _below(section, sections, f"{key}.{ONE_TASK}.")
        else:
            default = None if name in schema.get("required", ()) else _as_yaml(value["default"])
            yield KeyDescription(key, _values(value), default, " ".join(value.get("description", "").split()))


def describe_keys(prefix: str = "") -> list[KeyDescription]:
    """Describe the keys of a recipe, in the order of the schema.

    Args:
        prefix: a section or a key, as in `model` or `training.steps`; empty for all. A task may have any name.

    Raises:
        ArgumentError: there is no such key; with the nearest ones.
    """
    schema = Recipe.model_json_schema()
    keys = [KeyDescription("extends", "text", "null", EXTENDS_TEXT), *_below(schema, schema["$defs"], "")]
    parts = prefix.strip(".").split(".") if prefix else []
    if parts[:1] == ["tasks"] and len(parts) > 1:
        parts[1] = ONE_TASK
    chosen = [key for key in keys if key.key.split(".")[: len(parts)] == parts]
    if chosen:
        return chosen
    raise ArgumentError("prefix", prefix, f"no such section or key of a recipe, {_nearest(prefix, keys)}")


def _nearest(word: str, keys: Sequence[KeyDescription]) -> str:
    """Name the keys that are spelled most alike, with or without their section; else the sections."""
    names = {name: key.key for key in keys for name in (key.key, key.key.rpartition(".")[2])}
    sections = dict.fromkeys(key.key.partition(".")[0] for key in keys)
    close = difflib.get_close_matches(word, [*names, *sections], n=3)
    found = dict.fromkeys(names.get(name, name) for name in close)
    return f"did you mean {' or '.join(found)}?" if found else f"expected one of {', '.join(sections)}"


def _plain(schema: Any) -> Any:
    """Leave out titles, which repeat the keys, and the line breaks of descriptions."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # "title" is a word of JSON schema only where its value is text; a key of that name holds a mapping
    kept = {name: value for name, value in schema.items() if not (name == "title" and isinstance(value, str))}
    return {
        name: " ".join(value.split()) if name == "description" and isinstance(value, str) else _plain(value)
        for name, value in kept.items()
    }


def recipe_json_schema() -> dict[str, Any]:
    """Give the JSON schema of a recipe file, by which editors complete keys, show descriptions and mark mistakes.

    It has the key `extends` too, and asks for no key that another recipe may give.
    """
    schema: dict[str, Any] = _plain(Recipe.model_json_schema())
    for section in (schema, *schema["$defs"].values()):
        section.pop("required", None)
    extends = {"type": "string", "minLength": 1, "description": EXTENDS_TEXT}
    schema["properties"] = {"extends": extends} | schema["properties"]
    schema["anyOf"] = [{"required": ["tasks"]}, {"required": ["extends"]}]
    return {"title": "Recipe of audiostride"} | schema
