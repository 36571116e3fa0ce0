"""What learned cut-offs mean for the next design: a front end with no more detail than the network keeps."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from audiostride.build import build_model, window_size
from audiostride.models.classifier import AudioClassifier
from audiostride.models.costs import window_layers
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint
from audiostride.strides.cutoffs import StrideReading, read_strides
from audiostride.strides.recipes import change_recipe, integer_recipe, nearest_integers


@dataclass(frozen=True)
class Suggestion:
    """A change of the recipe, and the multiply-adds of a window with it."""

    what: str
    n_macs: int
    recipe: Recipe


@dataclass(frozen=True)
class Advice:
    """Of a run: what its first block keeps, and what that suggests.

    `kept_hz` and `kept_cycles_per_band` are where the first block's ramps end: nothing above reaches what follows.
    """

    n_macs: int
    kept_hz: float
    kept_cycles_per_band: float
    hop_length: int
    n_mels: int
    suggestions: tuple[Suggestion, ...]

    @property
    def recipe(self) -> Recipe:
        """Give the recipe without all that the front end can leave out, the learned strides as the start."""
        return self.suggestions[-1].recipe

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        values = asdict(self)
        values["suggestions"] = [{"what": s.what, "n_macs": s.n_macs} for s in self.suggestions]
        return values


def count_window_macs(model: AudioClassifier, n_window: int) -> int:
    """Multiply-adds of the layers for one window, the front end left out."""
    return sum(layer.n_macs for layer in window_layers(model.eval(), n_window))


def _untrained(recipe: Recipe, checkpoint: Checkpoint) -> AudioClassifier:
    with torch.random.fork_rng(devices=[]):
        return build_model(recipe, checkpoint.classes)


def _kept(readings: Sequence[StrideReading], axis: str) -> float:
    """Give the end of the first block's ramp, at most half the rate there; of a strided convolution its cut-off."""
    first = next(reading for reading in readings if reading.axis == axis)
    return first.cutoff if first.ramp_end is None else min(first.ramp_end, first.half_rate)


def _with_first_stride(strides: Sequence[float], factor: float) -> list[float]:
    """Give strides for a front end that is coarser by `factor`: the first block then has so much less to do."""
    return [max(1.0, strides[0] / factor), *(max(1.0, stride) for stride in strides[1:])]


def _coarser(recipe: Recipe, learned: dict[str, list[float]], hop_length: int, n_mels: int) -> Recipe:
    strides = {
        "stride_time": _with_first_stride(learned["time"], hop_length / recipe.frontend.hop_length),
        "stride_frequency": _with_first_stride(learned["frequency"], recipe.frontend.n_mels / n_mels),
    }
    if recipe.model.downsampling == "strided_conv":
        strides = {axis: nearest_integers(values) for axis, values in strides.items()}
    return change_recipe(recipe, {**strides, "shared": False}, {"hop_length": hop_length, "n_mels": n_mels})


def advise(checkpoint: Checkpoint) -> Advice:
    """Translate the strides of a run into a hop length, a number of mel bands and integer strides.

    A hop that samples modulations up to the end of the first block's ramp twice per period keeps all of them; so for
    mel bands. What was learned at the finer resolution is the start of the suggested recipe, whose first strides
    shrink by as much as the front end got coarser; strides of strided convolutions are rounded.
    """
    recipe = checkpoint.recipe
    readings = read_strides(checkpoint.model, window_size(recipe))
    kept_hz, kept_bands = _kept(readings, "time"), _kept(readings, "frequency")
    sample_rate = recipe.frontend.sample_rate
    # never finer than it is, nor so coarse that windows of the front end leave gaps
    longest = max(recipe.frontend.win_length, recipe.frontend.hop_length)
    hop_length = min(longest, max(recipe.frontend.hop_length, math.floor(sample_rate / (2 * kept_hz))))
    n_mels = min(recipe.frontend.n_mels, math.ceil(2 * kept_bands * recipe.frontend.n_mels))
    learned = checkpoint.model.strided_backbone.strides_by_axis()
    wanted = (
        (f"hop length {hop_length}", _coarser(recipe, learned, hop_length, recipe.frontend.n_mels)),
        (f"{n_mels} mel bands", _coarser(recipe, learned, recipe.frontend.hop_length, n_mels)),
        ("nearest integer strides in strided convolutions", integer_recipe(checkpoint)),
        (f"hop length {hop_length} and {n_mels} mel bands", _coarser(recipe, learned, hop_length, n_mels)),
    )
    n_window = window_size(recipe)
    suggestions = tuple(
        Suggestion(what, count_window_macs(_untrained(new, checkpoint), n_window), new) for what, new in wanted
    )
    n_macs = count_window_macs(checkpoint.model, n_window)
    return Advice(n_macs, kept_hz, kept_bands, hop_length, n_mels, suggestions)
