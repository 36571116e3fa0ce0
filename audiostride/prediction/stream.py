"""From recordings to the probabilities of their windows and of the whole, as a stream."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audiostride.errors import ArgumentError, DataError
from audiostride.evaluation.probabilities import probabilities
from audiostride.prediction.decoding import Decoded, Part, Source, Window, decode_in_order
from audiostride.prediction.model import Logits, WindowModel
from audiostride.vocabulary import MAX_WINDOW_S

Probabilities = npt.NDArray[np.float64]

N_ROWS = 128  # windows of a batch
MAX_BATCH_S = 128  # fewer where they are long


@dataclass(frozen=True)
class WindowResult:
    """The probabilities and the logits `(class,)` of a window per task, and where it lies."""

    path: Path
    start_s: float
    end_s: float
    probabilities: Mapping[str, Probabilities]
    logits: Mapping[str, Logits] = field(default_factory=dict)


@dataclass(frozen=True)
class FileResult:
    """The end of a recording: per task the mean logits `(class,)` of its windows, and the probabilities from them."""

    path: Path
    duration_s: float
    n_windows: int
    probabilities: Mapping[str, Probabilities]
    mean_logits: Mapping[str, Probabilities] = field(default_factory=dict)


@dataclass(frozen=True)
class FileFailed:
    """The end of a recording that cannot be used; windows of it that came before do not count."""

    path: Path
    reason: str


Result = WindowResult | FileResult | FileFailed


def window_samples(model: WindowModel, window_s: float | None, hop_s: float | None) -> tuple[int, int]:
    """Compute the samples of a window and of the hop; by default the model's own window and half of it.

    Raises:
        ArgumentError: out of range, or another window than the model takes.
    """
    n_window = model.n_window if window_s is None else _samples("window_s", window_s, model.sample_rate)
    n_hop = max(1, n_window // 2) if hop_s is None else _samples("hop_s", hop_s, model.sample_rate)
    if n_window != model.n_window and not model.takes_any_window:
        own_s = model.n_window / model.sample_rate
        raise ArgumentError("window_s", f"{window_s:g}", f"{model.path} takes windows of {own_s:g} s only")
    if n_window < model.min_window:
        least_s = model.min_window / model.sample_rate
        raise ArgumentError("window_s", f"{window_s:g}", f"{model.path} needs windows of {least_s:g} s or more")
    return n_window, n_hop


def _samples(argument: str, seconds: float, sample_rate: int) -> int:
    if not 1 / sample_rate <= seconds <= MAX_WINDOW_S:
        raise ArgumentError(argument, f"{seconds:g}", f"expected more than 0, up to {MAX_WINDOW_S} seconds")
    return round(seconds * sample_rate)


def why_too_short(model: WindowModel, n_samples: int) -> str | None:
    """Say why a recording of so many samples at the rate of the model cannot be used; None where it fills a frame."""
    n_frame = getattr(model, "n_frame", 1)
    return f"shorter than a frame of {1000 * n_frame / model.sample_rate:g} ms" if n_samples < n_frame else None


def check_tasks(model: WindowModel, tasks: Sequence[str]) -> tuple[str, ...]:
    """Give the tasks to predict: `tasks`, or all if there are none.

    Raises:
        ArgumentError: a task that the model does not have.
    """
    for task in tasks:
        if task not in model.classes:
            raise ArgumentError("task", task, f"the model has no such task, expected one of {', '.join(model.classes)}")
    return tuple(task for task in model.classes if not tasks or task in tasks)


class FileSum:
    """Logits per task, added up over the windows of a recording; then its probabilities."""

    def __init__(self, model: WindowModel, tasks: Sequence[str]) -> None:
        self.temperatures = model.temperatures
        self.kinds = {task: model.traits[task].kind for task in tasks}
        self.totals = {task: np.zeros(len(model.classes[task])) for task in tasks}
        self.n_windows = 0

    def add(self, logits: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, Probabilities]:
        """Count a window's logits `(class,)`; its own probabilities."""
        self.n_windows += 1
        for task, total in self.totals.items():
            total += logits[task]
        return self._probabilities(logits)

    def mean_logits(self) -> dict[str, Probabilities]:
        """Average the logits over the windows so far."""
        return {task: total / self.n_windows for task, total in self.totals.items()}

    def probabilities(self) -> dict[str, Probabilities]:
        """Turn the mean logits into calibrated probabilities."""
        return self._probabilities(self.mean_logits())

    def _probabilities(self, logits: Mapping[str, npt.ArrayLike]) -> dict[str, Probabilities]:
        return {task: probabilities(logits[task], self.temperatures[task], self.kinds[task]) for task in self.totals}


