"""Schedules are those of torch, and warm-up rises evenly before them."""

import pytest
import torch
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from audiostride.training.schedule import RateSchedule
from audiostride.vocabulary import Schedule

STEPS: list[int] = [1, 2, 3, 4, 10, 57]


def factors(schedule: RateSchedule, n_steps: int) -> list[float]:
    return [schedule.factor(step, n_steps) for step in range(n_steps)]


def rates_of_torch(kind: str, n_steps: int) -> list[float]:
    """The rates that a scheduler of torch gives an optimiser whose rate is 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler: LRScheduler
    if kind == "cosine":
        scheduler = lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    elif kind == "step":
        scheduler = lr_scheduler.MultiStepLR(optimizer, [2, 7], gamma=0.3)
    else:
        scheduler = lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=n_steps, cycle_momentum=False)
    rates = []
    for step in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < n_steps - 1:
            scheduler.step()
    return rates


@pytest.mark.parametrize("n_steps", STEPS)
@pytest.mark.parametrize("kind", ["cosine", "step", "one_cycle"])
def test_a_schedule_gives_the_rates_of_torch(kind: Schedule, n_steps: int) -> None:
    schedule = RateSchedule(kind, decay_steps=(2, 7), decay_factor=0.3)
    assert factors(schedule, n_steps) == pytest.approx(rates_of_torch(kind, n_steps), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", ["constant", "cosine"])
def test_warm_up_rises_evenly_and_the_schedule_comes_after_it(kind: Schedule) -> None:
    found = factors(RateSchedule(kind, warmup_steps=4), 10)
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, *factors(RateSchedule(kind), 6)])


def test_the_steps_of_a_decay_count_from_the_first_of_all() -> None:
    found = factors(RateSchedule("step", warmup_steps=2, decay_steps=(3, 5), decay_factor=0.5), 6)
    assert found == [0.5, 1.0, 1.0, 0.5, 0.5, 0.25]


def test_a_run_may_end_within_its_warm_up() -> None:
    assert factors(RateSchedule("cosine", warmup_steps=10), 3) == pytest.approx([0.1, 0.2, 0.3])
