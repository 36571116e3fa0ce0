"""How long to train: steps that fit the time, measured on this machine."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from audiostride.build import build_model, window_size
from audiostride.data.batches import Batch
from audiostride.device import OUT_OF_MEMORY
from audiostride.recipe.schema import Recipe
from audiostride.training.dry_run import inspect_batch, kept_copies

N_VALIDATIONS = 5
FORWARD_SHARE = 0.35  # of a training step, that a batch of a validation takes
PASSES_MAX = 200  # over the training clips; more of them are learned by heart
FEWEST, ENOUGH, MOST = 50, 300, 50_000  # steps
MEMORY_SHARE = 0.5  # of the machine's
N_ROWS_CPU = 8  # measured in place of a batch, which takes that many times longer on a CPU


@dataclass(frozen=True)
class Pace:
    """What a step takes here, and whether a batch fits into the memory.

    Args:
        seconds_per_step: of training; infinite if the memory was not enough for one.
        peak_memory_bytes: of a step.
        memory_bytes: of the machine, 0 if it is not known.
    """

    seconds_per_step: float
    peak_memory_bytes: int
    memory_bytes: int

    @property
    def has_run(self) -> bool:
        """Tell whether the memory was enough for a step at all."""
        return self.seconds_per_step < math.inf

    @property
    def fits(self) -> bool:
        """Tell whether a batch fits into half of the memory."""
        return self.has_run and (not self.memory_bytes or self.peak_memory_bytes <= MEMORY_SHARE * self.memory_bytes)


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def measure_pace(recipe: Recipe, classes: Mapping[str, tuple[str, ...]], device: torch.device) -> Pace:
    """Run a few training steps on noise in place of recordings, which takes as long; on a CPU with a part of a batch.

    Args:
        recipe: whose model is trained.
        classes: of every task.
        device: to compute on.
    """
    batch_size = recipe.training.batch_size
    n_rows = batch_size if device.type != "cpu" else min(N_ROWS_CPU, batch_size)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(-3000, 3000, (n_rows, window_size(recipe)), generator=generator, dtype=torch.int16)
    targets = {
        name: torch.zeros(n_rows, len(names))
        if recipe.tasks[name].kind == "multilabel"
        else torch.arange(n_rows) % len(names)
        for name, names in classes.items()
    }
    try:
        cost = inspect_batch(
            build_model(recipe, classes).to(device),
            Batch(noise, targets, [n_rows]),
            device,
            n_parts=min(recipe.training.accumulate, n_rows),
            n_copies=kept_copies(recipe.training),
        )
    except OUT_OF_MEMORY:
        return Pace(math.inf, _memory(device), _memory(device))
    factor = batch_size / n_rows
    return Pace(factor * cost.seconds_per_step, round(factor * cost.peak_memory_bytes), _memory(device))


@dataclass(frozen=True)
class Schedule:
    """How many steps, of which every so many a validation follows, and what that takes in seconds."""

    steps: int
    validate_every: int
    seconds: float
    is_enough: bool  # the steps are as many as the data are worth, not as few as the time allows


def plan_steps(
    seconds: float, seconds_per_step: float, *, batch_size: int, n_windows: float, n_valid_windows: float
) -> Schedule:
    """Fit steps and validations into a time.

    Args:
        seconds: that the training may take.
        seconds_per_step: measured.
        batch_size: windows in a batch.
        n_windows: that the training clips fill.
        n_valid_windows: that the validation clips fill.

    >>> plan_steps(600, 0.25, batch_size=32, n_windows=1000, n_valid_windows=100).steps
    2300
    """
    n_batches = min(n_windows / batch_size, 20) + n_valid_windows / batch_size  # statistics of batch norms, validation
    validations = N_VALIDATIONS * n_batches * FORWARD_SHARE * seconds_per_step
    affordable = (seconds - validations) / seconds_per_step if seconds_per_step < math.inf else 0.0
    worth = max(ENOUGH, PASSES_MAX * n_windows / batch_size)
    exact = max(FEWEST, min(affordable, worth, MOST))
    digit = 10 ** max(1, len(str(int(exact))) - 2)  # the second one of a long number
    steps = int(exact // digit * digit)
    every = max(1, steps // N_VALIDATIONS)
    return Schedule(steps, every, steps * seconds_per_step + validations, is_enough=affordable >= worth)
