"""How the learning rates change over a run: a pure function of the step, so that a resumed run has the same rates."""

import math
from bisect import bisect_right
from dataclasses import dataclass

from audiostride.vocabulary import DECAY_FACTOR, Schedule

# as torch.optim.lr_scheduler.OneCycleLR
RISE_SHARE = 0.3  # of the steps, in which the rate rises
RISE_FROM = 1 / 25
FALL_TO = RISE_FROM / 1e4


@dataclass(frozen=True)
class RateSchedule:
    """The factor of all learning rates in every step.

    Args:
        kind: "constant"; "cosine", half a wave from 1 to 0; "step", `decay_factor` times less at each of `decay_steps`;
            "one_cycle", from 1/25 to 1 in the first 30 % of the steps, then to 4e-6, each in half a wave.
        warmup_steps: steps in which the factor rises evenly from 0 to 1 first. A cosine begins after them.
        decay_steps: steps after which the rate falls, in ascending order.
        decay_factor: by which the rate is multiplied there.

    Reference:
        Smith and Topin, "Super-convergence", 2018, with the defaults of torch's `OneCycleLR`; momentum stays as it is.

    >>> schedule = RateSchedule("step", warmup_steps=2, decay_steps=(4,))
    >>> [schedule.factor(step, n_steps=6) for step in range(6)]
    [0.5, 1.0, 1.0, 1.0, 0.1, 0.1]
    """

    kind: Schedule = "constant"
    warmup_steps: int = 0
    decay_steps: tuple[int, ...] = ()
    decay_factor: float = DECAY_FACTOR

    def factor(self, step: int, n_steps: int) -> float:
        """Compute the factor in the step after `step` others, of `n_steps` in all."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.kind == "cosine":
            return _half_wave(1.0, 0.0, (step - self.warmup_steps) / (n_steps - self.warmup_steps))
        if self.kind == "step":
            return self.decay_factor ** bisect_right(self.decay_steps, step)
        if self.kind == "one_cycle":
            return _one_cycle(step, n_steps)
        return 1.0


def _half_wave(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def _one_cycle(step: int, n_steps: int) -> float:
    peak, last = RISE_SHARE * n_steps - 1, n_steps - 1
    if step <= peak:
        return _half_wave(RISE_FROM, 1.0, step / peak)
    return _half_wave(1.0, FALL_TO, (step - peak) / (last - peak))
