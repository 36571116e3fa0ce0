"""Windows of many requests through one model: one thread computes, on whatever waits."""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread

import numpy as np

from audiostride.data.audio import Waveform
from audiostride.prediction.model import Logits, WindowModel
from audiostride.prediction.stream import batch_rows

POLL_S = 0.1  # how soon a thread that waits sees that nobody waits for it

WindowLogits = Mapping[str, Logits]


class Job:
    """A request as those see it who work for it: until its deadline, or until it is given up.

    Args:
        timeout_s: from now.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._given_up = Event()

    @property
    def left_s(self) -> float:
        """Give seconds until the deadline, 0 when it has passed or nobody waits any more."""
        return 0.0 if self._given_up.is_set() else max(0.0, self._deadline - time.monotonic())

    def give_up(self) -> None:
        """Note that nobody waits for the answer any more."""
        self._given_up.set()

    def check(self) -> None:
        """Raise TimeoutError where no time is left."""
        if self.left_s == 0:
            raise TimeoutError(f"not done within {self.timeout_s:g} s")


@dataclass(frozen=True, eq=False)
class _Waiting:
    samples: Waveform
    job: Job
    logits: "Future[WindowLogits]"


class Batcher:
    """One thread that runs a model on the windows of all requests, in the order in which they came.

    A batch is what waits when the one before is done: a lone request is not held back, many share batches.

    Args:
        model: whose windows have the length it was trained on.
    """

    def __init__(self, model: WindowModel) -> None:
        self._model = model
        self._n_rows = batch_rows(model.n_window, model.sample_rate)
        self._queue: Queue[_Waiting | None] = Queue(2 * self._n_rows)
        self._thread = Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Tell whether windows are still computed."""
        return self._thread.is_alive()

    def submit(self, samples: Waveform, job: Job) -> "Future[WindowLogits]":
        """Queue a window `(n_window,)` once there is room; its logits `(class,)` per task come later.

        Raises:
            TimeoutError: no time is left for the job.
        """
        waiting = _Waiting(samples, job, Future())
        while True:
            job.check()
            try:
                self._queue.put(waiting, timeout=POLL_S)
            except Full:
                continue
            return waiting.logits

    def wait(self, logits: "Future[WindowLogits]", job: Job) -> WindowLogits:
        """Give what became of a window.

        Raises:
            TimeoutError: no time is left for the job.
        """
        while not logits.done():
            job.check()
            try:
                return logits.result(POLL_S)
            except TimeoutError:
                continue
        return logits.result()

    def close(self) -> None:
        """End the thread after what is queued."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            taken = [self._queue.get()]
            try:
                while len(taken) < self._n_rows:
                    taken.append(self._queue.get_nowait())
            except Empty:
                pass
            self._compute([waiting for waiting in taken if waiting is not None and waiting.job.left_s > 0])
            if None in taken:
                return

    def _compute(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        try:
            logits = self._model.logits(np.stack([waiting.samples for waiting in batch]))
        except Exception as error:  # the thread outlives whatever the model does; each request tells
            for waiting in batch:
                waiting.logits.set_exception(RuntimeError(f"the model failed ({type(error).__name__}: {error})"))
            return
        for row, waiting in enumerate(batch):
            waiting.logits.set_result({task: values[row] for task, values in logits.items()})
