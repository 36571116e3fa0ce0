"""The cost of a batch: parts need less memory, and no layer is counted twice."""

from pathlib import Path

import pytest
import torch

from audiostride.build import build_model
from audiostride.recipe.reader import load_recipe
from audiostride.training.data import build_training_data
from audiostride.training.dry_run import BatchCost, inspect_batch, kept_copies


def cost(recipe_file: Path, **settings: int) -> BatchCost:
    recipe = load_recipe(recipe_file)
    data = build_training_data(recipe)
    return inspect_batch(build_model(recipe, data.classes), data.batches(0), torch.device("cpu"), **settings)


def test_a_batch_in_parts_has_the_layers_of_one_and_needs_less_memory(recipe_file: Path) -> None:
    whole, parts = cost(recipe_file), cost(recipe_file, n_parts=6)
    assert parts.layers == whole.layers
    assert parts.peak_memory_bytes < 0.5 * whole.peak_memory_bytes


@pytest.mark.parametrize(
    ("settings", "n"),
    [
        ([], 2),
        (["optimizer=adamw"], 2),
        (["optimizer=sgd"], 1),
        (["optimizer=sgd", "momentum=0"], 0),
        (["optimizer=sgd", "momentum=0", "ema=0.9"], 1),
    ],
)
def test_what_an_optimiser_keeps_is_counted(recipe_file: Path, settings: list[str], n: int) -> None:
    training = load_recipe(recipe_file, [f"training.{setting}" for setting in settings]).training
    assert kept_copies(training) == n
