"""How a recipe is read from YAML, and how its mistakes are told; knows the schema, not torch."""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from audiostride.errors import UserError
from audiostride.recipe.schema import Recipe
from audiostride.recipe.shipped import find_recipe
from audiostride.recipe.task import Task
from audiostride.recipe.yaml_lines import Key, YamlError, parse_value, read_yaml

EXTENDS = "extends"
N_CHAIN_MAX = 50


def _section_at(key: Key) -> type[BaseModel] | None:
    """Give the schema of the mapping at `key`, None for anything else."""
    model: Any = Recipe
    for part in key:
        if key[0] == "tasks" and model is Recipe.model_fields["tasks"].annotation:
            model = Task
        elif isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[str(part)].annotation
        else:
            return None
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _did_you_mean(word: object, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(str(word).strip(), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"


def _explain(error: ErrorDetails, key: Key) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        section = _section_at(key[:-1])
        return f"unknown key, {_did_you_mean(key[-1], section.model_fields if section else ())}"
    if kind == "missing":
        return "missing, expected a value"
    if kind == "literal_error":
        section = _section_at(key[:-1])
        assert section is not None
        known = [str(name) for name in get_args(section.model_fields[str(key[-1])].annotation)]
        return f"got {value!r}, {_did_you_mean(value, known)}"
    if kind == "value_error":
        return str(context["error"])
    expected = error["msg"].replace("Input should be", "expected").replace("should have", "expected")
    return f"got {value!r}, {expected}"


Values = dict[str, Any]
Places = dict[Key, str]


def read_keys(path: Path, what: str, examples: str) -> tuple[Values, Places]:
    """Give the values of a file of keys in YAML, and where each of them was written.

    Args:
        path: of the file.
        what: is expected in it, for messages.
        examples: of keys.

    Raises:
        UserError: no such file, or no keys in it.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: cannot be read (not a file), expected {what} in YAML")
    try:
        values, lines = read_yaml(path)
    except YamlError as error:
        raise UserError(f"{path}:{error.line}: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}), expected {what} in YAML") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}:1: expected keys such as {examples}, got {values!r}")
    return values, {key: f"{path}:{line}" for key, line in lines.items()}


def _read(path: Path, below: tuple[Path, ...] = ()) -> tuple[Values, Places]:
    """Give the values of a recipe file on top of those it extends, and where each of them was written."""
    values, places = read_keys(path, "a recipe", "tasks, model and training")
    if EXTENDS not in values:
        return values, places
    name, place = values.pop(EXTENDS), places.pop((EXTENDS,))
    if not isinstance(name, str) or not name:
        raise UserError(f"{place}: {EXTENDS}: got {name!r}, expected the path of another recipe, relative to this one")
    other = path.parent / name
    if not os.path.isfile(other):  # which is false as well for a name that is too long
        raise UserError(f"{place}: {EXTENDS}: {other}: no such file")
    chain = (*below, path.resolve())
    if other.resolve() in chain:
        raise UserError(f"{place}: {EXTENDS}: {other} extends this recipe in turn")
    if len(chain) >= N_CHAIN_MAX:
        raise UserError(f"{place}: {EXTENDS}: a chain of more than {N_CHAIN_MAX} recipes")
    return _merge(*_read(other, chain), values, places)


def _merge(values: Values, places: Places, upper: Values, upper_places: Places, key: Key = ()) -> tuple[Values, Places]:
    """`upper` on top, as in a JSON merge patch: mappings key by key, null removes, anything else replaces."""
    merged = dict(values)
    for name, value in upper.items():
        below, here = values.get(name), (*key, name)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[name], places = _merge(below, places, value, upper_places, here)
            continue
        places = {k: place for k, place in places.items() if k[: len(here)] != here}
        if value is None and name in values:
            del merged[name]
        else:
            merged[name] = value
            places |= {k: place for k, place in upper_places.items() if k[: len(here)] == here}
    return merged, places


def _is_at(error: ErrorDetails, key: Key) -> bool:
    """Tell whether an error is of the value at `key`: of it, of what lies in it, or of a section that is not there."""
    place = error["loc"]
    return place[: len(key)] == key or (key[: len(place)] == place and error["type"] != "value_error")


def _keys_of(values: object, key: Key = ()) -> Iterator[Key]:
    """Give the key of a value, and of every value in it."""
    yield key
    items = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else ()
    for name, value in items:
        yield from _keys_of(value, (*key, name))


class RecipeSource:
    """The values of a recipe before they are checked, and where each of them was written, "" for nowhere."""

    def __init__(self, values: Any, places: Places) -> None:
        self.values, self.places = values, places

    @classmethod
    def read(cls, path: Path) -> "RecipeSource":
        """Read a file, or the recipe of that name that comes with the package."""
        path = find_recipe(path)
        values, places = _read(path)
        return cls(values, {(): f"{path}:1"} | places)

    def override(self, setting: str, *, option: str = "--set") -> None:
        """Apply one `key=value` of `--set`, or of another option."""
        name, equals, text = setting.partition("=")
        key = tuple(part.strip() for part in name.split("."))
        if not equals or not all(key):
            raise UserError(f"{option} {setting}: expected key=value, as in model.width=0.25")
        try:
            value = parse_value(text)
        except YamlError as error:
            raise UserError(f"{option} {setting}: {error}") from error
        self.put(key, value, f"{option} {setting}")

    def put(self, key: tuple[str, ...], value: object, place: str) -> None:
        """Set a key in place of what was there; `place` is where messages say that it was written."""
        mapping = self.values
        for i, part in enumerate(key[:-1]):
            if mapping.get(part) is None:
                mapping[part] = {}
            if not isinstance(mapping[part], dict):
                raise UserError(f"{place}: {'.'.join(key[: i + 1])} is a value, not a section")
            mapping = mapping[part]
            self.places.setdefault(key[: i + 1], place)
        mapping[key[-1]] = value
        self.places = {k: where for k, where in self.places.items() if k[: len(key)] != key}
        self.places[key] = place

    def _describe(self, error: ErrorDetails) -> str:
        key: Key = ()
        for part in error["loc"]:
            if (*key, part) not in self.places and error["type"] not in ("missing", "extra_forbidden"):
                break  # from here on it names alternatives of the schema, not keys
            key = (*key, part)
        known = next(key[:n] for n in range(len(key), -1, -1) if key[:n] in self.places)
        if error["type"] == "value_error":  # of several keys of a section: its text names them, the first that is there
            named = (word.split(".") for word in re.findall(r"[a-z_]+(?:[.][a-z_]+)*", str(error["ctx"]["error"])))
            known = next((full for parts in named if (full := (*key, *parts)) in self.places), known)
        name = ".".join(map(str, key)) or "recipe"
        place = self.places[known]
        return f"{place}{': ' if place else ''}{name}: {_explain(error, key)}"

    def problems_at(self, key: Key) -> list[str]:
        """List what is wrong with the value of a key itself, whatever the others are."""
        try:
            Recipe.model_validate(self.values)
        except ValidationError as error:
            return [self._describe(detail) for detail in error.errors() if _is_at(detail, key)]
        return []

    def check(self) -> Recipe:
        """Give the recipe, or a UserError with every problem, each as `file:line: key: what is wrong`.

        Values that were written nowhere have no `file:line`.
        """
        try:
            return Recipe.model_validate(self.values)
        except ValidationError as error:
            # a default that depends on a key that is wrong is no second mistake
            mistakes = (detail for detail in error.errors() if detail["type"] != "default_factory_not_called")
            lines = [self._describe(detail) for detail in mistakes]
            raise UserError("\n".join(dict.fromkeys(lines))) from error


def recipe_of(values: Mapping[str, object]) -> Recipe:
    """Check the keys and values of a recipe.

    Raises:
        UserError: with every problem of the recipe, a line each.
    """
    return RecipeSource(values, dict.fromkeys(_keys_of(values), "")).check()


def load_recipe(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    The key `extends` names another recipe, relative to the file, whose values count where the file does not say
    otherwise: mappings are merged key by key, null removes a key, anything else (a list, too) replaces what was there.

    Args:
        path: a YAML file, or the name of a recipe that comes with the package, as in `demo`.
        overrides: settings as `key=value`, the key with dots, the value in YAML.

    Raises:
        UserError: with every problem of the recipe, a line each.
    """
    source = RecipeSource.read(Path(path))
    for setting in overrides:
        source.override(setting)
    return source.check()
