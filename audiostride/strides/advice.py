"""What learned cut-offs mean for the next design: a front end with no more detail than the network keeps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audiostride.build import build_model, window_size
from audiostride.models.classifier import AudioClassifier
from audiostride.models.costs import window_layers
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint
from audiostride.strides.cutoffs import StrideReading, read_strides
from audiostride.strides.recipes import change_recipe, integer_recipe


@dataclass(frozen=True)
class Suggestion:
    """A change of the recipe, and the multiply-adds of a window with it."""

    what: str
    n_macs: int
    recipe: Recipe


@dataclass(frozen=True)
class Advice:
    """Of a run: what its first block keeps, and what that suggests.

    `kept_hz` and `kept_cycles_per_band` are where the first block's ramps end: nothing above reaches what follows. They
    are None where the first block does not filter: then everything reaches what follows, and hop or mel bands stay.
    `front_ends` are those that are coarser, the coarsest last. `integers` are strided convolutions with the nearest
    integers, which let everything fold; None where the run has strided convolutions.
    """

    n_macs: int
    kept_hz: float | None
    kept_cycles_per_band: float | None
    hop_length: int
    n_mels: int
    front_ends: tuple[Suggestion, ...]
    integers: Suggestion | None

    @property
    def recipe(self) -> Recipe | None:
        """Give the recipe without all that the front end can leave out, with the strides of the run as the start.

        None if there is nothing to leave out.
        """
        return self.front_ends[-1].recipe if self.front_ends else None

    @property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """Give all changes."""
        return self.front_ends if self.integers is None else (*self.front_ends, self.integers)

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        values = {key: value for key, value in vars(self).items() if key not in ("front_ends", "integers")}
        return values | {"suggestions": [{"what": s.what, "n_macs": s.n_macs} for s in self.suggestions]}


def count_window_macs(model: AudioClassifier, n_window: int) -> int:
    """Multiply-adds of the layers for one window, the front end left out."""
    return sum(layer.n_macs for layer in window_layers(model.eval(), n_window))


def _kept(readings: Sequence[StrideReading], axis: str) -> float | None:
    """Give the end of the first block's ramp, at most half the rate there; None if the block does not filter."""
    first = next(reading for reading in readings if reading.axis == axis)
    return None if first.ramp_end is None else min(first.ramp_end, first.half_rate)


def _with_first_stride(strides: Sequence[float], factor: float) -> list[float]:
    """Give strides for a front end that is coarser by `factor`: the first block then has so much less to do."""
    return [max(1.0, strides[0] / factor), *(max(1.0, stride) for stride in strides[1:])]


def _coarser(recipe: Recipe, learned: dict[str, list[float]], hop_length: int, n_mels: int) -> Recipe:
    strides = {
        "stride_time": _with_first_stride(learned["time"], hop_length / recipe.frontend.hop_length),
        "stride_frequency": _with_first_stride(learned["frequency"], recipe.frontend.n_mels / n_mels),
    }
    return change_recipe(recipe, {**strides, "shared": False}, {"hop_length": hop_length, "n_mels": n_mels})


def _hop_length(recipe: Recipe, kept_hz: float | None) -> int:
    """Give the longest hop that keeps `kept_hz`, never shorter than it is."""
    frontend = recipe.frontend
    if kept_hz is None:
        return frontend.hop_length
    longest = max(frontend.win_length, frontend.hop_length)  # beyond, windows of the front end leave gaps
    return min(longest, max(frontend.hop_length, math.floor(frontend.sample_rate / (2 * kept_hz))))


def _n_mels(recipe: Recipe, kept_cycles_per_band: float | None) -> int:
    """Give the fewest mel bands that keep `kept_cycles_per_band`, never more than there are."""
    n_mels = recipe.frontend.n_mels
    return n_mels if kept_cycles_per_band is None else min(n_mels, math.ceil(2 * kept_cycles_per_band * n_mels))


def _changes(recipe: Recipe, hop_length: int, n_mels: int) -> str:
    """Name what another front end changes."""
    changed = {
        f"hop length {hop_length}": hop_length != recipe.frontend.hop_length,
        f"{n_mels} mel bands": n_mels != recipe.frontend.n_mels,
    }
    return " and ".join(what for what, is_changed in changed.items() if is_changed)


def advise(checkpoint: Checkpoint) -> Advice:
    """Translate the strides of a run into a hop length, a number of mel bands and integer strides.

    A hop that samples modulations up to the end of the first block's ramp twice per period keeps all of them; so for
    mel bands. What was learned at the finer resolution is the start of the suggested recipe, whose first strides
    shrink by as much as the front end got coarser. Changes that would change nothing are left out.
    """
    recipe = checkpoint.recipe
    readings = read_strides(checkpoint.model, window_size(recipe))
    kept_hz, kept_bands = _kept(readings, "time"), _kept(readings, "frequency")
    hop_length, n_mels = _hop_length(recipe, kept_hz), _n_mels(recipe, kept_bands)
    learned = checkpoint.model.strided_backbone.strides_by_axis()
    n_window = window_size(recipe)

    def suggest(what: str, new: Recipe) -> Suggestion:
        return Suggestion(what, count_window_macs(build_model(new, checkpoint.classes), n_window), new)

    front_ends = ((hop_length, recipe.frontend.n_mels), (recipe.frontend.hop_length, n_mels), (hop_length, n_mels))
    in_use = (recipe.frontend.hop_length, recipe.frontend.n_mels)
    coarser = [sizes for sizes in dict.fromkeys(front_ends) if sizes != in_use]
    is_strided = recipe.model.downsampling == "strided_conv"
    return Advice(
        count_window_macs(checkpoint.model, n_window),
        kept_hz,
        kept_bands,
        hop_length,
        n_mels,
        tuple(suggest(_changes(recipe, *sizes), _coarser(recipe, learned, *sizes)) for sizes in coarser),
        None
        if is_strided
        else suggest("strided convolutions, nearest integers: all folds", integer_recipe(checkpoint)),
    )
