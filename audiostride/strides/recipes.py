"""Learned strides as recipes: fixed where they are, or rounded for strided convolutions."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from audiostride.build import build_model
from audiostride.errors import UserError
from audiostride.files import write_text_atomic
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint, write_checkpoint
from audiostride.runs.folder import RunFolder


def change_recipe(recipe: Recipe, model: dict[str, Any], frontend: dict[str, Any] | None = None) -> Recipe:
    """Give the recipe with other settings of model and front end, to be trained from fresh weights."""
    changes = {
        "init_from": None,
        "model": recipe.model.model_copy(update={k: tuple(v) if isinstance(v, list) else v for k, v in model.items()}),
        "frontend": recipe.frontend.model_copy(update=frontend or {}),
        "training": recipe.training.model_copy(update={"freeze_trunk": False}),
    }
    return Recipe.model_validate(recipe.model_copy(update=changes).model_dump())


def recipe_text(recipe: Recipe, *comments: str) -> str:
    """Give the recipe as YAML under lines of comment."""
    head = "".join(f"# {comment}\n" for comment in comments)
    return head + yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)


def frozen_recipe(checkpoint: Checkpoint) -> Recipe:
    """Give the recipe of a run with strides and ramps where it left them, no longer learned.

    Raises:
        UserError: the strides are fixed already.
    """
    method = checkpoint.recipe.model.downsampling
    if method != "diffstride":
        raise UserError(f"the strides of {checkpoint.path} are fixed already, downsampling is {method}")
    learned = checkpoint.model.strided_backbone.strides_by_axis()
    strides = {f"stride_{axis}": values for axis, values in learned.items()}
    smoothness = checkpoint.model.strided_backbone.learned_smoothness() or {}
    strides |= {f"smoothness_{axis}": values for axis, values in smoothness.items()}
    # a learned stride of exactly 1 is a low-pass near the highest frequency, and is frozen as that
    fixed = {"downsampling": "fixed_stride", "learn_smoothness": False, "identity_at_1": False}
    return change_recipe(checkpoint.recipe, fixed | strides)


def frozen(checkpoint: Checkpoint) -> Checkpoint:
    """Give the run itself with frozen strides: the same weights under `frozen_recipe`, which give the same logits."""
    recipe = frozen_recipe(checkpoint)
    model = build_model(recipe, checkpoint.classes)
    learned = checkpoint.model.state_dict()
    model.load_state_dict(
        {name: own if name.endswith(".strides") else learned[name] for name, own in model.state_dict().items()}
    )
    return replace(checkpoint, model=model.eval(), recipe=recipe)


def write_frozen_run(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `frozen` as a run of its own, with the calibration of the original.

    Raises:
        UserError: `folder` is there already or cannot be made, or the strides are fixed already.
    """
    run, same = RunFolder(folder), frozen(checkpoint)
    try:
        run.checkpoints.mkdir(parents=True)
    except FileExistsError as error:
        raise UserError(f"{folder} is there already, expected to make that folder") from error
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror})") from error
    write_checkpoint(replace(same, path=run.best))
    if same.calibration:
        run.write_calibration(same.step, same.calibration)
    write_text_atomic(run.recipe, recipe_text(same.recipe))


def nearest_integers(strides: list[float]) -> list[float]:
    """Give the nearest integer, halves upwards, at least 1.

    >>> nearest_integers([1.2, 2.5, 3.6])
    [1.0, 3.0, 4.0]
    """
    return [float(max(1, math.floor(stride + 0.5))) for stride in strides]


def integer_recipe(checkpoint: Checkpoint) -> Recipe:
    """Give strided convolutions with the integers nearest to the strides of a run.

    Reference:
        Riad et al., ICLR 2022, do so for the model of their strongest regulariser.
    """
    learned = checkpoint.model.strided_backbone.strides_by_axis()
    strides = {f"stride_{axis}": nearest_integers(strides) for axis, strides in learned.items()}
    return change_recipe(checkpoint.recipe, {"downsampling": "strided_conv", "shared": False, **strides})
