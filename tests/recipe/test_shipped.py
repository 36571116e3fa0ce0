"""Recipes of the package are found by name, from any folder."""

from pathlib import Path

import pytest

from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.shipped import find_recipe, shipped_recipes
from tests.program import run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["demo", "speech_commands/mini", "esc50/diffstride"])
def test_a_recipe_is_found_by_name(name: str) -> None:
    assert load_recipe(name).tasks


def test_every_recipe_says_what_it_is_and_how_its_data_are_prepared() -> None:
    assert all(recipe.about and recipe.preparing for recipe in shipped_recipes())


def test_a_file_of_the_user_comes_first(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("tasks: {mine: {manifest: m.csv}}\n")
    assert set(load_recipe("demo").tasks) == {"mine"}


@pytest.mark.parametrize(
    ("name", "near"), [("dmo", "demo"), ("speech_command/mini", "speech_commands/mini"), ("recipes/demo.yaml", "demo")]
)
def test_an_unknown_name_lists_near_ones(name: str, near: str) -> None:
    with pytest.raises(UserError, match=near):
        find_recipe(name)


@pytest.mark.parametrize("name", ["../recipes/demo", "/demo", "", "a" * 300, "schema"])
def test_other_names_are_no_recipes(name: str) -> None:
    with pytest.raises(UserError):
        load_recipe(name)


def test_missing_data_are_told_with_the_command_that_prepares_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "train", "demo") == 2
    assert "audiostride prepare demo data/demo" in capsys.readouterr().err
    assert not Path("runs").exists()
