"""Batches: fair shares, the right labels on the right rows, the same whatever prepares them."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from audiostride.data.batches import Batch, Source, TaskBatches, prefetch
from audiostride.data.targets import NO_LABEL
from audiostride.data.windows import RandomWindows


def source(values: list[int], **targets: list[int]) -> Source:
    """Clips that hold nothing but their value."""
    windows = RandomWindows([np.full(20, value, np.int16) for value in values], n_window=8, seed=0)
    return Source(windows, {task: torch.tensor(labels) for task, labels in targets.items()})


@pytest.fixture
def batches() -> TaskBatches:
    """Two sources, of clips 1 to 3 and 11 to 12; the first labels two tasks."""
    first = source([1, 2, 3], family=[0, 1, 2], pitch=[30, 20, 10])
    return TaskBatches([first, source([11, 12], bird=[1, 0])], batch_size=10)


def values(batch: Batch) -> Tensor:
    return batch.waveform[:, 0]


@pytest.mark.parametrize(
    ("n_sources", "batch_size", "shares"),
    [(1, 5, [5]), (2, 8, [4, 4]), (3, 9, [3, 3, 3]), (3, 11, [4, 4, 3]), (3, 3, [1, 1, 1])],
)
def test_every_source_has_an_equal_share(n_sources: int, batch_size: int, shares: list[int]) -> None:
    sources = [source([i], **{f"task{i}": [0]}) for i in range(n_sources)]
    batch = TaskBatches(sources, batch_size)(step=4)
    np.testing.assert_array_equal(np.bincount(values(batch)), shares)


@pytest.mark.parametrize("batch_size", [0, 1])
def test_a_batch_smaller_than_one_row_per_source_is_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size must be at least 2.* got {batch_size}"):
        TaskBatches([source([1], a=[0]), source([2], b=[0])], batch_size)


def test_the_waveform_is_16_bits(batches: TaskBatches) -> None:
    assert batches(0).waveform.dtype == torch.int16
    assert batches(0).waveform.shape == (10, 8)


def test_every_task_has_targets_for_every_row(batches: TaskBatches) -> None:
    assert {task: len(labels) for task, labels in batches(0).targets.items()} == {"family": 10, "pitch": 10, "bird": 10}


@pytest.mark.parametrize(
    ("task", "labels"),
    [("family", {1: 0, 2: 1, 3: 2}), ("pitch", {1: 30, 2: 20, 3: 10}), ("bird", {11: 1, 12: 0})],
)
@pytest.mark.parametrize("step", [0, 1, 7])
def test_a_row_has_the_label_of_its_clip_and_none_of_other_sources(
    batches: TaskBatches, task: str, labels: dict[int, int], step: int
) -> None:
    batch = batches(step)
    assert batch.targets[task].tolist() == [labels.get(value, NO_LABEL) for value in values(batch).tolist()]


def test_a_clip_without_a_label_for_a_task_has_none() -> None:
    batch = TaskBatches([source([1, 2], family=[0, 1], pitch=[5, NO_LABEL])], 8)(0)
    assert batch.targets["pitch"].tolist() == [5 if value == 1 else NO_LABEL for value in values(batch).tolist()]


def test_tasks_of_one_source_share_its_windows(batches: TaskBatches) -> None:
    batch = batches(0)
    assert torch.equal(batch.targets["family"] != NO_LABEL, batch.targets["pitch"] != NO_LABEL)
    assert int((batch.targets["family"] != NO_LABEL).sum()) == 5


def test_a_batch_tells_the_rows_of_its_sources() -> None:
    batch = TaskBatches([source([i], **{f"task{i}": [0]}) for i in range(3)], batch_size=8)(0)
    assert tuple(batch.n_rows) == (3, 3, 2)


def test_every_row_has_a_window_of_the_background(batches: TaskBatches) -> None:
    assert batches(0).background is None
    background = RandomWindows([np.full(30, 99, np.int16)], n_window=8, seed=0)
    batch = TaskBatches(batches.sources, 10, background)(0)
    assert torch.equal(batch.waveform, batches(0).waveform)
    assert batch.background is not None
    assert torch.equal(batch.background, torch.full((10, 8), 99, dtype=torch.int16))


def test_a_batch_is_a_function_of_the_step(batches: TaskBatches) -> None:
    later, first = batches(3), batches(0)
    assert torch.equal(batches(3).waveform, later.waveform)
    assert not torch.equal(first.waveform, later.waveform)


# prefetching


def slow_first(batch_of: Callable[[int], Batch]) -> Callable[[int], Batch]:
    """Even steps take longer than odd ones, so that they would overtake."""

    def delayed(step: int) -> Batch:
        time.sleep(0.01 * (step % 2 == 0))
        return batch_of(step)

    return delayed


@pytest.mark.parametrize("n_workers", [1, 4])
def test_batches_come_in_order_whatever_prepares_them(batches: TaskBatches, n_workers: int) -> None:
    steps = range(5, 25)
    for step, batch in zip(steps, prefetch(slow_first(batches), steps, n_workers), strict=True):
        assert torch.equal(batch.waveform, batches(step).waveform)


@pytest.mark.parametrize("n_steps", [0, 1, 2, 9])
def test_there_are_as_many_batches_as_steps(batches: TaskBatches, n_steps: int) -> None:
    assert len(list(prefetch(batches, range(n_steps), n_workers=2))) == n_steps


@pytest.mark.parametrize("n_workers", [1, 4])
def test_an_exception_reaches_the_consumer_after_the_batches_before_it(batches: TaskBatches, n_workers: int) -> None:
    def fails_at_7(step: int) -> Batch:
        if step == 7:
            raise OSError("the disk is gone")
        return batches(step)

    received = []
    with pytest.raises(OSError, match="the disk is gone"):
        received.extend(prefetch(fails_at_7, range(100), n_workers))
    stream = prefetch(fails_at_7, range(100), n_workers)
    assert [next(stream).waveform.shape[0] for _ in range(7)] == [10] * 7
    stream.close()


@pytest.mark.parametrize("n_workers", [1, 3])
def test_no_more_than_twice_the_workers_are_prepared_ahead(batches: TaskBatches, n_workers: int) -> None:
    prepared: list[int] = []

    def record(step: int) -> Batch:
        prepared.append(step)
        return batches(step)

    stream = prefetch(record, range(1000), n_workers)
    next(stream)
    time.sleep(0.05)
    assert len(prepared) <= 2 * n_workers + 1
    stream.close()


def test_a_closed_stream_prepares_nothing_more(batches: TaskBatches) -> None:
    prepared: list[int] = []
    closed = threading.Event()

    def record(step: int) -> Batch:
        if step > 0:
            closed.wait(5)
        prepared.append(step)
        return batches(step)

    stream = prefetch(record, range(1000), n_workers=1)
    next(stream)
    stream.close()
    closed.set()
    time.sleep(0.05)
    assert 2 not in prepared
