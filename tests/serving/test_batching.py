"""Windows that wait share a batch, each gets its own row, and who gave up costs nothing."""

from pathlib import Path
from threading import Event

import numpy as np
import pytest

from audiostride.evaluation.traits import Traits
from audiostride.serving.batching import Batcher, Job


class Echo:
    """Tells of each window its first sample; waits before the first batch."""

    path, sample_rate, n_window, min_window, takes_any_window = Path("echo"), 8, 8, 8, False
    classes, temperatures, traits = {"first": ("value",)}, {"first": 1.0}, {"first": Traits()}

    def __init__(self) -> None:
        self.begun, self.may = Event(), Event()
        self.sizes: list[int] = []

    def logits(self, windows: np.ndarray) -> dict[str, np.ndarray]:
        self.begun.set()
        assert self.may.wait(30)
        self.sizes.append(len(windows))
        return {"first": windows[:, :1]}


def window(value: int) -> np.ndarray:
    return np.full(8, value, np.float32)


def test_what_waits_shares_a_batch() -> None:
    model, job, gone = Echo(), Job(30), Job(30)
    batcher = Batcher(model)
    first = batcher.submit(window(0), job)
    assert model.begun.wait(30)
    waiting = [batcher.submit(window(i), gone if i == 3 else job) for i in range(1, 6)]
    gone.give_up()
    model.may.set()
    found = [batcher.wait(future, job)["first"].item() for future in (first, *waiting[:2], *waiting[3:])]
    batcher.close()
    assert found == [0, 1, 2, 4, 5]
    assert model.sizes == [1, 4]
    assert not batcher.alive


def test_a_full_queue_is_waited_for_until_the_deadline() -> None:
    model = Echo()
    batcher = Batcher(model)

    def fill() -> None:
        for i in range(1000):
            batcher.submit(window(i), Job(0.3))

    with pytest.raises(TimeoutError, match=r"not done within 0\.3 s"):
        fill()
    model.may.set()
    batcher.close()


def test_who_gave_up_is_not_waited_for() -> None:
    model, job = Echo(), Job(30)
    batcher = Batcher(model)
    future = batcher.submit(window(0), job)
    job.give_up()
    with pytest.raises(TimeoutError):
        batcher.wait(future, job)
    model.may.set()
    batcher.close()
