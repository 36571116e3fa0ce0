"""The runs to train: each with its recipe, checked before the first one begins, and a folder of its own."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from audiostride.errors import ArgumentError, UserError, listing
from audiostride.recipe.reader import RecipeSource, load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import load_checkpoint, load_training_state
from audiostride.runs.folder import RunFolder
from audiostride.sweeps.variants import Axis, Variant, check_axes
from audiostride.training.finetune import adopt_settings, load_origin
from audiostride.training.state import changed_keys, ends_early

N_NAME_MAX = 120  # letters of a folder


@dataclass(frozen=True)
class PlannedRun:
    """A run to train.

    Attributes:
        name: of its folder.
        settings: in which it differs from the others, `key=value`.
        recipe: that they give.
    """

    name: str
    settings: tuple[str, ...]
    recipe: Recipe


def plan_runs(path: Path, overrides: Sequence[str], axes: Sequence[Axis]) -> list[PlannedRun]:
    """Make a run of every combination of the variants of the axes, named by what differs.

    Args:
        path: of the recipe.
        overrides: settings that all runs have.
        axes: variants, of which every run has one of each axis.

    Raises:
        UserError: every mistake in the recipe or in the settings, a line each; a key that is set twice; too many runs.
    """
    check_axes(axes, overrides)
    runs, problems = [], []
    for variants in product(*axes):
        settings = tuple(setting for variant in variants for setting in variant.settings)
        try:
            recipe = _recipe(path, overrides, variants)
        except UserError as error:
            problems += str(error).split("\n")
        else:
            runs.append(PlannedRun("_".join(variant.name for variant in variants), settings, recipe))
    if problems:
        raise UserError("\n".join(dict.fromkeys(problems)))
    return _distinct(runs)


def _recipe(path: Path, overrides: Sequence[str], variants: Sequence[Variant]) -> Recipe:
    source = RecipeSource.read(path)
    for setting in overrides:
        source.override(setting)
    for variant in variants:
        for setting in variant.settings:
            source.override(setting, option=variant.option)
    return source.check()


def _distinct(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Append a hash of the settings to names that are alike or long."""
    counts = Counter(run.name.lower() for run in runs)
    return [
        run
        if counts[run.name.lower()] == 1 and len(run.name) <= N_NAME_MAX
        else replace(run, name=f"{run.name[:N_NAME_MAX]}-{_digest(run)}")
        for run in runs
    ]


def _digest(run: PlannedRun) -> str:
    return hashlib.sha256("\n".join(run.settings).encode()).hexdigest()[:8]


def check_folders(parent: Path, runs: Sequence[PlannedRun], *, overwrite: bool = False) -> None:
    """Raise UserError if a run cannot go on in its folder, since the one there is of another recipe."""
    if RunFolder(parent).exists():
        raise ArgumentError("run_dir", parent, "holds a run itself, expected a folder for several runs")
    if parent.exists() and not parent.is_dir():
        raise ArgumentError("run_dir", parent, "is a file, expected a folder for several runs")
    problems = []
    for run in () if overwrite else runs:
        folder = RunFolder(parent / run.name)
        if folder.recipe.is_file() and (changed := changed_keys(load_recipe(folder.recipe), _adopted(run.recipe))):
            problems.append(f"{folder.path}: {', '.join(changed)}")
    if problems:
        raise UserError(
            "runs that are there were begun with other recipes; replace them with --overwrite, or choose another "
            f"--run-dir:\n{listing(problems)}"
        )


def _adopted(recipe: Recipe) -> Recipe:
    origin = load_origin(recipe)
    return recipe if origin is None else adopt_settings(recipe, origin)


def _ended_early(folder: RunFolder, recipe: Recipe, step: int) -> bool:
    if recipe.training.early_stop_after is None:
        return False
    return ends_early(recipe, load_training_state(folder, step).get("n_without_best", 0))


def is_finished(folder: RunFolder, recipe: Recipe) -> bool:
    """Tell whether a run has ended, after all its steps or early, and was calibrated: nothing is left to do."""
    try:
        last, best = load_checkpoint(folder.last), load_checkpoint(folder.best)
        ended = last.step == recipe.training.steps or _ended_early(folder, recipe, last.step)
    except UserError:
        return False
    return ended and set(best.calibration) == set(best.validation)
