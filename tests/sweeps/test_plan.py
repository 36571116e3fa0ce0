"""The runs of a plan: their names, their recipes, and what is told before one of them begins."""

from pathlib import Path

import pytest
import torch

from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe
from audiostride.runs.folder import RunFolder
from audiostride.sweeps.plan import PlannedRun, check_folders, is_finished, plan_runs
from audiostride.sweeps.variants import parse_grid, parse_seeds
from audiostride.training.run import train_recipe


def test_every_combination_is_a_run_named_by_what_differs(recipe_file: Path) -> None:
    runs = plan_runs(recipe_file, ["training.steps=9"], [parse_grid("model.width=0.06,0.08"), parse_seeds("3-4")])
    assert [run.name for run in runs] == [
        "width-0.06_seed-3",
        "width-0.06_seed-4",
        "width-0.08_seed-3",
        "width-0.08_seed-4",
    ]
    found = [(run.recipe.model.width, run.recipe.seed, run.recipe.training.steps) for run in runs]
    assert found == [(0.06, 3, 9), (0.06, 4, 9), (0.08, 3, 9), (0.08, 4, 9)]
    assert load_recipe(recipe_file, ["training.steps=9", *runs[3].settings]) == runs[3].recipe


def test_names_that_are_alike_are_told_apart_by_their_settings(recipe_file: Path) -> None:
    grid = parse_grid("augmentation.gain_db=[1, 5],[1.0, 5]")
    names = [run.name for run in plan_runs(recipe_file, [], [grid])]
    assert len(set(names)) == 2
    turned = [run.name for run in plan_runs(recipe_file, [], [grid[::-1]])]
    assert turned == names[::-1]  # so that the same runs go on whatever their order


def test_every_wrong_setting_is_told_once_with_its_option(recipe_file: Path) -> None:
    axes = [parse_grid("model.widht=1,2"), parse_grid("training.steps=0,5"), parse_seeds("0-4")]
    with pytest.raises(UserError) as caught:
        plan_runs(recipe_file, [], axes)
    assert sorted(str(caught.value).split("\n")) == [
        "--grid model.widht=1: model.widht: unknown key, did you mean 'width'?",
        "--grid model.widht=2: model.widht: unknown key, did you mean 'width'?",
        "--grid training.steps=0: training.steps: got 0, expected greater than or equal to 1",
    ]


@pytest.fixture
def finished(recipe_file: Path, tmp_path: Path) -> PlannedRun:
    """A run that has done its steps, in the folder `runs`."""
    (run,) = plan_runs(recipe_file, [], [parse_seeds("1")])
    list(train_recipe(run.recipe, tmp_path / "runs" / run.name, torch.device("cpu")))
    return run


def test_a_run_is_finished_after_its_last_step(finished: PlannedRun, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / finished.name)
    assert is_finished(folder, finished.recipe)
    longer = finished.recipe.model_copy(update={"training": finished.recipe.training.model_copy(update={"steps": 7})})
    assert not is_finished(folder, longer)
    folder.best.unlink()
    assert not is_finished(folder, finished.recipe)


def test_a_run_that_ended_early_is_finished(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiostride.training.loop.measure", lambda *_: 0.5)  # so that no validation is a new best
    settings = ["training.validate_every=1", "training.early_stop_after=2"]
    recipe, folder = load_recipe(recipe_file, settings), RunFolder(tmp_path / "run")
    list(train_recipe(recipe, folder.path, torch.device("cpu")))
    assert is_finished(folder, recipe)
    assert not is_finished(folder, load_recipe(recipe_file, [*settings, "training.early_stop_after=3"]))
    assert not is_finished(folder, load_recipe(recipe_file, ["training.validate_every=1"]))


def test_a_folder_with_a_run_of_another_recipe_is_told(finished: PlannedRun, recipe_file: Path, tmp_path: Path) -> None:
    check_folders(tmp_path / "runs", [finished])
    others = plan_runs(recipe_file, ["model.dropout=0.3", "training.batch_size=5"], [parse_seeds("0-1")])
    with pytest.raises(UserError, match=r"runs/seed-1: model\.dropout, training\.batch_size$"):
        check_folders(tmp_path / "runs", others)
    check_folders(tmp_path / "runs", others, overwrite=True)


def test_the_folder_of_a_run_holds_no_others(finished: PlannedRun, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds a run itself, expected a folder for several runs"):
        check_folders(tmp_path / "runs" / finished.name, [finished])
