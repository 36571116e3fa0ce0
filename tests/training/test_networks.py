"""A run of each of the paper's networks: what every command makes of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import audiostride
from audiostride.comparison.compare import compare_runs
from audiostride.comparison.csv_tables import csv_tables
from audiostride.comparison.tables import as_dict, text_tables
from audiostride.recipe.reader import load_recipe
from audiostride.report.page import build_report, render_report
from audiostride.runs.checkpoint import load_run
from audiostride.training.run import train_recipe
from audiostride.vocabulary import BACKBONE_STRIDES
from tests.models.tiny_networks import NETWORKS
from tests.program import run as program

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def runs(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two steps of every network, by its name."""
    folder = tmp_path_factory.mktemp("networks")
    (folder / "recipe.yaml").write_text(
        f"tasks: {{tone: {{manifest: {corpus}}}}}\n"
        f"data: {{cache_dir: {folder / 'cache'}}}\n"
        "frontend: {normalization: standard, n_mels: 32, hop_length: 320}\n"
        "model: {width: 0.03, ramp: folded}\n"
        "training: {steps: 2, batch_size: 6, learning_rate: 0.003, stride_learning_rate: 0.02, validate_every: 2,\n"
        "  log_every: 1, batch_norm_batches: 1, complexity_weight: 0.1}\n"
    )
    for name in NETWORKS:
        recipe = load_recipe(folder / "recipe.yaml", [f"model.backbone={name}"])
        for _ in train_recipe(recipe, folder / name, CPU):
            pass
    return folder


@pytest.mark.parametrize("name", NETWORKS)
class TestOneRun:
    def test_its_strides_are_read_frozen_and_rounded(
        self, name: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rounded = tmp_path / "integer.yaml"
        assert program(monkeypatch, "strides", runs / name, "--freeze", rounded, "--integer") == 0
        assert program(monkeypatch, "strides", runs / name, "--freeze", tmp_path / "frozen.yaml", "--advise") == 0
        capsys.readouterr()
        assert program(monkeypatch, "strides", runs / name, "--json", "-") == 0
        layers = json.loads(capsys.readouterr().out)["layers"]
        n = len(BACKBONE_STRIDES[name])
        assert [layer["block"] for layer in layers if layer["axis"] == "time"] == list(range(1, n + 1))
        assert len(load_recipe(rounded).model.stride_time) == n
        assert load_recipe(rounded).model.downsampling == "strided_conv"
        moved = [layer["stride"] for layer in layers if layer["axis"] == "time"]
        assert any(abs(stride - start) > 0.01 for stride, start in zip(moved, BACKBONE_STRIDES[name], strict=True))
        waveform = torch.randn(1, 16000)
        original, frozen = (load_run(run).model.eval() for run in (runs / name, tmp_path / "frozen"))
        with torch.no_grad():
            assert torch.equal(original(waveform)["tone"], frozen(waveform)["tone"])

    def test_it_is_exported_and_both_forms_predict_the_same(
        self, name: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("audiostride.export.check.TIMED_S", 0.01)
        assert program(monkeypatch, "export", runs / name, "--out", tmp_path / "m.onnx") == 0
        sound = np.random.default_rng(0).standard_normal(24000).astype(np.float32) * 0.1
        found = [audiostride.load(path).predict(sound, 16000) for path in (runs / name, tmp_path / "m.onnx")]
        of_torch, of_onnx = (prediction.tasks["tone"].probabilities for prediction in found)
        np.testing.assert_allclose(of_onnx, of_torch, atol=1e-4)

    def test_it_is_reported_with_its_strides(self, name: str, runs: Path) -> None:
        data = build_report(load_run(runs / name), name)
        assert len(data.strides) == 2 * len(BACKBONE_STRIDES[name])
        assert "has no strides to read" not in render_report(data)

    def test_a_dry_run_counts_it(
        self, name: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ["--set", f"model.backbone={name}", "--run-dir", tmp_path / "run", "--dry-run"]
        assert program(monkeypatch, "train", runs / "recipe.yaml", *options) == 0
        n_parameters = sum(parameter.numel() for parameter in load_run(runs / name).model.parameters())
        (total,) = (line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["all"])
        assert f"{n_parameters:,}" in total


def test_networks_with_other_numbers_of_blocks_stand_side_by_side(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [runs / name for name in NETWORKS]
    comparison = compare_runs(paths)
    methods = {group["name"]: group["method"] for group in as_dict(comparison)["groups"]}
    assert methods == {name: f"{name} diffstride folded" for name in NETWORKS}
    strides = next(table for table in text_tables(comparison) if "strides" in table.title)
    assert len(strides.columns) == 3 + 7
    assert {len(row) for row in strides.rows} == {3 + 7}
    lines = csv_tables(comparison)["strides"].splitlines()
    assert len({line.count(",") for line in lines}) == 1
    assert program(monkeypatch, "strides", *paths, "--history", "--plot", tmp_path / "strides.png") == 0
    assert (tmp_path / "strides.png").stat().st_size > 0
    assert "-" in capsys.readouterr().out
