"""A tiny corpus: tones of three pitches over noise, in all three splits."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.data.manifest import Clip, write_manifest

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
