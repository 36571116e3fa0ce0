"""Thresholds per class that reach a target: precision, recall, false alarms per hour, or the best F1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from audiostride.errors import ArgumentError
from audiostride.evaluation.ratios import ratio

TargetName = Literal["f1", "precision", "recall", "false-alarms-per-hour"]

N_TRIED = 2000  # thresholds of a class, where false alarms are counted
GAP_S = 1e-6  # of windows that touch, for rounding

Probabilities = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]
Starts = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Target:
    """What a threshold is to reach; the best F1 needs no value."""

    name: TargetName
    value: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Read a target.

        Raises:
            ArgumentError: an unknown target, or a value out of range.

        >>> Target.parse("precision=0.9")
        Target(name='precision', value=0.9)
        """
        name, equals, number = text.partition("=")
        try:
            value = float(number) if equals else None
        except ValueError:
            value = math.nan
        highest = math.inf if name == "false-alarms-per-hour" else 1.0
        for known in get_args(TargetName):
            fits = value is None if known == "f1" else value is not None and 0 <= value <= highest and value < math.inf
            if name == known and fits:
                return cls(known, value)
        raise ArgumentError("target", text, "expected f1, precision=0.9, recall=0.9 or false-alarms-per-hour=1")

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value:g}"


@dataclass(frozen=True)
class Timeline:
    """Windows in the order of time, one recording after the other.

    Attributes:
        begins: whether a window begins a stretch, since it is the first of its recording or after a gap.
        hours: that the windows cover, each moment counted once.

    Shape:
        order: `(window,)`, which of the windows as given comes when. begins: `(window,)`.
    """

    order: npt.NDArray[np.int64]
    begins: Starts
    hours: float


def lay_out(recordings: Sequence[str], start_s: npt.ArrayLike, end_s: npt.ArrayLike) -> Timeline:
    """Lay windows out in time.

    Shape:
        recordings, start_s, end_s: `(window,)`.
    """
    starts, ends = np.asarray(start_s, np.float64), np.asarray(end_s, np.float64)
    _, of_window = np.unique(np.asarray(recordings), return_inverse=True)
    order = np.lexsort((ends, starts, of_window))
    begins, seconds, reached = np.ones(len(order), bool), 0.0, -math.inf
    for place, i in enumerate(order.tolist()):
        is_first = place == 0 or of_window[order[place - 1]] != of_window[i]
        reached = -math.inf if is_first else reached
        begins[place] = starts[i] > reached + GAP_S
        seconds += max(0.0, ends[i] - max(starts[i], reached))
        reached = max(reached, ends[i])
    return Timeline(order, begins, seconds / 3600)


def count_false_alarms(found: Truth, truth: Truth, begins: Starts) -> int:
    """Count the runs of windows in which a class is found and that none of them has.

    Shape:
        found, truth, begins: `(window,)`, in the order of time.

    >>> found, truth = np.array([True, True, False, True]), np.array([False, True, False, False])
    >>> count_false_alarms(found, truth, np.array([True, False, False, False]))
    1
    """
    starts = found & (begins | ~np.concatenate([[False], found[:-1]]))
    if not starts.any():
        return 0
    runs = np.cumsum(starts)[found]
    return int(runs[-1] - len(np.unique(runs[truth[found]])))


@dataclass(frozen=True)
class ClassThreshold:
    """A threshold and what it does on the windows that it was chosen on; None where there is nothing to divide by.

    Attributes:
        threshold: None where none can be chosen, since no window has the class.
        is_met: whether the target is reached.
        n_windows: that have the class.
    """

    name: str
    threshold: float | None
    is_met: bool
    n_windows: int
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    false_alarms_per_hour: float | None = None


def _between(values: Probabilities, i: int) -> float:
    """Put a threshold between the `i`-th value, which counts, and the next lower one, which does not."""
    if i < 0:
        return float((1 + values[0]) / 2) if values[0] < 1 else 1.0
    if i + 1 == len(values):
        return float(values[i])
    return float(max((values[i] + values[i + 1]) / 2, np.nextafter(values[i + 1], 1.0)))


def choose_threshold(
    name: str, probability: Probabilities, truth: Truth, timeline: Timeline, target: Target
) -> ClassThreshold:
    """Choose the threshold of a class, half way between the probabilities on both sides of it.

    Of the thresholds that reach the target, the one with the highest recall is chosen; for a recall, the one with the
    highest precision. False alarms count as events: neighbouring windows that are all wrong are one. Where the target
    cannot be reached, the threshold with the highest precision is chosen, or for false alarms one above all windows.

    Shape:
        probability, truth: `(window,)`, in the order in which the timeline was laid out from.
    """
    values, first = np.unique(-probability, return_inverse=True)
    values = -values  # the highest first
    n_true = np.cumsum(np.bincount(first, truth, len(values)))
    n_found = np.cumsum(np.bincount(first, minlength=len(values)))
    n_positive = int(truth.sum())
    precision, recall = n_true / n_found, n_true / max(1, n_positive)
    if target.name == "false-alarms-per-hour":
        i = _last_quiet(values, probability, truth, timeline, target.value or 0.0)
        is_met = i >= 0 and (n_positive == 0 or bool(n_true[i] > 0))
    elif n_positive == 0:
        return ClassThreshold(name, None, is_met=False, n_windows=0)
    elif target.name == "recall":
        reached = np.flatnonzero(recall >= (target.value or 0.0) - 1e-12)
        i, is_met = int(reached[precision[reached].argmax()]), True
    elif target.name == "precision":
        reached = np.flatnonzero((precision >= (target.value or 0.0) - 1e-12) & (n_true > 0))
        is_met = len(reached) > 0
        i = int(reached[recall[reached].argmax()]) if is_met else int(np.where(n_true > 0, precision, -1).argmax())
    else:
        i, is_met = int((2 * n_true / (n_found + n_positive)).argmax()), True
    threshold = _between(values, i)
    return _describe(name, threshold, probability, truth, timeline=timeline, is_met=is_met)


def _last_quiet(
    values: Probabilities, probability: Probabilities, truth: Truth, timeline: Timeline, per_hour: float
) -> int:
    """Find the lowest of the values down to which no threshold gives more false alarms per hour; -1 if none does."""
    in_time, is_true = probability[timeline.order], truth[timeline.order]
    tried = np.unique(np.linspace(0, len(values) - 1, min(len(values), N_TRIED)).round().astype(int)).tolist()
    last = -1
    for i in tried:
        n_alarms = count_false_alarms(in_time >= values[i], is_true, timeline.begins)
        if n_alarms > per_hour * timeline.hours:
            break
        last = i
    return last


def _describe(
    name: str, threshold: float, probability: Probabilities, truth: Truth, *, timeline: Timeline, is_met: bool
) -> ClassThreshold:
    found, n_positive = probability >= threshold, int(truth.sum())
    n_hits, n_found = int((found & truth).sum()), int(found.sum())
    n_alarms = count_false_alarms(found[timeline.order], truth[timeline.order], timeline.begins)
    return ClassThreshold(
        name,
        threshold,
        is_met,
        n_positive,
        precision=ratio(n_hits, n_found),
        recall=ratio(n_hits, n_positive),
        f1=ratio(2 * n_hits, n_found + n_positive),
        false_alarms_per_hour=ratio(n_alarms, timeline.hours),
    )
