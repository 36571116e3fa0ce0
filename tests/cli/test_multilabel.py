"""A multi-label task with a background class, from the manifest to detections."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiostride.build import build_augmentation
from audiostride.data.manifest import Clip, write_windows
from audiostride.loading import load_model
from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import load_run
from audiostride.training.data import build_training_data
from audiostride.training.loop import to_waveform
from tests.program import run

TONES_HZ = {"low": 300, "high": 2700}
CELLS = ("low", "high", "low;high", "hiss", "", "low")
RECIPE = """
tasks:
  tones: {{manifest: {manifest}, kind: multilabel, background: hiss, sampling: balanced,
          positive_weights: inverse_frequency, focal: 1.0}}
data: {{cache_dir: {folder}/cache}}
frontend: {{normalization: standard}}
augmentation: {{mixup: 0.2, mixup_labels: union}}
model: {{width: 0.06, ramp: folded}}
training: {{steps: 40, batch_size: 12, learning_rate: 0.01, validate_every: 20, log_every: 10, label_smoothing: 0.05}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings, `manifest.csv`, `recipe.yaml` and a trained `run`."""
    folder = tmp_path_factory.mktemp("tones")
    rng, clips = np.random.default_rng(0), []
    for split, n in {"train": 3, "valid": 2, "test": 2}.items():
        for i, cell in enumerate(CELLS * n):
            t = np.arange(16000) / 16000
            names = cell.split(";") if cell else []
            tones = sum((0.2 * np.sin(2 * np.pi * TONES_HZ[name] * t) for name in names if name in TONES_HZ), 0 * t)
            sf.write(folder / f"{split}{i}.wav", tones + 0.02 * rng.standard_normal(len(t)), 16000)
            clips.append(Clip(folder / f"{split}{i}.wav", split, {"labels": cell} if cell else {}))
    clips.append(Clip(folder / "test0.wav", "test", {"labels": "low;owl"}))
    write_windows(folder / "manifest.csv", clips)
    (folder / "recipe.yaml").write_text(RECIPE.format(manifest=folder / "manifest.csv", folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, "train", folder / "recipe.yaml", "--run-dir", folder / "run") == 0
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    shutil.copytree(trained / "run", tmp_path / "run")
    return tmp_path / "run"


def scores(folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: object) -> dict:
    capsys.readouterr()
    assert run(patch, "eval", folder, "--json", "-", *more) == 0
    return json.loads(capsys.readouterr().out)["tasks"]["tones"]


def test_the_tones_are_learned_and_scored_class_by_class(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = scores(trained / "run", monkeypatch, capsys)
    assert found["kind"] == "multilabel"
    assert found["classes"] == ["high", "hiss", "low"]
    assert [each["n_clips"] for each in found["by_class"]] == [4, 2, 7]
    assert found["mean_average_precision"] == pytest.approx(
        np.mean([e["average_precision"] for e in found["by_class"]])
    )
    assert found["by_class"][0]["average_precision"] > 0.9
    assert found["by_class"][2]["average_precision"] > 0.9


def test_labels_that_were_not_learned_are_told_and_left_out(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(monkeypatch, "eval", trained / "run") == 0
    told = capsys.readouterr()
    assert "labels that the model has not learned are left out: owl (1 clips)" in told.err
    assert "mAP" in told.out
    assert max(map(len, told.out.splitlines())) <= 80


def test_the_best_checkpoint_is_that_of_the_mean_average_precision(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "run/metrics.jsonl").read_text().splitlines()]
    validated = [line for line in lines if "validation" in line]
    assert [line["measures"] for line in validated] == [{"tones": "map"}] * 2
    best = max(validated, key=lambda line: line["validation"]["tones"])
    assert load_run(trained / "run").step == best["step"]


def test_thresholds_are_kept_and_used(
    copy: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "thresholds", copy, "--target", "recall=1", "--json", "-") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["target"], told["split"]) == ("recall=1", "valid")
    chosen = {each["name"]: each["threshold"] for each in told["tasks"]["tones"]}
    assert set(chosen) == {"high", "low"}  # a background has none
    assert load_run(copy).thresholds == {"tones": chosen}
    assert json.loads((copy / "thresholds.json").read_text())["tasks"] == told["tasks"]
    by_class = {each["name"]: each for each in scores(copy, monkeypatch, capsys, "--split", "valid")["by_class"]}
    assert {name: by_class[name]["threshold"] for name in chosen} == chosen
    assert all(by_class[name]["recall"] == 1 for name in chosen)

    recording, out = trained / "valid2.wav", copy.parent / "out"
    assert run(monkeypatch, "predict", copy, recording, "--out", out) == 0
    with (out / "windows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows} == {"high", "low"}
    assert all(float(row["probability"]) >= chosen[row["class"]] - 1e-6 for row in rows)
    assert run(monkeypatch, "predict", copy, recording, "--out", out, "--threshold", "1") == 0
    assert len((out / "windows.csv").read_text().splitlines()) == 1


@pytest.mark.parametrize("target", ["f1", "precision=0.9", "false-alarms-per-hour=60"])
def test_every_target_is_kept(
    target: str, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "thresholds", copy, "--target", target) == 0
    assert f"thresholds for {target} on valid" in capsys.readouterr().out
    kept = json.loads((copy / "thresholds.json").read_text())
    assert kept["target"] == target
    assert kept["step"] == load_run(copy).step


def test_an_export_has_kind_background_and_thresholds(
    copy: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "thresholds", copy) == 0
    exported = copy.parent / "model.onnx"
    assert run(monkeypatch, "export", copy, "--out", exported) == 0
    assert load_model(exported).traits == load_model(copy).traits
    of_run = scores(copy, monkeypatch, capsys)
    of_export = scores(exported, monkeypatch, capsys, "--manifest", trained / "manifest.csv")
    assert of_export["mean_average_precision"] == pytest.approx(of_run["mean_average_precision"], abs=1e-6)
    assert run(monkeypatch, "thresholds", exported) == 2
    assert "choose thresholds for its run" in capsys.readouterr().err


def test_a_model_without_background_says_what_it_never_heard(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "words.yaml"
    recipe.write_text(
        f"tasks: {{words: {{manifest: {trained / 'manifest.csv'}, label: labels}}}}\n"
        "model: {width: 0.05}\ntraining: {steps: 1, batch_size: 4}\n"
    )
    assert run(monkeypatch, "train", recipe, "--run-dir", tmp_path / "run") == 0
    assert "words: this model has never heard silence, noise" in capsys.readouterr().err
    settings = ("--set", "tasks.words.background=hiss", "--overwrite")
    assert run(monkeypatch, "train", recipe, "--run-dir", tmp_path / "run", *settings) == 0
    assert "never heard" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("tasks.tones.background=owl", "'owl' is no class of 'labels'"),
        ("tasks.tones.class_weights=inverse_frequency", "class_weights are for kind: single"),
        ("tasks.tones.kind=several", "single"),
        ("tasks.tones.best=recall", "map"),
        ("tasks.tones.focal=-1", "tasks.tones.focal"),
        ("tasks.tones.label=label", "no column 'label'"),
    ],
)
def test_settings_that_cannot_be(
    setting: str,
    message: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "train", trained / "recipe.yaml", "--run-dir", tmp_path / "r", "--set", setting) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r/metrics.jsonl").exists()


@pytest.mark.parametrize("key", ["focal=1", "positive_weights=inverse_frequency"])
def test_what_is_for_multi_label_tasks_alone(
    key: str, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--set", "tasks.tones.kind=single", "--set", f"tasks.tones.{key}")
    assert run(monkeypatch, "train", trained / "recipe.yaml", "--dry-run", *settings) == 2
    assert "for kind: multilabel" in capsys.readouterr().err


def test_noise_takes_the_place_of_background_in_training(trained: Path, tmp_path: Path) -> None:
    """Rows of the background class, or of no class, are noise; the others are what they were."""
    settings = ["augmentation.noise_as_background=0.999999", "augmentation.noise_colours=[white, brown]"]
    recipe = load_recipe(trained / "recipe.yaml", settings)
    data = build_training_data(recipe)
    batch = data.batches(0)
    assert batch.is_background is not None
    named = batch.targets["tones"][:, [0, 2]].any(1)
    assert batch.is_background.tolist() == (~named).tolist()
    plain = to_waveform(batch, torch.device("cpu"))
    changed = (to_waveform(batch, torch.device("cpu"), build_augmentation(recipe)) != plain).any(1)
    assert changed.tolist() == batch.is_background.tolist()


def test_noise_as_background_needs_one(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("tasks.tones={manifest: x.csv}", "augmentation.noise_as_background=0.2")
    assert run(monkeypatch, "train", trained / "recipe.yaml", *(a for s in settings for a in ("--set", s))) == 2
    assert "needs a task with background" in capsys.readouterr().err


def test_a_report_of_a_multi_label_task(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = copy.parent / "report.html"
    assert run(monkeypatch, "thresholds", copy) == 0
    assert run(monkeypatch, "report", copy, "--out", page) == 0
    text = page.read_text()
    assert "mean average precision" in text
    assert 'id="confusion-tones"' not in text
    assert "Precision against recall of 3 classes" in text
    assert "at the threshold" in text


def test_tasks_of_both_kinds_share_a_model(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = f"tasks.one={{manifest: {trained / 'manifest.csv'}, label: labels}}"
    folder = tmp_path / "run"
    settings = ("--set", other, "--set", "training.steps=20")
    assert run(monkeypatch, "train", trained / "recipe.yaml", "--run-dir", folder, *settings) == 0
    line = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["measures"] == {"tones": "map", "one": "accuracy"}
    capsys.readouterr()
    assert run(monkeypatch, "eval", folder, "--split", "valid", "--json", "-") == 0
    tasks = json.loads(capsys.readouterr().out)["tasks"]
    assert (tasks["tones"]["n_files"], tasks["one"]["n_files"]) == (12, 10)  # empty cells are no label of "one"
    assert (tasks["tones"]["kind"], tasks["one"]["kind"]) == ("multilabel", "single")
