"""Trainings in processes of their own: one that fails or is killed ends no other, and the next call goes on."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from audiostride.errors import UserError
from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from audiostride.sweeps import processes
from audiostride.sweeps.plan import PlannedRun, plan_runs
from audiostride.sweeps.processes import Progress, n_threads_each
from audiostride.sweeps.run import train_runs
from audiostride.sweeps.variants import parse_grid, parse_seeds
from audiostride.training.run import train_recipe


def final_states(events: Sequence[Progress]) -> dict[str, str]:
    return {progress.name: progress.state for progress in events}


def train(recipe: Path, runs: Sequence[PlannedRun], parent: Path, **options: Any) -> list[Progress]:
    return list(train_runs(recipe, runs, parent, options=["--device", "cpu"], n_jobs=2, **options))


def test_a_run_that_fails_ends_no_other_and_is_tried_again(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "later.csv"
    runs = plan_runs(recipe_file, [], [parse_grid(f"tasks.tone.manifest={corpus},{manifest}")])
    events = train(recipe_file, runs, tmp_path / "runs")
    good, bad = (run.name for run in runs)
    assert final_states(events) == {good: "done", bad: "failed"}
    told = events[-1] if events[-1].name == bad else next(e for e in events if e.state == "failed")
    assert told.lines == (f"{manifest}: no such manifest (looked for from the current folder)",)
    assert RunFolder(tmp_path / "runs" / bad).log.read_text().rstrip() == told.lines[0]

    manifest.write_text(corpus.read_text().replace("\n", f"\n{corpus.parent}/").rpartition("\n")[0] + "\n")
    events = train(recipe_file, runs, tmp_path / "runs")
    assert final_states(events) == {good: "skipped", bad: "done"}


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        processes.subprocess, "Popen", lambda *args, **options: started.append(popen(*args, **options)) or started[-1]
    )
    overrides = ["training.steps=24", "training.validate_every=3"]
    runs = plan_runs(recipe_file, overrides, [parse_seeds("0")])
    (run,) = runs
    last = RunFolder(tmp_path / "runs/seed-0").last
    events = []
    for progress in train_runs(recipe_file, runs, tmp_path / "runs", overrides=overrides, options=["--device", "cpu"]):
        events.append(progress)
        if last.exists() and started[0].poll() is None:
            started[0].kill()
    assert events[-1].state == "failed"
    assert events[-1].lines[-1] == "killed by SIGKILL"
    assert 0 < load_run(tmp_path / "runs/seed-0", "last").step < 24

    events = train(recipe_file, runs, tmp_path / "runs", overrides=overrides)
    assert final_states(events) == {"seed-0": "done"}
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    list(train_recipe(run.recipe, tmp_path / "whole", torch.device("cpu")))
    torch.set_num_threads(n_threads)
    expected = load_run(tmp_path / "whole", "last").model.state_dict()
    for name, tensor in load_run(tmp_path / "runs/seed-0", "last").model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_a_stop_saves_what_runs_and_begins_no_other(recipe_file: Path, tmp_path: Path) -> None:
    overrides = ["training.steps=100000", "training.validate_every=3"]
    runs = plan_runs(recipe_file, overrides, [parse_seeds("0-1")])
    last, stop = RunFolder(tmp_path / "runs/seed-0").last, Event()
    events = []
    for progress in train_runs(
        recipe_file, runs, tmp_path / "runs", overrides=overrides, options=["--device", "cpu"], stop=stop
    ):
        events.append(progress)
        if last.exists():
            stop.set()
    assert final_states(events) == {"seed-0": "stopped"}
    assert "--resume" in RunFolder(tmp_path / "runs/seed-0").log.read_text().splitlines()[-1]
    assert load_run(tmp_path / "runs/seed-0", "last").step > 0
    assert not (tmp_path / "runs/seed-1").exists()


def test_processes_end_with_whoever_follows_them(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        processes.subprocess, "Popen", lambda *args, **options: started.append(popen(*args, **options)) or started[-1]
    )
    runs = plan_runs(recipe_file, [], [parse_seeds("0")])
    events = train_runs(recipe_file, runs, tmp_path / "runs", overrides=["training.steps=100000"])
    assert next(events).state == "running"
    events.close()
    assert started[0].returncode is not None


@pytest.mark.parametrize("n_jobs", [0, -1, 65])
def test_a_number_of_jobs_that_cannot_be_is_told(recipe_file: Path, tmp_path: Path, n_jobs: int) -> None:
    with pytest.raises(UserError, match=f"jobs={n_jobs}: expected 1 to 64 processes"):
        next(train_runs(recipe_file, [], tmp_path, n_jobs=n_jobs))


@pytest.mark.parametrize(
    ("n_jobs", "given", "expected"), [(1, "", 8), (2, "", 4), (3, "", 2), (9, "", 1), (2, "3", 3), (2, "6", 4)]
)
def test_processors_are_shared(monkeypatch: pytest.MonkeyPatch, n_jobs: int, given: str, expected: int) -> None:
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert n_threads_each(n_jobs) == expected
