"""Event files: what TensorBoard reads is what metrics.jsonl says, once per step."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from audiostride.cli import main as cli
from audiostride.runs.folder import RunFolder
from audiostride.training.tensorboard_log import TensorboardLog


def train(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["audiostride", "train", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def read_events(run_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every scalar."""
    events = EventAccumulator(str(RunFolder(run_dir).tensorboard))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(run_dir: Path, *keys: Any) -> list[tuple[int, float]]:
    """Step and value of what `keys` lead to in metrics.jsonl."""
    found = []
    for line in RunFolder(run_dir).read_metrics():
        value: Any = line
        if keys[0] in line:
            for key in keys:
                value = value[key]
            found.append((line["step"], pytest.approx(value)))
    return found


def test_events_are_the_lines_of_the_log(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = tmp_path / "run"
    assert train(monkeypatch, recipe_file, "--run-dir", run_dir, "--tensorboard") == 0
    places: dict[str, tuple[object, ...]] = {
        "loss/tone": ("loss", "tone"),
        "accuracy/tone": ("accuracy", "tone"),
        "validation/tone": ("validation", "tone"),
        "validation_loss/tone": ("validation_loss", "tone"),
        "gradient_norm": ("gradient_norm",),
        "learning_rate/weights": ("learning_rate",),
        "learning_rate/strides": ("stride_learning_rate",),
        "windows_per_s": ("windows_per_s",),
    }
    places |= {
        f"stride_{axis}/block_{block + 1}": ("strides", axis, block)
        for axis in ("time", "frequency")
        for block in range(6)
    }
    assert read_events(run_dir) == {tag: expected(run_dir, *keys) for tag, keys in places.items()}


def test_a_resumed_run_has_every_step_once(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = tmp_path / "run"
    options = (recipe_file, "--run-dir", run_dir, "--tensorboard", "--set")
    assert train(monkeypatch, *options, "training.steps=4") == 0
    assert train(monkeypatch, *options, "training.steps=6", "--resume") == 0
    assert read_events(run_dir)["loss/tone"] == expected(run_dir, "loss", "tone")


def test_what_a_killed_process_wrote_after_its_checkpoint_does_not_count(tmp_path: Path) -> None:
    with TensorboardLog(RunFolder(tmp_path), 0) as killed:
        for step in (2, 4, 6, 8):
            killed.add({"step": step, "loss": {"tone": 1.0}})
    with TensorboardLog(RunFolder(tmp_path), 4) as resumed:
        for step in (6, 8):
            resumed.add({"step": step, "loss": {"tone": 0.5}})
    assert read_events(tmp_path) == {"loss/tone": [(2, 1.0), (4, 1.0), (6, 0.5), (8, 0.5)]}


@pytest.mark.parametrize("option", ["--tensorboard", None])
def test_a_replaced_run_leaves_no_events(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str | None
) -> None:
    run_dir = tmp_path / "run"
    assert train(monkeypatch, recipe_file, "--run-dir", run_dir, "--tensorboard", "--set", "training.steps=2") == 0
    old = set(RunFolder(run_dir).tensorboard.iterdir())
    options = [option] if option else []
    assert train(monkeypatch, recipe_file, "--run-dir", run_dir, "--overwrite", *options) == 0
    new = set(RunFolder(run_dir).tensorboard.iterdir())
    assert not old & new
    assert len(new) == len(options)


def test_a_missing_package_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert train(monkeypatch, tmp_path / "none.yaml", "--tensorboard") == 2
    assert "pip install 'tensorboard>=" in capsys.readouterr().err
