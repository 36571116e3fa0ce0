"""All that a run says about its strides: where they began, how they moved, what they keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audiostride.build import build_model, map_size, window_size
from audiostride.errors import UserError
from audiostride.evaluation.spread import Spread
from audiostride.models.layer_strides import LayerStride
from audiostride.models.protocol import require_strides
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.folder import RunFolder
from audiostride.strides.cutoffs import StrideReading, bands_per_octave, read_strides
from audiostride.strides.response import ChainResponse, chain_response
from audiostride.vocabulary import AxisName

AXES: tuple[AxisName, AxisName] = ("time", "frequency")

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StrideState:
    """The strides of a model, and what the layers pass, each and together, per axis."""

    readings: tuple[StrideReading, ...]  # of every block time, then frequency
    responses: Mapping[AxisName, ChainResponse]


@dataclass(frozen=True)
class StrideHistory:
    """Strides over training: `steps` `(line,)`, `strides` per axis `(line, block)`; empty if nothing was logged."""

    steps: npt.NDArray[np.int64]
    strides: Mapping[AxisName, Values]

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        return {"steps": self.steps.tolist(), **{axis: values.tolist() for axis, values in self.strides.items()}}


@dataclass(frozen=True)
class RunStrides:
    """Of one run: the strides that were learned and those that it began with."""

    run: Path
    checkpoint: Checkpoint
    learned: StrideState
    initial: StrideState
    history: StrideHistory
    bands_per_octave: float  # at 1 kHz, for cycles per octave
    stuck: Sequence[LayerStride]  # that are to be learned and have no gradient

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        return {
            "run": str(self.run),
            "downsampling": self.checkpoint.recipe.model.downsampling,
            "layers": [reading.as_dict() for reading in self.learned.readings],
            "response": {axis: response.as_dict() for axis, response in self.learned.responses.items()},
        }


def _state(checkpoint: Checkpoint, *, initial: bool) -> StrideState:
    recipe = checkpoint.recipe
    model, n_window = checkpoint.model, window_size(recipe)
    if initial:
        model = build_model(recipe, checkpoint.classes)
    readings = read_strides(model, n_window)
    responses = {axis: chain_response(model, readings, axis, n_window) for axis in AXES}
    return StrideState(tuple(sorted(readings, key=lambda r: (r.block, AXES.index(r.axis)))), responses)


def _logged_strides(line: Mapping[str, Any], n_blocks: int) -> bool:
    """Tell whether a line of the log holds a number for every block and axis."""
    strides = line.get("strides")
    rows = [strides.get(axis) for axis in AXES] if isinstance(strides, dict) else [None]
    return all(
        isinstance(row, list) and len(row) == n_blocks and all(isinstance(stride, int | float) for stride in row)
        for row in rows
    )


def read_history(run: Path, n_blocks: int) -> StrideHistory:
    """Give the strides of the log; of a checkpoint file there are none, and damaged lines are left out."""
    lines = [line for line in RunFolder(run).read_metrics() if _logged_strides(line, n_blocks)] if run.is_dir() else []
    strides: dict[AxisName, Values] = {axis: np.array([line["strides"][axis] for line in lines]) for axis in AXES}
    return StrideHistory(np.array([line["step"] for line in lines], np.int64), strides)


def run_strides(run: Path, checkpoint: Checkpoint) -> RunStrides:
    """Read the strides of a loaded run.

    Raises:
        UserError: its backbone has none.
    """
    try:
        backbone = require_strides(checkpoint.model.backbone)
    except UserError as error:
        raise UserError(f"{run}: {error}") from error
    return RunStrides(
        run,
        checkpoint,
        _state(checkpoint, initial=False),
        _state(checkpoint, initial=True),
        read_history(run, len(backbone.strides_by_axis()["time"])),
        bands_per_octave(checkpoint.model.frontend),
        backbone.stuck_strides(*map_size(checkpoint.recipe)),
    )


def group_summary(runs: Sequence[RunStrides]) -> list[dict[str, Any]]:
    """Give stride and cut-off of every layer: mean and standard deviation over the runs of one recipe."""
    summary = []
    for layers in zip(*(run.learned.readings for run in runs), strict=True):
        values: dict[str, Any] = {"block": layers[0].block, "axis": layers[0].axis, "n": len(layers)}
        for name in ("stride", "cutoff"):
            spread = Spread(tuple(getattr(layer, name) for layer in layers))
            values[name] = {"mean": spread.mean, "sd": spread.deviation or 0.0}
        summary.append(values)
    return summary
