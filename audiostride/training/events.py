"""What happens in a training run, in the order in which it happens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from audiostride.evaluation.calibration import Calibration
from audiostride.vocabulary import Measure


@dataclass(frozen=True)
class Started:
    """The data are ready; `first_step` steps of `n_steps` were done before."""

    first_step: int
    n_steps: int
    n_validation_clips: int
    device: torch.device
    note: str | None  # on recordings left out, splits unused, steps changed
    trivial: Mapping[str, tuple[str, float]]  # per task, what always answers the same, and the score that it reaches
    measures: Mapping[str, Measure]  # per task, by which the best checkpoint is chosen
    unheard: tuple[str, ...] = ()  # tasks whose training clips all hold one of their classes: no silence, no noise


@dataclass(frozen=True)
class StepDone:
    """One optimiser step; `step` counts from 1. Losses and accuracies are 0-d tensors, per task.

    `gradient_norm` is that of the gradients of all parameters together, before they are clipped, a 0-d tensor.
    """

    step: int
    losses: Mapping[str, Tensor]
    accuracy: Mapping[str, Tensor]
    seconds: float
    waited_s: float  # of these seconds, for data
    gradient_norm: Tensor


@dataclass(frozen=True)
class Logged:
    """A line of the log."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Validated:
    """What every task reaches by its measure on the validation clips after `step`; empty without such clips.

    `losses` are those of training, of the mean logits of every clip.
    """

    step: int
    scores: Mapping[str, float]
    losses: Mapping[str, float]


@dataclass(frozen=True)
class Calibrated:
    """All steps are done, and these are the temperatures of the best checkpoint, per task with validation clips."""

    tasks: dict[str, Calibration]


@dataclass(frozen=True)
class Stopped:
    """The end: all steps done, or as many validations without a new best as the recipe allows, or interrupted."""

    step: int
    finished: bool
    early: bool = False  # finished before all steps were done


TrainingEvent = Started | StepDone | Logged | Calibrated | Stopped  # what a run tells; `Validated` is the loop's