def batch_rows(n_window: int, sample_rate: int) -> int:
    """Say how many windows to hand to the model at a time."""
    return max(1, min(N_ROWS, MAX_BATCH_S * sample_rate // n_window))


def check_finite(model: WindowModel, logits: Mapping[str, Logits]) -> None:
    """Raise DataError where the model gives something that is not a number."""
    for task, values in logits.items():
        if not np.isfinite(values).all():
            raise DataError(f"{model.path}: its logits of the task {task!r} are not numbers; the model is damaged")


def predict_files(
    model: WindowModel, paths: Sequence[Path], tasks: Sequence[str], *, n_window: int, n_hop: int, n_threads: int
) -> Generator[Result]:
    """Predict recordings one after the other, in constant memory whatever their length.

    Args:
        tasks: which of the model's.
        n_window: samples of a window.
        n_hop: samples from one window to the next.
        n_threads: that decode, ahead of the model.
    """
    yield from predict_sources(
        model, list(map(Source, paths)), tasks, n_window=n_window, n_hop=n_hop, n_threads=n_threads
    )


def predict_sources(
    model: WindowModel, sources: Sequence[Source], tasks: Sequence[str], *, n_window: int, n_hop: int, n_threads: int
) -> Generator[Result]:
    """Predict recordings and parts of recordings: the one road from a file to logits, for every command.

    Batches mix the windows of several sources, and all have the same shape: what comes out for a window does not
    depend, to the last bit, on the windows that it shares a batch with. Each source ends with one `FileResult` or
    `FileFailed`, in the order given.

    Args: as of `predict_files`.
    """
    n_rows = batch_rows(n_window, model.sample_rate)
    parts = decode_in_order(sources, model.sample_rate, n_window, n_hop, n_threads=n_threads, n_queued=n_rows)
    with closing(parts):  # at once where the reader stops early: threads wait for it
        with_paths = ((sources[i].path, part) for i, part in parts)
        yield from predict_parts(model, with_paths, tasks, n_window, fixed_shape=True)


def predict_parts(
    model: WindowModel, parts: Iterable[tuple[Path, Part]], tasks: Sequence[str], n_window: int, *, fixed_shape: bool
) -> Iterator[Result]:
    """Yield the results of windows as they come, batch by batch.

    Args:
        fixed_shape: fill the last batch up with zeros.

    Raises:
        DataError: the model gives something that is not a number.
    """
    batch = np.zeros((batch_rows(n_window, model.sample_rate), n_window), np.float32)
    waiting: list[tuple[Path, Part]] = []
    n_filled, total = 0, FileSum(model, tasks)

    def flush() -> Iterator[Result]:
        nonlocal n_filled, total
        batch[n_filled:] = 0
        logits = model.logits(batch if fixed_shape else batch[:n_filled]) if n_filled else {}
        check_finite(model, logits)
        row, rate = 0, model.sample_rate
        for path, part in waiting:
            if isinstance(part, Window):
                row_logits = {task: logits[task][row] for task in tasks}
                yield WindowResult(path, part.start / rate, part.stop / rate, total.add(row_logits), row_logits)
                row += 1
                continue
            if isinstance(part, Decoded) and (reason := why_too_short(model, part.n_samples)) is not None:
                yield FileFailed(path, reason)
            elif isinstance(part, Decoded):
                duration_s = part.n_samples / rate
                yield FileResult(path, duration_s, total.n_windows, total.probabilities(), total.mean_logits())
            else:
                yield FileFailed(path, part.reason)
            total = FileSum(model, tasks)
        waiting.clear()
        n_filled = 0

    for path, part in parts:
        if isinstance(part, Window):
            batch[n_filled] = part.samples
            n_filled += 1
        waiting.append((path, part))
        if n_filled == len(batch):
            yield from flush()
    yield from flush()
