"""What a trained run costs: computed from its model, and read from the log of its training."""

import copy
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import torch

from audiostride.build import window_size
from audiostride.models.costs import peak_bytes, window_layers
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.folder import RunFolder
from audiostride.training.step import forward_backward

SMALL_BATCHES = (16, 32)


@dataclass(frozen=True)
class RunCost:
    """Of one run.

    Attributes:
        macs: multiply-adds of one window, forward.
        last_map: bands and frames of the last map.
        n_parameters: of the whole model.
        windows_per_s: median over the log of the training, on the machine that it ran on; None without a log.
        step_s: seconds of a training step at that speed.
        peak_bytes: the most memory of a training step of the recipe's batch without the optimiser, beyond the weights.
    """

    macs: int
    last_map: tuple[int, int]
    n_parameters: int
    windows_per_s: float | None
    step_s: float | None
    peak_bytes: int


def measure_cost(checkpoint: Checkpoint) -> RunCost:
    """Run one silent window through the model, and one silent batch forward and backward, on the model's device."""
    model, recipe = checkpoint.model, checkpoint.recipe
    device = model.device
    layers = window_layers(model, window_size(recipe))
    maps = [layer.output_shape for layer in layers if len(layer.output_shape) == 3]
    speed = _windows_per_s(checkpoint.path)
    return RunCost(
        macs=sum(layer.n_macs for layer in layers),
        last_map=(maps[-1][1], maps[-1][2]),
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        windows_per_s=speed,
        step_s=None if speed is None else recipe.training.batch_size / speed,
        peak_bytes=_training_bytes(checkpoint, device),
    )


def _windows_per_s(path: Path) -> float | None:
    """Read the speed of the training from the log of the run."""
    run = RunFolder.of_checkpoint(path)
    values = [] if run is None else [line.get("windows_per_s") for line in run.read_metrics()]
    speeds = [value for value in values if isinstance(value, float) and value > 0]
    return statistics.median(speeds) if speeds else None


def _training_bytes(checkpoint: Checkpoint, device: torch.device) -> int:
    """Measure the memory of a step; on a CPU two small batches tell, since memory grows equally with every window."""
    n_rows = math.ceil(checkpoint.recipe.training.batch_size / checkpoint.recipe.training.accumulate)
    small, large = SMALL_BATCHES
    if device.type != "cpu" or n_rows <= large:
        return _measured_bytes(checkpoint, n_rows, device)
    of_small, of_large = (_measured_bytes(checkpoint, n, device) for n in SMALL_BATCHES)
    return of_large + (of_large - of_small) * (n_rows - large) // (large - small)


def _measured_bytes(checkpoint: Checkpoint, n_rows: int, device: torch.device) -> int:
    recipe = checkpoint.recipe
    model = copy.deepcopy(checkpoint.model).train()  # its batch-norm statistics move
    if recipe.training.freeze_trunk:
        model.backbone.requires_grad_(requires_grad=False).eval()
    waveform = torch.zeros(n_rows, window_size(recipe), device=device)
    target = torch.zeros(n_rows, dtype=torch.int64)

    def step() -> None:
        bf16 = recipe.training.precision == "bf16"
        forward_backward(model, waveform, dict.fromkeys(model.tasks, target), bf16=bf16)

    return peak_bytes(step, device)
