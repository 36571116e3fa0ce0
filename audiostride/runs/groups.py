"""Runs side by side: those of one recipe that differ in their seed or their test fold alone belong together."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from audiostride.errors import UserError
from audiostride.files import path_text
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint, load_run


@dataclass(frozen=True)
class RunGroup:
    """The runs of one recipe, one per seed and fold, by a name that no other group has."""

    name: str
    runs: tuple[Path, ...]
    checkpoints: tuple[Checkpoint, ...]


def without_seed(recipe: Recipe) -> Recipe:
    """Give what a recipe decides beside its seed, which fold is tested, and where things are."""
    folds = {key: None if getattr(recipe.data, key) is None else "any" for key in ("test_fold", "valid_fold")}
    data = recipe.data.model_copy(update={"cache_dir": None, "n_workers": 0, **folds})
    return recipe.model_copy(update={"seed": 0, "data": data})


def _name(runs: Sequence[Path]) -> str:
    """Give what the folders' names have in common before a number, or the name of the only one.

    Runs that are called by their seeds or folds alone have the name of the folder that holds them.

    >>> _name([Path("runs/small-0"), Path("runs/small-1")]), _name([Path("runs/mini-folds/fold-1")])
    ('small', 'mini-folds')
    """
    common = os.path.commonprefix([run.name for run in runs])  # noqa: RUF071  of characters
    if len(runs) > 1:
        common = common.rstrip("0123456789").rstrip("-_. ") or runs[0].name
    number = "" if len(runs) > 1 else r"-\d+"
    return re.sub(rf"(^|[-_. ])(seed|fold){number}$", "", common) or runs[0].parent.name or common


def group_runs(runs: Sequence[Path], which: str = "best", device: torch.device | str = "cpu") -> list[RunGroup]:
    """Load runs and put those together that differ in their seed or fold alone, in the order given.

    Raises:
        UserError: a path that is no run or has no checkpoint yet, or one that is given twice.
    """
    groups: dict[str, list[tuple[Path, Checkpoint]]] = {}
    seen: set[Path] = set()
    for run in runs:
        checkpoint = load_run(run, which, device)
        if checkpoint.path.resolve() in seen:
            raise UserError(f"{run}: given twice")
        seen.add(checkpoint.path.resolve())
        groups.setdefault(without_seed(checkpoint.recipe).model_dump_json(), []).append((run, checkpoint))
    result: list[RunGroup] = []
    for members in groups.values():
        paths, checkpoints = zip(*members, strict=True)
        name = path_text(_name([path.resolve() for path in paths]))
        if name in {group.name for group in result}:
            name = str(paths[0])
        result.append(RunGroup(name, paths, checkpoints))
    return result


def frontend_difference(groups: Sequence[RunGroup]) -> str | None:
    """Give the first setting of the front end in which a run differs from the first one, with both values."""
    first = groups[0]
    settings = first.checkpoints[0].recipe.frontend.model_dump()
    for group in groups[1:]:
        for key, value in group.checkpoints[0].recipe.frontend.model_dump().items():
            if value != settings[key]:
                return f"frontend.{key} is {settings[key]} in {first.name} and {value} in {group.name}"
    return None
