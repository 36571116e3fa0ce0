"""What a stranger finds: names, version, types, and a plain function that trains."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import audiostride
from audiostride.errors import ArgumentError, DataError, UserError
from audiostride.runs.folder import RunFolder
from audiostride.training.events import Logged, Started, Stopped


@pytest.mark.parametrize("name", audiostride.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(audiostride, name) is not None
    assert name in dir(audiostride)


def test_what_the_stub_names_is_public() -> None:
    stub = Path(audiostride.__file__).with_name("__init__.pyi").read_text()
    named = {line.split(" as ")[1] for line in stub.splitlines() if line.startswith("from .")}
    assert named == set(audiostride.__all__)


def test_the_version_is_that_of_the_package() -> None:
    assert audiostride.__version__ == version("audiostride")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        audiostride.nothing  # noqa: B018


@pytest.mark.parametrize("error", [UserError, ArgumentError, DataError])
def test_mistakes_are_value_errors(error: type[Exception]) -> None:
    assert issubclass(error, ValueError)


def test_types_are_shipped() -> None:
    assert Path(audiostride.__file__).with_name("py.typed").is_file()


def test_the_module_is_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "audiostride", "--version"], capture_output=True, text=True)
    assert done.stdout.strip() == version("audiostride")


def test_train_is_a_plain_function_of_strings(recipe_file: Path, tmp_path: Path) -> None:
    events: list[object] = []
    run = audiostride.train(str(recipe_file), str(tmp_path / "run"), device="cpu", on_event=events.append)
    assert run == tmp_path / "run"
    assert [type(events[0]), type(events[-1])] == [Started, Stopped]
    assert any(isinstance(event, Logged) for event in events)
    score = audiostride.score_run(audiostride.load_run(str(run)), manifest=None)
    assert set(score.scores) == {"tone"}
    assert len(audiostride.compare_runs([str(run)], device="cpu").groups) == 1
    assert RunFolder(run).best.is_file()


def test_a_recipe_may_be_a_dictionary(corpus: Path, tmp_path: Path) -> None:
    recipe = {
        "tasks": {"tone": {"manifest": str(corpus)}},
        "data": {"cache_dir": str(tmp_path / "cache")},
        "model": {"width": 0.06, "ramp": "inside"},
        "training": {"steps": 1, "batch_size": 3},
    }
    assert audiostride.load(audiostride.train(recipe, tmp_path / "run", device="cpu"), device="cpu")


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ({"tasks": {}}, "^tasks: expected at least one task"),
        ({"tusks": {}}, "tusks: unknown key, did you mean 'tasks'[?]$"),
        ("none.yaml", "none.yaml"),
    ],
)
def test_a_wrong_recipe_is_a_user_error(recipe: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        audiostride.train(recipe, tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_one_run_is_no_list_of_runs() -> None:
    with pytest.raises(ArgumentError, match="expected a list of runs"):
        audiostride.compare_runs("runs/demo")  # type: ignore[arg-type]


def test_the_names_in_the_documentation_are_public() -> None:
    page = (Path(__file__).parents[1] / "docs/reference/python.md").read_text()
    named = set(re.findall(r"\baudiostride\.(\w+)\(", page))
    assert {"train", "train_recipe", "load"} <= named <= set(audiostride.__all__)
    assert set(re.findall(r"^::: audiostride\.(\w+)$", page, re.MULTILINE)) == set(audiostride.__all__)
