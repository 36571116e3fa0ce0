"""The section of a recipe on training."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from audiostride.recipe.section import Count, LearningRate, NonNegative, Positive, Section
from audiostride.vocabulary import DECAY_FACTOR, MOMENTUM, BatchNormKind, OptimizerKind, Schedule

MAX_STEP = 10**12


def _decay_steps(value: object) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and all(type(step) is int and 1 <= step <= MAX_STEP for step in value):
        steps = tuple(int(step) for step in value)
        if all(earlier < later for earlier, later in pairwise(steps)):
            return steps
    raise ValueError(f"got {value!r}, expected a list of steps in ascending order, as in [3000, 6000]")


DecaySteps = Annotated[tuple[int, ...], BeforeValidator(_decay_steps)]


class Training(Section):
    """Steps, learning rates and what is logged when."""

    steps: Count = 1_000_000
    batch_size: Annotated[int, Field(ge=1, le=2**20)] = 256
    learning_rate: LearningRate = 1e-4
    stride_learning_rate: LearningRate | None = None
    optimizer: OptimizerKind = "adam"
    momentum: Annotated[float, Field(ge=0, lt=1)] = MOMENTUM
    weight_decay: NonNegative = 0.0
    schedule: Schedule = "constant"
    warmup_steps: Annotated[int, Field(ge=0, le=MAX_STEP)] = 0
    decay_steps: DecaySteps = ()
    decay_factor: Annotated[float, Field(gt=0, lt=1)] = DECAY_FACTOR
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    complexity_weight: NonNegative = 0.0
    gradient_clip: Positive | None = None
    accumulate: Count = 1
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    precision: Literal["fp64", "fp32", "bf16"] = "fp32"
    compile: bool = False
    validate_every: Count = 5000
    early_stop_after: Count | None = None
    log_every: Count = 100
    batch_norm: BatchNormKind = "synchronised"
    batch_norm_batches: Annotated[int, Field(ge=0)] = 20
    freeze_trunk: bool = False

    @model_validator(mode="after")
    def _check(self) -> "Training":
        if self.optimizer != "sgd" and self.momentum != MOMENTUM:
            raise ValueError(f"momentum={self.momentum:g} is of optimizer: sgd, not of {self.optimizer}")
        if (self.schedule == "step") != bool(self.decay_steps):
            raise ValueError("decay_steps and schedule: step need each other, as in decay_steps: [3000, 6000]")
        if self.schedule != "step" and self.decay_factor != DECAY_FACTOR:
            raise ValueError(f"decay_factor={self.decay_factor:g} is of schedule: step, not of {self.schedule}")
        if self.schedule == "one_cycle" and self.warmup_steps:
            raise ValueError(f"warmup_steps={self.warmup_steps}: schedule: one_cycle has a warm-up of its own")
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"accumulate={self.accumulate} exceeds batch_size={self.batch_size}: every part needs a row"
            )
        return self
