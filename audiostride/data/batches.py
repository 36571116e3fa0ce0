"""Training batches of several tasks, a pure function of the step, prepared ahead in threads."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from audiostride.data.targets import NO_LABEL, background_rows
from audiostride.data.windows import RandomWindows


@dataclass(frozen=True)
class Batch:
    """Windows of all tasks; a row without a label for a task has `NO_LABEL` there.

    Args:
        n_rows: how many rows each source has; they follow one another.
        is_background: which rows hold nothing that a task would name, if that is to be known.

    Shape:
        waveform, background: `(batch, time)`, int16.
        targets: per task `(batch,)`, class indices; of a multi-label task `(batch, class)`, 0 and 1.
    """

    waveform: Tensor
    targets: Mapping[str, Tensor]
    n_rows: Sequence[int]
    background: Tensor | None = None
    is_background: Tensor | None = None


@dataclass(frozen=True)
class Source:
    """The clips of one manifest with the targets of every task that they label, as `encode` gives them."""

    windows: RandomWindows
    targets: Mapping[str, Tensor]


class TaskBatches:
    """Batches in which every source has an equal share of the rows.

    Tasks that share a source share its windows. Every row has a window of `background` besides, if there is one.

    Args:
        sources: of the rows.
        batch_size: rows of a batch.
        background: recordings of noise.
        backgrounds: index of the background class per task, None for a task without; by default rows are not asked.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        batch_size: int,
        background: RandomWindows | None = None,
        backgrounds: Mapping[str, int | None] | None = None,
    ) -> None:
        if batch_size < len(sources):
            raise ValueError(f"batch_size must be at least {len(sources)}, one row per manifest, got {batch_size}")
        self.sources = sources
        share, rest = divmod(batch_size, len(sources))
        self.n_rows = [share + (i < rest) for i in range(len(sources))]
        self.batch_size = batch_size
        self.background = background
        self.backgrounds = backgrounds

    def __call__(self, step: int) -> Batch:
        """Draw the batch of a step; the same step always gives the same one."""
        targets = {
            task: labels.new_full((self.batch_size, *labels.shape[1:]), NO_LABEL)
            for source in self.sources
            for task, labels in source.targets.items()
        }
        waveforms, first = [], 0
        for source, n_rows in zip(self.sources, self.n_rows, strict=True):
            windows, indices = source.windows.batch(step, n_rows)
            waveforms.append(windows)
            for task, labels in source.targets.items():
                targets[task][first : first + n_rows] = labels[torch.from_numpy(indices)]
            first += n_rows
        background = None if self.background is None else self.background.batch(step, self.batch_size)[0]
        rows = None if self.backgrounds is None else background_rows(targets, self.backgrounds)
        return Batch(torch.cat(waveforms), targets, self.n_rows, background, rows)


def prefetch(batch_of: Callable[[int], Batch], steps: Sequence[int], n_workers: int) -> Iterator[Batch]:
    """Yield `batch_of(step)` for every step in order, up to `2 * n_workers` of them ahead of time."""
    with ThreadPoolExecutor(n_workers, thread_name_prefix="batches") as pool:
        ahead: deque[Future[Batch]] = deque()
        try:
            for step in steps:
                ahead.append(pool.submit(batch_of, step))
                if len(ahead) > 2 * n_workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
