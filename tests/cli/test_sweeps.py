"""`train --seeds`, `train --grid` and `crossval` from end to end, interrupted, and with mistakes."""

import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from tests.processes import Interrupts, start_program
from tests.program import run
from tests.waiting import wait_for


def test_a_cross_validation_is_scored_and_resumed(
    folded_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["crossval", folded_recipe, "--run-dir", tmp_path / "runs", "--jobs", 2, "--device", "cpu"]
    assert run(monkeypatch, *command, "--json", tmp_path / "cv.json") == 0
    shown = capsys.readouterr()
    assert "3 runs: 3 done" in shown.err
    assert "accuracy on the test fold" in shown.out
    assert "rows true, columns predicted" in shown.out
    content = json.loads((tmp_path / "cv.json").read_text())
    assert [(fold["fold"], fold["n_files"]) for fold in content["folds"]] == [("1", 6), ("2", 6), ("3", 6)]
    of_folds = [fold["accuracy"]["tone"] for fold in content["folds"]]
    assert content["mean"]["tone"] == pytest.approx(np.mean(of_folds))
    assert content["std"]["tone"] == pytest.approx(np.std(of_folds, ddof=1))
    assert content["pooled"]["tone"]["accuracy"] == pytest.approx(np.trace(content["pooled"]["tone"]["confusion"]) / 18)

    before = RunFolder(tmp_path / "runs/fold-1").last.stat().st_mtime_ns
    assert run(monkeypatch, *command, "--folds", "1,2", "--json", "-") == 0
    shown = capsys.readouterr()
    assert "fold-1: finished before" in shown.err
    assert "2 of 3 folds: not a cross-validation of all the data" in shown.err
    assert json.loads(shown.out)["folds"] == content["folds"][:2]
    assert RunFolder(tmp_path / "runs/fold-1").last.stat().st_mtime_ns == before


def test_failures_are_listed_at_the_end_with_their_logs(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = "training.batch_size=6,1"  # two manifests need two rows
    (tmp_path / "again.csv").write_text("path,split,label\n")
    other = f"tasks.other.manifest={tmp_path / 'again.csv'}"
    code = run(monkeypatch, "train", recipe_file, "--grid", grid, "--set", other, "--run-dir", tmp_path / "runs")
    assert code == 1
    *_, summary, first, _, second, _, last = capsys.readouterr().err.splitlines()
    assert summary == "2 runs: 2 failed"
    assert first == f"failed: batch_size-6, log {tmp_path / 'runs/batch_size-6/train.log'}"
    assert second == f"failed: batch_size-1, log {tmp_path / 'runs/batch_size-1/train.log'}"
    assert last == "run the same command again: it skips finished runs and resumes the others"


@pytest.mark.parametrize("interrupts", ["SIG_DFL", "SIG_IGN"])
def test_an_interrupt_saves_all_runs_and_leaves_no_process(
    recipe_file: Path, tmp_path: Path, interrupts: Interrupts
) -> None:
    command = ["train", recipe_file, "--seeds", "0-2", "--jobs", 2, "--run-dir", tmp_path, "--device", "cpu"]
    command += ["--set", "training.steps=100000", "--set", "training.validate_every=3"]
    process = start_program(*command, interrupts=interrupts, stderr=subprocess.PIPE)
    runs = [RunFolder(tmp_path / f"seed-{i}") for i in range(3)]
    wait_for(runs[0].last, runs[1].last)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopping all runs after their step" in messages
    assert "3 runs: 2 stopped, 1 waiting" in messages
    assert messages.splitlines()[-1] == "run the same command again: it skips finished runs and resumes the others"
    assert not runs[2].path.exists()
    for folder in runs[:2]:
        assert folder.states() == [folder.state(load_run(folder.path, "last").step)]
        with FileLock(folder.lock, timeout=0):  # nobody trains there any more
            pass


MISTAKES = {
    # name: (command and arguments, part of the message); {recipe}, {folded} and {tmp} are filled in
    "no seeds": (["train", "{recipe}", "--seeds", "x"], "--seeds x: expected whole numbers, as in 0-4 or 1,2,5"),
    "no grid": (["train", "{recipe}", "--grid", "x"], "--grid x: expected KEY=VALUE,VALUE"),
    "an unknown key": (["train", "{recipe}", "--grid", "model.widht=1,2"], "did you mean 'width'?"),
    "a value that cannot be": (["train", "{recipe}", "--grid", "model.width=0.5,-1"], "--grid model.width=-1: "),
    "a seed in two places": (["train", "{recipe}", "--seeds", "1", "--grid", "seed=1,2"], "by --grid and by --seeds"),
    "jobs of one run": (["train", "{recipe}", "--jobs", "2"], "--jobs is of several runs"),
    "no jobs": (["train", "{recipe}", "--seeds", "1", "--jobs", "0"], "--jobs 0: expected 1 to 64 processes"),
    "a dry run of several": (["train", "{recipe}", "--seeds", "1", "--dry-run"], "--dry-run is of one run"),
    "an unknown device": (["train", "{recipe}", "--seeds", "1", "--device", "tpu"], "--device tpu"),
    "data that are not prepared": (["train", "demo", "--seeds", "1"], "write it first:\n  audiostride prepare demo"),
    "a file in place of the folder": (
        ["train", "{recipe}", "--seeds", "1", "--run-dir", "{recipe}"],
        "is a file, expected a folder for several runs",
    ),
    "data without folds": (["crossval", "{recipe}"], "manifest.csv:1: no column 'fold' with values"),
    "an unknown fold": (["crossval", "{folded}", "--folds", "1,9"], "--folds 1,9: '9' is no fold of the data"),
    "a fold that is set": (["crossval", "{folded}", "--set", "data.test_fold=1"], "by --set and by crossval"),
    "no such recipe": (["crossval", "{tmp}/none.yaml"], "none.yaml: no such file"),
    "no folder for the JSON": (["crossval", "{folded}", "--json", "{tmp}/no/a.json"], "no such folder"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_before_anything_is_trained(
    mistake: str,
    recipe_file: Path,
    folded_recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    arguments, message = MISTAKES[mistake]
    places = {"recipe": recipe_file, "folded": folded_recipe, "tmp": tmp_path}
    assert run(monkeypatch, *(argument.format(**places) for argument in arguments)) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""
    assert sorted(tmp_path.rglob("*")) == before
