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
    """Number of training steps, each on one batch. Small data of your own need 500 to 5000; more steps with `--resume`
    go on where a run ended."""
    batch_size: Annotated[int, Field(ge=1, le=2**20)] = 256
    """Windows in a batch, over all tasks. 32 fits a CPU. Where memory ends, raise `accumulate`."""
    learning_rate: LearningRate = 1e-4
    """Learning rate of the weights at its highest. 3e-3 with `schedule: cosine` suits short runs of `adam`. Lower it
    where the loss jumps."""
    stride_learning_rate: LearningRate | None = None
    """Learning rate of the strides; by default that of the weights. The width of a ramp learns at four times this rate,
    on a logarithmic scale. 5e-3 moves strides within a few hundred steps."""
    optimizer: OptimizerKind = "adam"
    """How gradients move the weights. `adamw` is the choice with `weight_decay`; `sgd` needs a rate about a hundred
    times higher."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = MOMENTUM
    """Momentum of `sgd`: the share of the last step that the next one keeps."""
    weight_decay: NonNegative = 0.0
    """How much the weights of convolutions and linear layers shrink. Strides, ramps, batch norms and biases never do.
    1e-2 is usual for `adamw`, 1e-4 for `sgd`."""
    schedule: Schedule = "constant"
    """How the learning rates change over the run: `constant`, `cosine` (falls to 0), `step` (falls at `decay_steps`) or
    `one_cycle` (rises for 30 % of the steps, then falls)."""
    warmup_steps: Annotated[int, Field(ge=0, le=MAX_STEP)] = 0
    """Steps in which the learning rates rise evenly from 0 first. Try 100 where the first steps diverge. `one_cycle`
    has a warm-up of its own."""
    decay_steps: DecaySteps = ()
    """Steps after which the learning rates fall, in ascending order, as in [3000, 6000]. They are for `schedule:
    step`."""
    decay_factor: Annotated[float, Field(gt=0, lt=1)] = DECAY_FACTOR
    """Factor of the learning rates at each of `decay_steps`."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread over all classes. 0.1 is usual where labels are doubtful."""
    complexity_weight: NonNegative = 0.0
    """Weight of the regulariser that makes strides grow and so trades accuracy for compute. 0 is off; compare runs with
    `--grid training.complexity_weight=0,1`."""
    gradient_clip: Positive | None = None
    """Largest norm of the gradient of all weights; longer ones are scaled down. By default none is. Try 1 where the
    loss jumps."""
    accumulate: Count = 1
    """Parts that a batch is divided into, one after another, so that memory holds the maps of one part. Batch norms see
    the parts."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of a moving average of the weights, as in 0.999, that is validated, saved and used in their place. 0 is
    off."""
    precision: Literal["fp64", "fp32", "bf16"] = "fp32"
    """Numbers of the forward pass. `bf16` is meant for recent GPUs; what it saves there has not been measured yet. On a
    CPU leave `fp32`. `fp64` is slow: take it to compare runs beyond rounding; its checkpoints are in single
    precision."""
    compile: bool = False
    """Whether `torch.compile` translates the ReLUs and batch norms of the backbone first. On one GPU whole steps are
    also recorded as CUDA graphs. It is meant for long runs on a GPU; what it saves there has not been measured yet."""
    validate_every: Count = 5000
    """Steps from a validation to the next. Each may find a new best checkpoint. A tenth to a fourth of `steps` is
    usual."""
    early_stop_after: Count | None = None
    """Number of validations without a new best after which the run ends. By default it runs all `steps`."""
    log_every: Count = 100
    """Steps from a line of the log to the next."""
    batch_norm: BatchNormKind = "synchronised"
    """Whose rows a batch norm sees where `torchrun` starts several processes: `synchronised`, those of all of them, so
    that the result is that of one process; `local`, those of its own, which sends fewer messages."""
    batch_norm_batches: Annotated[int, Field(ge=0)] = 20
    """Training batches on which the statistics of batch norms are estimated anew before each validation. 0 keeps the
    running ones, which lag behind strides that move."""
    freeze_trunk: bool = False
    """Whether the heads alone are trained, on the network of `init_from`. Take it where there are only few clips."""

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
