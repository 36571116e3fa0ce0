"""The space of a search: keys of a recipe, and the values that each may have."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from audiostride.errors import UserError
from audiostride.recipe.reader import RecipeSource, read_keys
from audiostride.sweeps.variants import setting

EXAMPLE = "[a, b], {int: [1, 3]}, {float: [1.0e-4, 1.0e-2], log: true} or {each: {int: [1, 3]}, n: 6}"
N_ITEMS_MAX = 100


@dataclass(frozen=True)
class Choices:
    """Values of which one is chosen.

    >>> Choices(("peak", [5, 50])).texts
    ('"peak"', '[5, 50]')
    """

    values: tuple[Any, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """Write every value as JSON, which tells 1 from true and takes lists."""
        return tuple(json.dumps(value, default=str) for value in self.values)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """List the values to check: all."""
        return self.values


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, in steps of `step` if there is one, or evenly in the logarithm."""

    kind: Literal["int", "float"]
    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def extremes(self) -> tuple[Any, ...]:
        """List the values to check: both ends."""
        return self.low, self.high


@dataclass(frozen=True)
class Parameter:
    """A key of the recipe that is searched.

    Attributes:
        key: with dots.
        domain: of the value, or of every item of a list.
        n_items: of the list; None for a single value.
        place: where it was written, for messages.
    """

    key: str
    domain: Choices | Range
    n_items: int | None
    place: str

    @property
    def names(self) -> tuple[str, ...]:
        """Name what is drawn: the key, or every item of its list.

        >>> Parameter("model.stride_time", Range("int", 1, 3), 2, "space.yaml:1").names
        ('model.stride_time[0]', 'model.stride_time[1]')
        """
        return (self.key,) if self.n_items is None else tuple(f"{self.key}[{i}]" for i in range(self.n_items))

    def value(self, drawn: Mapping[str, Any]) -> Any:
        """Give the value of the key from what was drawn; a choice is drawn as its JSON."""
        values = [json.loads(drawn[n]) if isinstance(self.domain, Choices) else drawn[n] for n in self.names]
        return values[0] if self.n_items is None else values

    @property
    def extremes(self) -> tuple[Any, ...]:
        """List the values to check before the search: all choices, both ends of a range."""
        ends = self.domain.extremes
        return ends if self.n_items is None else tuple([end] * self.n_items for end in ends)


Space = tuple[Parameter, ...]


def settings_of(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values of all keys from what was drawn."""
    return {parameter.key: parameter.value(drawn) for parameter in space}


def as_overrides(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Write settings as `--set` takes them."""
    return tuple(setting(key, value) for key, value in settings.items())


def describe_space(space: Space) -> dict[str, str]:
    """Write what may be drawn for every key, so that two spaces can be compared."""
    return {p.key: f"{p.domain}" if p.n_items is None else f"{p.n_items} of {p.domain}" for p in space}


def read_space(path: Path, recipe: Path, overrides: tuple[str, ...] = ()) -> Space:
    """Read a space, and check its values against the recipe: all choices, and both ends of every range.

    Args:
        path: a YAML file. A key of the recipe with dots stands for a list of choices, a range `{int: [low, high]}` or
            `{float: [low, high]}` with `log` or `step`, or a list of `n` values of their own, `{each: ..., n: ...}`.
        recipe: path of the recipe.
        overrides: settings that all trials have.

    Raises:
        UserError: every mistake, a line each, with the line of the file.
    """
    values, places = read_keys(path, "a space", "training.learning_rate and model.stride_time")
    space, problems = [], []
    for key, value in values.items():
        place = places[key,]
        try:
            parameter = _read_parameter(key, value, place)
        except UserError as error:
            problems.append(str(error))
            continue
        space.append(parameter)
        problems += _check_values(parameter, recipe, overrides)
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))
    if not space:
        raise UserError(f"{path}:1: no keys, expected at least one, as in training.learning_rate: [1.0e-3, 3.0e-3]")
    return tuple(space)


def _check_values(parameter: Parameter, recipe: Path, overrides: tuple[str, ...]) -> list[str]:
    problems = []
    for value in parameter.extremes:
        source = RecipeSource.read(recipe)
        for override in overrides:
            source.override(override)
        key = tuple(parameter.key.split("."))
        source.put(key, value, parameter.place)
        problems += source.problems_at(key)
    return problems


def _read_parameter(key: str, value: object, place: str) -> Parameter:
    def mistake(problem: str) -> UserError:
        return UserError(f"{place}: {key}: {problem}")

    if not all(part.strip() == part != "" for part in key.split(".")):
        raise mistake("expected a key of the recipe with dots, as in training.learning_rate")
    if not isinstance(value, dict) or "each" not in value:
        return Parameter(key, _read_domain(value, mistake), None, place)
    n = value.get("n")
    if set(value) != {"each", "n"} or type(n) is not int or not 1 <= n <= N_ITEMS_MAX:
        raise mistake(f"got {value!r}, expected each with n, 1 to {N_ITEMS_MAX} items, as in {{each: [1, 2], n: 6}}")
    return Parameter(key, _read_domain(value["each"], mistake), n, place)


def _read_domain(value: object, mistake: Any) -> Choices | Range:
    """Read choices or a range; `mistake` makes the error."""
    if isinstance(value, list):
        choices = Choices(tuple(value))
        if not value:
            raise mistake("an empty list, expected at least one choice")
        if len(set(choices.texts)) < len(value):
            raise mistake(f"got {value!r}, in which a choice stands twice")
        return choices
    kinds = [kind for kind in ("int", "float") if isinstance(value, dict) and kind in value]
    if not isinstance(value, dict) or len(kinds) != 1 or not set(value) <= {*kinds, "log", "step"}:
        raise mistake(f"got {value!r}, expected {EXAMPLE}")
    kind: Literal["int", "float"] = "int" if kinds == ["int"] else "float"
    ends, log, step = value[kind], value.get("log", False), value.get("step")
    types = (int,) if kind == "int" else (int, float)
    if not (isinstance(ends, list) and len(ends) == 2 and all(_is_number(end, types) for end in ends)):
        raise mistake(f"got {ends!r}, expected two numbers of the type {kind}, the lower one first")
    low, high = ends
    if low >= high:
        raise mistake(f"got {ends!r}, expected the lower number first")
    if not isinstance(log, bool) or (log and low <= 0):
        raise mistake(f"got log: {log!r} with {ends!r}, expected true or false, and numbers above 0 for true")
    if step is not None:
        if log or not _is_number(step, types) or step <= 0:
            raise mistake(f"got step: {step!r}, expected a number of the type {kind} above 0, without log")
        if not math.isclose((high - low) / step, round((high - low) / step), abs_tol=1e-9):
            raise mistake(f"got step: {step!r}, expected one that leads from {low} to {high}")
    return Range(kind, low, high, step, log)


def _is_number(value: object, types: tuple[type, ...]) -> bool:
    return type(value) in types and math.isfinite(value)  # type: ignore[arg-type]
