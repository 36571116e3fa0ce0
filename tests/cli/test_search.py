"""`audiostride search` from end to end, interrupted, and with mistakes."""

import csv
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from audiostride.cli import search
from audiostride.data.manifest import read_manifest, write_manifest
from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from audiostride.search.study import Study
from tests.processes import start_program
from tests.program import run
from tests.waiting import wait_for

SPACE = "model.stride_time: {each: {int: [1, 3]}, n: 6}\nmodel.shared: [true, false]\n"


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_search_leaves_its_trials_and_the_best_recipe(
    recipe_file: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "search"
    command = ["search", recipe_file, space, "--jobs", 2, "--output", out, "--device", "cpu", "--set", "seed=5"]
    command += ["--seed", 4]  # which draws settings that do not go together for the second trial
    assert run(monkeypatch, *command, "--trials", 2, "--prune") == 0
    shown = capsys.readouterr()
    trials = rows(out / "trials.csv")
    done = [trial for trial in trials if trial["state"] == "done"]
    failed = [trial for trial in trials if trial["state"] == "failed"]  # shared strides do not go with the placement
    assert len(trials) == len(done) + len(failed) == 2
    assert done
    assert failed
    assert all("shared strides need placement: per_block" in trial["reason"] for trial in failed)
    assert shown.err.count("failed: trial-000") == len(failed)
    assert f"{out}: {len(done)} done, {len(failed)} failed" in shown.err
    best = max(done, key=lambda trial: float(trial["validation"]))
    recipe = load_recipe(out / "best.yaml")
    assert recipe.seed == 5
    assert list(recipe.model.stride_time) == yaml.safe_load(best["model.stride_time"])
    assert recipe == load_run(out / f"trial-{int(best['trial']):04}", "last").recipe
    assert "best trials" in shown.out

    assert run(monkeypatch, *command, "--trials", 2) == 0
    assert rows(out / "trials.csv") == trials
    assert run(monkeypatch, *command, "--trials", 2, "--sampler", "random") == 2
    assert "holds a search with other settings; choose another folder" in capsys.readouterr().err


def test_an_interrupted_trial_goes_on(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space, out = tmp_path / "space.yaml", tmp_path / "search"
    space.write_text("model.dropout: {float: [0, 0.5]}\n")
    command = ["search", recipe_file, space, "--trials", 1, "--output", out, "--device", "cpu"]
    command += ["--set", "training.steps=60", "--set", "training.validate_every=4"]
    program = start_program(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    first = RunFolder(out / "trial-0000")
    wait_for(first.last)
    program.send_signal(signal.SIGINT)
    assert "run the same command again: it goes on" in program.communicate(timeout=120)[1]
    assert program.returncode == 130
    reached = load_run(first.path, "last").step
    assert 0 < reached < 60
    assert not (out / "best.yaml").exists()
    assert run(monkeypatch, *command) == 0
    assert load_run(first.path, "last").step == 60
    assert [line["step"] for line in first.read_metrics() if "validation" in line] == list(range(4, 61, 4))
    assert [trial["state"] for trial in rows(out / "trials.csv")] == ["done"]


def test_a_trial_that_is_worse_than_others_is_stopped(
    recipe_file: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Study, "report", lambda self, number, values: max(values, default=0) >= 6)
    command = ["search", recipe_file, space, "--trials", 1, "--prune", "--output", tmp_path / "out", "--device", "cpu"]
    command += ["--set", "training.steps=100000", "--set", "training.validate_every=3", "--jobs", 2]
    assert run(monkeypatch, *command) == 1  # none is done
    assert "1 run: 1 pruned" in capsys.readouterr().err
    assert [trial["state"] for trial in rows(tmp_path / "out/trials.csv")] == ["pruned"]
    assert load_run(tmp_path / "out/trial-0000", "last").step >= 6


MISTAKES = {
    # name: (arguments behind the recipe, part of the message)
    "no trials": (["{space}", "--trials", "0"], "--trials 0: expected 1 to 1,000"),
    "no jobs": (["{space}", "--trials", "1", "--jobs", "0"], "--jobs 0: expected 1 to 64 processes"),
    "no space": (["{tmp}/none.yaml", "--trials", "1"], "none.yaml: cannot be read"),
    "a wrong key": (["{tmp}/wrong.yaml", "--trials", "1"], "wrong.yaml:1: model.widht: unknown key"),
    "a key set twice": (
        ["{space}", "--trials", "1", "--set", "model.shared=false"],
        "model.shared: set by --set and by",
    ),
    "a file": (["{space}", "--trials", "1", "--output", "{space}"], "is a file, expected a folder for the search"),
    "a device": (["{space}", "--trials", "1", "--device", "tpu"], "--device tpu: expected one of"),
    "no validation": (
        ["{space}", "--trials", "1", "--set", "tasks.tone.manifest={tmp}/train.csv"],
        "no clips in the split",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_before_anything_is_written(
    mistake: str,
    recipe_file: Path,
    corpus: Path,
    space: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text("model.widht: [1, 2]\n")
    write_manifest(tmp_path / "train.csv", [clip for clip in read_manifest(corpus).clips if clip.split == "train"])
    before = sorted(tmp_path.rglob("*"))
    arguments, message = MISTAKES[mistake]
    assert run(monkeypatch, "search", recipe_file, *(a.format(space=space, tmp=tmp_path) for a in arguments)) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_without_optuna_the_extra_is_named(
    recipe_file: Path, space: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(search, "find_spec", lambda _: None)
    assert run(monkeypatch, "search", recipe_file, space, "--trials", 1) == 2
    assert capsys.readouterr().err.startswith("optuna is not installed: pip install ")


@pytest.mark.parametrize("command", ["search", "crossval"])
def test_processes_of_torchrun_are_refused(
    command: str, recipe_file: Path, space: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "ERROR")
    assert run(monkeypatch, command, recipe_file, *([space, "--trials", 1] if command == "search" else [])) == 2
    assert capsys.readouterr().err == f"{command} is of one process: start it without torchrun\n"
