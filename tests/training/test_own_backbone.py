"""Backbones registered under a name: trained, resumed, evaluated and compared like the package's own."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import audiostride
from audiostride.comparison.compare import compare_runs
from audiostride.comparison.csv_tables import csv_table
from audiostride.comparison.tables import as_dict, text_tables
from audiostride.errors import UserError
from audiostride.frontend import LogMel
from audiostride.layers import DiffStride
from audiostride.models import register_backbone, registry
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.recipe.reader import load_recipe
from audiostride.report.page import build_report, render_report
from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from audiostride.runs.scoring import score_run
from audiostride.strides.cutoffs import read_strides
from audiostride.training.data import build_training_data
from audiostride.training.events import StepDone, Validated
from audiostride.training.loop import train_steps
from audiostride.training.optimizer import make_optimizer
from tests.program import run as program
from tests.training.runs import CPU, run, run_until, weights

OWN = ["model.backbone=small", "model.width=0.5"]


def build_small(*, width: float, dropout: float, **_: Any) -> nn.Module:
    """A few convolutions around strides that learn, which does not name its channels."""
    n = round(16 * width)
    return nn.Sequential(
        nn.Conv2d(1, n, 3),
        nn.BatchNorm2d(n),
        nn.ReLU(),
        DiffStride([2.0, 2.0]),
        nn.Dropout(dropout),
        nn.Conv2d(n, 5, 3),
    )


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_builders", dict(registry._builders))
    register_backbone("small", build_small)


def test_a_recipe_builds_it_with_its_settings(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run", OWN)
    backbone: Any = load_run(tmp_path / "run").model.backbone
    assert (backbone[0].out_channels, backbone[4].p) == (8, 0.1)


def test_it_learns_its_strides_and_resumes_bit_for_bit(recipe_file: Path, tmp_path: Path) -> None:
    settings = [*OWN, "training.ema=0.9", "training.optimizer=adamw", "training.weight_decay=0.1"]
    run(recipe_file, tmp_path / "whole", settings)
    run_until(recipe_file, tmp_path / "resumed", 3, settings)
    run(recipe_file, tmp_path / "resumed", settings, resume=True)
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert (whole["backbone.3.strides"] - 2).abs().max() > 0.01


def test_it_is_logged_scored_and_predicts(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run", OWN)
    lines = [line for line in RunFolder(tmp_path / "run").read_metrics() if "loss" in line]
    assert [line["strides"] for line in lines] == [{}] * len(lines)
    assert score_run(load_run(tmp_path / "run"), "test").scores["tone"].n_files == 6
    found = audiostride.load(tmp_path / "run").predict(np.zeros(16000, np.float32), sample_rate=16000)
    assert found.tasks["tone"].probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["strides"], "has no strides that can be read"),
        (["export", "--out", "model.onnx"], "export knows no graph for the backbone Sequential"),
    ],
)
def test_commands_say_what_they_cannot_do(
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    told: str,
) -> None:
    run(recipe_file, tmp_path / "run", OWN)
    monkeypatch.chdir(tmp_path)
    assert program(monkeypatch, command[0], tmp_path / "run", *command[1:]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "model.onnx").exists()


def test_the_program_trains_it_and_does_not_point_to_strides(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [argument for setting in OWN for argument in ("--set", setting)]
    assert program(monkeypatch, "train", recipe_file, "--run-dir", tmp_path / "run", *settings, "--dry-run") == 0
    assert program(monkeypatch, "train", recipe_file, "--run-dir", tmp_path / "run", *settings) == 0
    told = capsys.readouterr().err
    assert "audiostride eval" in told
    assert "audiostride strides" not in told


def test_it_stands_beside_others_in_compare_and_report(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "own", OWN)
    run(recipe_file, tmp_path / "learned")
    comparison = compare_runs([tmp_path / "own", tmp_path / "learned"])
    methods = {group["name"]: group["method"] for group in as_dict(comparison)["groups"]}
    assert methods == {"own": "small", "learned": "diffstride inside"}
    assert {row[0] for table in text_tables(comparison) if "strides" in table.title for row in table.rows} == {
        "learned"
    }
    header, own, learned = csv_table(comparison).splitlines()
    assert header.count(",") == own.count(",") == learned.count(",")
    page = render_report(build_report(load_run(tmp_path / "own"), "own"))
    assert "The backbone of this run has no strides to read." in page


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_unknown_name_is_told_before_any_recording_is_read(
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dry_run: bool,
) -> None:
    settings = ["--set", "model.backbone=smal", "--set", f"tasks.tone.manifest={tmp_path / 'none.csv'}"]
    options = ["--dry-run"] if dry_run else []
    assert program(monkeypatch, "train", recipe_file, "--run-dir", tmp_path / "run", *settings, *options) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "model.backbone: no backbone is registered as 'smal', expected one of densenet_bc121, " in told


def test_a_run_whose_backbone_is_not_registered_is_told(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run", OWN)
    del registry._builders["small"]
    with pytest.raises(UserError, match="no backbone is registered as 'small'"):
        load_run(tmp_path / "run")


def test_what_builds_no_module_is_told(recipe_file: Path, tmp_path: Path) -> None:
    register_backbone("small", lambda **_: "a module")
    with pytest.raises(UserError, match=r"model\.backbone: small built a str, expected a torch\.nn\.Module"):
        run(recipe_file, tmp_path / "run", OWN)


@pytest.mark.parametrize("name", ["", "time_frequency_cnn", "resnet18"])
def test_the_package_s_own_name_is_not_given_away(name: str) -> None:
    with pytest.raises(ValueError, match="name must be another"):
        register_backbone(name, build_small)
    assert isinstance(registry.build_backbone("time_frequency_cnn", width=0.1), TimeFrequencyCnn)


def test_train_steps_trains_a_module_that_no_recipe_knows(recipe_file: Path) -> None:
    data = build_training_data(load_recipe(recipe_file))
    torch.manual_seed(0)
    model = AudioClassifier(LogMel(), nn.Conv2d(1, 4, 3), {"tone": 3})
    before = model.backbone.weight.detach().clone()
    optimizer = make_optimizer(model, 0.01, 0.01)
    events = list(train_steps(model, optimizer, data.batches, data.validation, n_window=16000, device=CPU, n_steps=2))
    assert [type(event) for event in events] == [StepDone, StepDone, Validated]
    assert not torch.equal(before, model.backbone.weight)


def test_the_example_of_the_documentation_trains_and_its_strides_are_read(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(audiostride.__file__).parents[1] / "docs/reference/python.md").read_text(encoding="utf-8")
    example = next(code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "register_backbone(" in code)
    given: dict[str, Any] = {}
    monkeypatch.setattr(audiostride, "train", lambda *_: None)  # a recipe of ours is trained in its place
    names: dict[str, Any] = {"audiostride": audiostride}
    exec(example, names)  # noqa: S102  the text of our own page
    register_backbone("shallow", lambda **settings: given.update(settings) or names["build"](**settings))
    run(recipe_file, tmp_path / "run", ["model.backbone=shallow", "model.width=0.1"])
    told = page.split("`build` gets these settings")[1].split("`stride_low`")[0]
    assert set(re.findall(r"`(\w+)`", told)) == set(given)
    readings = read_strides(load_run(tmp_path / "run").model, 16000)
    assert [(reading.axis, reading.n_in) for reading in readings] == [("frequency", 64), ("time", 100)]
    assert program(monkeypatch, "strides", tmp_path / "run", "--plot", tmp_path / "strides.png") == 0
