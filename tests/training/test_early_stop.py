"""A run ends as finished after so many validations without a new best, counted across interruptions."""

from pathlib import Path

import pytest
import torch

from audiostride.runs.checkpoint import load_run, load_training_state
from audiostride.runs.folder import RunFolder
from audiostride.training.events import Calibrated, StepDone, Stopped
from tests.training.runs import run, run_until, weights

EVERY_STEP = ["training.validate_every=1", "training.steps=9"]


def stopping(n: object) -> list[str]:
    return [*EVERY_STEP, f"training.early_stop_after={n}"]


@pytest.fixture(autouse=True)
def _same_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every validation the same score."""
    monkeypatch.setattr("audiostride.training.loop.measure", lambda *_: 0.5)


@pytest.mark.parametrize("n", [1, 3])
def test_a_run_ends_after_so_many_validations_without_a_new_best(recipe_file: Path, tmp_path: Path, n: int) -> None:
    *_, calibrated, stopped = run(recipe_file, tmp_path / "run", stopping(n))
    assert stopped == Stopped(1 + n, finished=True, early=True)
    assert isinstance(calibrated, Calibrated)
    assert calibrated.tasks.keys() == {"tone"}


def test_without_the_key_all_steps_are_done(recipe_file: Path, tmp_path: Path) -> None:
    assert run(recipe_file, tmp_path / "run", EVERY_STEP)[-1] == Stopped(9, finished=True, early=False)


def test_a_new_best_begins_the_count_anew(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.4, 0.6, 0.6, 0.2, 0.9])
    monkeypatch.setattr("audiostride.training.loop.measure", lambda *_: next(scores))
    assert run(recipe_file, tmp_path / "run", stopping(2))[-1] == Stopped(5, finished=True, early=True)


@pytest.mark.parametrize("n_before", [1, 2, 3])
def test_a_resumed_run_knows_how_many_have_passed(recipe_file: Path, tmp_path: Path, n_before: int) -> None:
    run(recipe_file, tmp_path / "whole", stopping(3))
    assert not run_until(recipe_file, tmp_path / "resumed", n_before, stopping(3)).finished
    resumed = run(recipe_file, tmp_path / "resumed", stopping(3), resume=True)
    assert resumed[-1] == Stopped(4, finished=True, early=True)
    whole, after = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert all(torch.equal(whole[name], after[name]) for name in whole)


def test_a_run_that_ended_early_trains_on_only_if_it_may(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run", stopping(2))
    again = run(recipe_file, tmp_path / "run", stopping(2), resume=True)
    assert not [event for event in again if isinstance(event, StepDone)]
    assert again[-1] == Stopped(3, finished=True, early=True)
    assert run(recipe_file, tmp_path / "run", stopping(5), resume=True)[-1] == Stopped(6, finished=True, early=True)
    assert run(recipe_file, tmp_path / "run", stopping("null"), resume=True)[-1] == Stopped(9, finished=True)


def test_a_run_without_validation_clips_never_ends_early(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    manifest = corpus.with_name("no_valid_early.csv")
    lines = corpus.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if ",valid," not in line))
    settings = [*stopping(1), f"tasks.tone.manifest={manifest}"]
    assert run(recipe_file, tmp_path / "run", settings)[-1] == Stopped(9, finished=True)


def test_a_state_of_an_older_version_has_counted_none(recipe_file: Path, tmp_path: Path) -> None:
    run_until(recipe_file, tmp_path / "run", 3, stopping(9))
    folder = RunFolder(tmp_path / "run")
    state = load_training_state(folder, 3)
    assert state.pop("n_without_best") == 2
    torch.save(state, folder.state(3))
    assert run(recipe_file, tmp_path / "run", stopping(2), resume=True)[-1] == Stopped(5, finished=True, early=True)


def test_of_two_with_the_same_score_the_one_with_the_lower_loss_is_the_best(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run", EVERY_STEP)
    lines = [line for line in RunFolder(tmp_path / "run").read_metrics() if "validation" in line]
    losses = [sum(line["validation_loss"].values()) for line in lines]
    assert load_run(tmp_path / "run", "best").step == 1 + losses.index(min(losses))
    assert min(losses) < losses[0]  # or the first would be the best either way


def test_a_resumed_run_knows_the_loss_of_the_best(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "whole", EVERY_STEP)
    run_until(recipe_file, tmp_path / "resumed", 5, EVERY_STEP)
    run(recipe_file, tmp_path / "resumed", EVERY_STEP, resume=True)
    assert load_run(tmp_path / "resumed", "best").step == load_run(tmp_path / "whole", "best").step
