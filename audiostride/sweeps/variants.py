"""What makes the runs of a recipe different: seeds, values of keys."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from audiostride.errors import ArgumentError, UserError
from audiostride.recipe.yaml_lines import YamlError, parse_value

N_RUNS_MAX = 1000
SEEDS = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")


@dataclass(frozen=True)
class Variant:
    """One way to set some keys of a recipe.

    Attributes:
        name: a part of the name of the run's folder.
        settings: `key=value`, as of `--set`.
        option: of the command line, for messages.
    """

    name: str
    settings: tuple[str, ...]
    option: str

    @property
    def keys(self) -> list[str]:
        """List the keys that it sets."""
        return [setting.partition("=")[0] for setting in self.settings]


Axis = tuple[Variant, ...]  # one of them in every run


def file_name(text: str) -> str:
    """Replace what does not belong in the name of a folder.

    >>> file_name("[5, 50]"), file_name("../x"), file_name("1e-3")
    ('5-50', 'x', '1e-3')
    """
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.") or "x"


def setting(key: str, value: object) -> str:
    """Write a key and its value as `--set` takes them.

    >>> setting("model.width", 0.5), setting("data.test_fold", "1")
    ('model.width=0.5', 'data.test_fold="1"')
    """
    return f"{key}={json.dumps(value, default=str)}"


def _variant(key: str, value: object, option: str) -> Variant:
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return Variant(f"{file_name(key.rpartition('.')[2])}-{file_name(shown)}", (setting(key, value),), option)


def parse_seeds(text: str) -> Axis:
    """Read seeds such as `0-4` or `1,2,5`.

    Raises:
        ArgumentError: no seeds, one of them twice, or too many.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = SEEDS.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first > last:
            raise ArgumentError("seeds", text, "expected whole numbers, as in 0-4 or 1,2,5")
        if last - first >= N_RUNS_MAX:
            raise ArgumentError("seeds", text, f"expected at most {N_RUNS_MAX} runs")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise ArgumentError("seeds", text, "a seed stands twice")
    return tuple(_variant("seed", seed, "--seeds") for seed in seeds)


def parse_grid(text: str) -> Axis:
    """Read a key with its values, such as `model.width=0.25,0.5`; values are YAML, so lists stand in brackets.

    Raises:
        UserError: no key, no values, or one of them twice.
    """
    key, _, values_text = text.partition("=")
    mistake = UserError(f"--grid {text}: expected KEY=VALUE,VALUE, as in model.width=0.25,0.5")
    try:
        values = parse_value(f"[{values_text}]")
    except YamlError as error:
        raise mistake from error
    if not key.strip() or not isinstance(values, list) or not values:
        raise mistake
    variants = tuple(_variant(key.strip(), value, "--grid") for value in values)
    if len({variant.settings for variant in variants}) < len(variants):
        raise UserError(f"--grid {text}: a value stands twice")
    return variants


def check_axes(axes: Sequence[Axis], overrides: Sequence[str]) -> None:
    """Raise UserError for a key that is set in two places, or for too many runs."""
    places = {override.partition("=")[0].strip(): "--set" for override in overrides}
    n_runs = 1
    for axis in axes:
        n_runs *= len(axis)
        for key in axis[0].keys:
            if key in places:
                raise UserError(f"{key}: set by {places[key]} and by {axis[0].option}, expected one of them")
            places[key] = axis[0].option
    if n_runs > N_RUNS_MAX:
        raise UserError(f"{n_runs:,} runs, expected at most {N_RUNS_MAX:,}")
