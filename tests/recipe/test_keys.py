"""Every key of a recipe is described, and what is generated from the descriptions is up to date."""

import json
import runpy
from pathlib import Path

import pytest

from audiostride.errors import ArgumentError
from audiostride.recipe.keys import KeyDescription, describe_keys
from audiostride.recipe.schema import Recipe
from audiostride.recipe.yaml_lines import read_yaml
from tests.program import run

ROOT = Path(__file__).parents[2]
KEYS = describe_keys()


def test_every_key_is_there() -> None:
    recipe = Recipe.model_validate({"tasks": {"NAME": {"manifest": "m.csv"}}}).model_dump()
    sections = {"tasks.NAME": recipe.pop("tasks")["NAME"], **{k: v for k, v in recipe.items() if isinstance(v, dict)}}
    keys = {f"{name}.{key}" for name, section in sections.items() for key in section}
    assert {key.key for key in KEYS} == {"extends", "seed", "init_from"} | keys


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.key)
def test_a_key_is_described(key: KeyDescription) -> None:
    assert len(key.description) > 20, "write a text below the key in its section: meaning, unit, when to change it"
    assert key.description[0].isupper() or key.description[0] == "`"
    assert key.description.endswith(".")


def test_sections_are_chosen_by_a_prefix() -> None:
    assert {key.key.partition(".")[0] for key in describe_keys("frontend")} == {"frontend"}
    assert [key.key for key in describe_keys("tasks.birds.kind")] == ["tasks.NAME.kind"]


@pytest.mark.parametrize(
    ("prefix", "told"),
    [("traning", "training"), ("steps", "training.steps"), ("model.dropuot", "model.dropout"), ("?", "tasks, data")],
)
def test_an_unknown_key_lists_near_ones(prefix: str, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        describe_keys(prefix)


def test_generated_files_are_up_to_date() -> None:
    files = runpy.run_path(str(ROOT / "docs/scripts/reference.py"))["files"]()
    stale = [path.name for path, text in files if path.read_text(encoding="utf-8") != text]
    assert not stale, "run python docs/scripts/reference.py"


@pytest.mark.parametrize("columns", [60, 80])
def test_the_list_fits_in_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(monkeypatch, "recipe", "--keys") == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= columns
    assert all(f"{key.key}\n" in told for key in KEYS)


def test_the_schema_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "recipe", "--schema") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((ROOT / "recipes/schema.json").read_text())


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_names_the_schema_and_keeps_to_it(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert (path.parent / first.removeprefix("# yaml-language-server: $schema=")).samefile(ROOT / "recipes/schema.json")
    schema = json.loads((ROOT / "recipes/schema.json").read_text())
    values = read_yaml(path)[0]
    assert set(values) <= set(schema["properties"])
    for name, section in values.items():
        if isinstance(section, dict) and name != "tasks":
            known = schema["$defs"][schema["properties"][name]["$ref"].rpartition("/")[2]]["properties"]
            assert set(section) <= set(known)
