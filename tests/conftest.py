"""A tiny corpus: tones of three pitches over noise, in all three splits."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiostride.data.manifest import Clip, write_manifest
from audiostride.recipe.reader import load_recipe
from audiostride.training.run import train_recipe

FREQUENCIES_HZ = {"low": 300, "mid": 900, "high": 2700}
N_CLIPS = {"train": 4, "valid": 2, "test": 2}  # of every class


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of the tiny corpus."""
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    clips = []
    for split, n_clips in N_CLIPS.items():
        for label, frequency_hz in FREQUENCIES_HZ.items():
            for i in range(n_clips):
                t = np.arange(int(16000 * rng.uniform(0.6, 2.4))) / 16000
                path = root / f"{label}_{split}{i}.wav"
                tone = 0.3 * np.sin(2 * np.pi * frequency_hz * rng.uniform(0.97, 1.03) * t)
                sf.write(path, tone + 0.01 * rng.standard_normal(len(t)), 16000)
                clips.append(Clip(path, split, {"label": label, "is_low": str(label == "low")}))
    write_manifest(root / "manifest.csv", clips)
    return root / "manifest.csv"


@pytest.fixture
def recipe_file(corpus: Path, tmp_path: Path) -> Path:
    """A recipe that trains on the tiny corpus in a second."""
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"""
tasks:
  tone: {{manifest: {corpus}}}
data: {{cache_dir: {tmp_path / "cache"}}}
frontend: {{normalization: standard}}
model: {{width: 0.06, ramp: inside, dropout: 0.1}}
training:
  steps: 6
  batch_size: 6
  learning_rate: 0.003
  stride_learning_rate: 0.02
  validate_every: 4
  log_every: 2
  batch_norm_batches: 2
"""
    )
    return path


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a tiny model of two tasks as it was initialised, one of them calibrated."""
    from audiostride.build import build_model
    from audiostride.evaluation.calibration import Calibration
    from audiostride.recipe.schema import Recipe
    from audiostride.runs.checkpoint import save_checkpoint
    from audiostride.runs.folder import RunFolder

    folder = tmp_path_factory.mktemp("untrained")
    settings = {
        "tasks": {"tone": {"manifest": "none.csv"}, "place": {"manifest": "none.csv"}},
        "model": {"width": 0.05, "ramp": "inside"},
        "frontend": {"normalization": "standard"},
        "training": {"steps": 1, "batch_size": 2, "learning_rate": 0.1},
    }
    recipe = Recipe.model_validate(settings)
    classes = {"tone": ("low", "mid", "high"), "place": ("near", "far")}
    (folder / "checkpoints").mkdir()
    calibration = {"tone": Calibration(0.1, 0.2, 0.1, 10)}
    model = build_model(recipe, classes)
    save_checkpoint(RunFolder(folder).best, model, recipe, classes, step=1, validation={}, calibration=calibration)
    RunFolder(folder).write_calibration(1, calibration)
    return folder


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings of several formats, rates and lengths, in folders with files of the same name."""
    folder = tmp_path_factory.mktemp("field")
    rng = np.random.default_rng(1)
    for i, (name, rate, seconds) in enumerate(
        [
            ("monday/rec.wav", 16000, 2.3),
            ("tuesday/rec.wav", 16000, 0.4),
            ("tuesday/rec.flac", 44100, 3.1),
            ("tuesday/night/long.ogg", 16000, 12.0),
            ("stereo.wav", 22050, 1.6),
        ]
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        t = np.arange(int(seconds * rate)) / rate
        sound = 0.3 * np.sin(2 * np.pi * 500 * (i + 1) * t**1.2) + 0.05 * rng.standard_normal(len(t))
        sf.write(folder / name, np.stack([sound, sound[::-1]], 1) if name == "stereo.wav" else sound, rate)
    return folder


@pytest.fixture(scope="session")
def trained_runs(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: `learned-0` and `learned-1` (two seeds), `strided`, `both` (two tasks, another front end).

    The learned ones begin with random strides. None is trained enough to be good.
    """
    folder = tmp_path_factory.mktemp("runs")
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"tasks: {{tone: {{manifest: {corpus}}}}}\n"
        f"data: {{cache_dir: {folder / 'cache'}}}\n"
        "frontend: {normalization: standard}\n"
        "model: {width: 0.06, ramp: inside}\n"
        "training: {steps: 4, batch_size: 6, learning_rate: 0.01, validate_every: 4, log_every: 2,\n"
        "  batch_norm_batches: 1}\n"
    )
    settings = {
        "learned-0": ["seed=0", "model.stride_time=random"],
        "learned-1": ["seed=1", "model.stride_time=random"],
        "strided": ["model.downsampling=strided_conv"],
        "both": [f"tasks.is_low={{manifest: {corpus}, label: is_low}}", "frontend.normalization=none"],
    }
    for name, overrides in settings.items():
        list(train_recipe(load_recipe(recipe, overrides), folder / name, torch.device("cpu")))
    return folder


@pytest.fixture(scope="session")
def folded_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a tiny corpus in three folds, whose column `split` says train everywhere."""
    root = tmp_path_factory.mktemp("folded")
    rng = np.random.default_rng(2)
    clips = []
    for fold in ("1", "2", "3"):
        for label, frequency_hz in FREQUENCIES_HZ.items():
            for i in range(2):
                t = np.arange(int(16000 * rng.uniform(0.6, 1.4))) / 16000
                path = root / f"{label}_fold{fold}_{i}.wav"
                tone = 0.3 * np.sin(2 * np.pi * frequency_hz * rng.uniform(0.97, 1.03) * t)
                sf.write(path, tone + 0.01 * rng.standard_normal(len(t)), 16000)
                clips.append(Clip(path, "train", {"label": label}, fold=fold))
    write_manifest(root / "manifest.csv", clips)
    return root / "manifest.csv"


@pytest.fixture
def folded_recipe(folded_corpus: Path, tmp_path: Path) -> Path:
    """A recipe that trains on the corpus in folds in a second."""
    path = tmp_path / "folded.yaml"
    path.write_text(
        f"tasks: {{tone: {{manifest: {folded_corpus}}}}}\n"
        f"data: {{cache_dir: {folded_corpus.parent / 'cache'}}}\n"
        "frontend: {normalization: standard}\n"
        "model: {width: 0.06, ramp: inside}\n"
        "training: {steps: 4, batch_size: 6, learning_rate: 0.01, validate_every: 2, log_every: 2,\n"
        "  batch_norm_batches: 1}\n"
    )
    return path
