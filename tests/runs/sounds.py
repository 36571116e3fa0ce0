"""A model that hears how loud it is, and recordings to annotate."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf

from audiostride.data.audio import Waveform
from audiostride.evaluation.traits import Traits
from audiostride.prediction.model import Logits
from audiostride.recipe.schema import Recipe
from audiostride.runs.scoring import Subject

RATE = 1000
LEVELS = {"none": 0.0, "soft": 0.25, "loud": 0.5}  # of the samples


class Loudness:
    """The probability of a class is the share of the window that has its level (`WindowModel`)."""

    path, sample_rate, n_window, min_window, takes_any_window = Path("loudness"), RATE, RATE, 1, True

    def __init__(self, thresholds: Mapping[str, float] | None = None, background: str | None = "none") -> None:
        self.classes: Mapping[str, tuple[str, ...]] = {"level": tuple(LEVELS)}
        self.temperatures: Mapping[str, float] = {"level": 1.0}
        self.traits: Mapping[str, Traits] = {"level": Traits("single", background, thresholds or {})}

    def logits(self, windows: Waveform) -> dict[str, Logits]:
        """Give the logarithms of the shares."""
        shares = np.stack([(np.abs(windows - level) < 0.01).mean(axis=1) for level in LEVELS.values()], axis=1)
        return {"level": np.log(shares + 1e-9).astype(np.float32)}


def subject(model: Loudness | None = None, manifest: Path | str = "none.csv", *, is_exported: bool = False) -> Subject:
    """The model as something to score."""
    recipe = Recipe.model_validate({"tasks": {"level": {"manifest": str(manifest)}}})
    return Subject(model or Loudness(), recipe, {}, knows_manifests=not is_exported)


def record(path: Path, duration_s: float, sounds: Sequence[tuple[float, float, str]]) -> Path:
    """Write a recording with sounds: start and end in seconds, and level."""
    samples = np.zeros(round(duration_s * RATE))
    for start_s, end_s, name in sounds:
        samples[round(start_s * RATE) : round(end_s * RATE)] = LEVELS[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, RATE, subtype="PCM_16")
    return path


def track(path: Path, *labels: tuple[float, float, str]) -> Path:
    """Write a label track of Audacity."""
    path.write_text("".join(f"{start_s}\t{end_s}\t{name}\n" for start_s, end_s, name in labels))
    return path
