"""What the attempts damage: a few recordings, a manifest, a recipe, a run and its ONNX model, all tiny."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from audiostride.data.manifest import Clip, write_manifest

FREQUENCIES_HZ = {"low": 300, "high": 2700}
RECIPE = """\
tasks:
  tone: {{manifest: {manifest}, label: label}}
  place: {{manifest: {manifest}, label: place, weight: 0.5}}
data: {{cache_dir: {cache}, window_s: 0.5, n_workers: 1}}
frontend: {{normalization: standard, n_mels: 32}}
model: {{width: 0.05, ramp: folded, dropout: 0.1}}
augmentation: {{time_shift_s: 0.05, noise_snr_db: [5, 30]}}
training:
  steps: 6
  batch_size: 4
  learning_rate: 0.003
  stride_learning_rate: 0.02
  validate_every: 2
  log_every: 1
  batch_norm_batches: 1
"""


@dataclass(frozen=True)
class Materials:
    """Where everything lies."""

    folder: Path

    @property
    def manifest(self) -> Path:
        return self.folder / "corpus/manifest.csv"

    @property
    def recipe(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def checkpoint(self) -> Path:
        return self.run / "checkpoints/best.safetensors"

    @property
    def onnx(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def clip(self) -> Path:
        return self.folder / "corpus/low_test0.wav"


def _write_corpus(manifest: Path) -> None:
    manifest.parent.mkdir()
    rng = np.random.default_rng(0)
    clips = []
    for split, n_clips in {"train": 3, "valid": 2, "test": 2}.items():
        for label, frequency_hz in FREQUENCIES_HZ.items():
            for i in range(n_clips):
                t = np.arange(int(16000 * rng.uniform(0.4, 1.2))) / 16000
                path = manifest.parent / f"{label}_{split}{i}.wav"
                sf.write(path, 0.3 * np.sin(2 * np.pi * frequency_hz * t) + 0.01 * rng.standard_normal(len(t)), 16000)
                clips.append(Clip(path, split, {"label": label, "place": ("near", "far")[i % 2]}))
    write_manifest(manifest, clips)


def make_materials(folder: Path) -> Materials:
    """Render the recordings and make the models, as they are initialised."""
    from audiostride.build import build_model
    from audiostride.evaluation.calibration import Calibration
    from audiostride.export.run import export_run
    from audiostride.recipe.reader import load_recipe
    from audiostride.runs.checkpoint import load_run, save_checkpoint

    materials = Materials(folder)
    _write_corpus(materials.manifest)
    materials.recipe.write_text(RECIPE.format(manifest=materials.manifest, cache=folder / "cache"))
    nowhere = [f"tasks.{task}.manifest=/nowhere/manifest.csv" for task in ("tone", "place")]
    recipe = load_recipe(materials.recipe, [*nowhere, "data.cache_dir=null"])  # the same bytes wherever the folder is
    classes = {"tone": ("high", "low"), "place": ("far", "near")}
    materials.checkpoint.parent.mkdir(parents=True)
    (materials.run / "recipe.yaml").write_text(materials.recipe.read_text())
    calibration = {"tone": Calibration(1.5, 0.2, 0.1, 10)}
    model = build_model(recipe, classes)
    save_checkpoint(
        materials.checkpoint, model, recipe, classes, step=6, validation={"tone": 0.5}, calibration=calibration
    )
    export_run(load_run(materials.run), materials.onnx)
    return materials
