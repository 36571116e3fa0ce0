"""What the log holds: the norm of the gradients before they are clipped, and the loss in validation."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from audiostride.build import window_size
from audiostride.evaluation.clips import labelled_logits
from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from audiostride.training.data import build_training_data
from audiostride.training.events import StepDone
from tests.training.runs import CPU, run


def gradient_norms(run_dir: Path) -> list[float]:
    return [line["gradient_norm"] for line in RunFolder(run_dir).read_metrics() if "loss" in line]


def test_the_norm_of_a_clipped_gradient_is_that_before(recipe_file: Path, tmp_path: Path) -> None:
    first = ["training.steps=1", "training.log_every=1"]
    run(recipe_file, tmp_path / "free", first)
    run(recipe_file, tmp_path / "clipped", [*first, "training.gradient_clip=1e-3"])
    assert gradient_norms(tmp_path / "free") == gradient_norms(tmp_path / "clipped")
    assert gradient_norms(tmp_path / "free")[0] > 1e-3


def test_the_norm_is_that_of_all_gradients_together(recipe_file: Path, tmp_path: Path) -> None:
    settings = ["training.optimizer=sgd", "training.momentum=0", "training.stride_learning_rate=0.003"]
    settings += ["training.steps=2", "training.validate_every=1", "training.log_every=1"]
    settings += ["model.dropout=0", "training.batch_norm_batches=0", "model.downsampling=fixed_stride"]
    run(recipe_file, tmp_path / "one", [*settings, "training.steps=1"])
    events = run(recipe_file, tmp_path / "two", settings)
    one, two = (load_run(tmp_path / name, "last").model for name in ("one", "two"))
    # a step of sgd is the gradient times the rate
    steps = [(a - b).flatten() / 0.003 for a, b in zip(one.parameters(), two.parameters(), strict=True)]
    norm = [event for event in events if isinstance(event, StepDone)][1].gradient_norm
    assert norm.item() == pytest.approx(torch.cat(steps).norm().item(), rel=1e-2)


def test_the_loss_in_validation_is_that_of_training_on_the_clips(recipe_file: Path, tmp_path: Path) -> None:
    recipe = load_recipe(recipe_file, ["training.label_smoothing=0.2"])
    run(recipe_file, tmp_path / "run", ["training.label_smoothing=0.2"])
    lines = [line for line in RunFolder(tmp_path / "run").read_metrics() if "validation" in line]
    assert [set(line["validation_loss"]) for line in lines] == [{"tone"}] * 2
    data, model = build_training_data(recipe), load_run(tmp_path / "run", "last").model
    logits, labels = labelled_logits(model, data.validation, window_size(recipe), CPU)["tone"]
    expected = nn.functional.cross_entropy(logits, labels, label_smoothing=0.2)
    assert lines[-1]["validation_loss"]["tone"] == pytest.approx(expected.item(), rel=1e-4)


def test_every_line_is_json_for_any_reader(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.utils, "get_total_norm", lambda *_: torch.tensor(float("inf")))
    run(recipe_file, tmp_path / "run", ["training.steps=2"])

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    assert gradient_norms(tmp_path / "run") == [None]
