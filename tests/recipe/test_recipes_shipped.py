"""Every recipe that is shipped trains: one step of a small batch, with a narrow model, on the tiny corpus."""

from pathlib import Path

import pytest
import torch

from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import load_run
from audiostride.training.run import train_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = [
    "model.width=0.06",
    "training.steps=1",
    "training.batch_size=5",
    "training.batch_norm_batches=1",
    "training.validate_every=1",
]


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.relative_to(RECIPES).as_posix())
def test_a_shipped_recipe_trains(path: Path, corpus: Path, tmp_path: Path) -> None:
    tasks = load_recipe(path).tasks
    columns = {
        f"tasks.{task}.{key}={value}"
        for task in tasks
        for key, value in (("manifest", corpus), ("label", "label"), ("background", "null"))
    }
    recipe = load_recipe(path, [*SMALL, *sorted(columns), f"data.cache_dir={corpus.parent / 'cache'}"])
    for _ in train_recipe(recipe, tmp_path / "run", torch.device("cpu")):
        pass
    trained = load_run(tmp_path / "run", "last")
    assert trained.step == 1
    assert set(trained.validation) == set(tasks)
