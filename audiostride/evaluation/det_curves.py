"""Detection error trade-off: the share of missed events against false alarms per hour as the threshold moves."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from audiostride.evaluation.event_scores import EventCounts

Values = npt.NDArray[np.float64]  # (point,)

N_THRESHOLDS = 200  # of a curve


@dataclass(frozen=True)
class DetPoint:
    """What a threshold gives; an infinite one detects nothing."""

    threshold: float
    false_alarms_per_hour: float
    miss_rate: float

    def as_dict(self) -> dict[str, float | None]:
        """Give the values as JSON takes them, which knows no infinity."""
        return {
            "threshold": self.threshold if math.isfinite(self.threshold) else None,
            "false_alarms_per_hour": self.false_alarms_per_hour,
            "miss_rate": self.miss_rate,
        }


@dataclass(frozen=True)
class DetCurve:
    """The points of a curve, from the threshold that detects nothing to that which detects every window.

    Neither value has to fall or rise all the way: windows that are detected between two events join them to one.
    """

    points: Sequence[DetPoint]

    def best_at(self, false_alarms_per_hour: float) -> DetPoint:
        """Give the point with the fewest misses among those with so many false alarms at most, of equals the first."""
        allowed = (point for point in self.points if point.false_alarms_per_hour <= false_alarms_per_hour)
        return min(allowed, key=lambda point: point.miss_rate)

    def staircase(self) -> tuple[Values, Values]:
        """Give the points that are better than all with fewer false alarms: false alarms per hour and miss rates."""
        ordered = sorted(self.points, key=lambda point: (point.false_alarms_per_hour, point.miss_rate))
        steps: list[DetPoint] = []
        for point in ordered:
            if not steps or point.miss_rate < steps[-1].miss_rate:
                steps.append(point)
        values = np.array([(point.false_alarms_per_hour, point.miss_rate) for point in steps]).T
        return values[0], values[1]

    def as_dicts(self) -> list[dict[str, Any]]:
        """Give the points as JSON takes them."""
        return [point.as_dict() for point in self.points]


def spread_thresholds(probabilities: npt.NDArray[np.float64], n: int = N_THRESHOLDS) -> Values:
    """Choose thresholds among probabilities, the highest first, at most `n`.

    Each distinct probability is a threshold at which something changes. Where there are too many, they are taken at
    ranks in a geometric series: the few highest, where false alarms are rare, and fewer and fewer further down.

    >>> spread_thresholds(np.array([0.2, 0.9, 0.2, 0.5])).tolist()
    [0.9, 0.5, 0.2]
    >>> spread_thresholds(np.arange(1000) / 1000, 4).tolist()
    [0.999, 0.99, 0.9, 0.0]
    """
    distinct = np.unique(probabilities)[::-1]
    if len(distinct) <= n:
        return distinct
    ranks = np.unique(np.geomspace(1, len(distinct), n).round().astype(int))
    chosen: Values = distinct[ranks - 1]
    return chosen


def det_curve(thresholds: Iterable[float], count: Callable[[float], EventCounts]) -> DetCurve | None:
    """Count events at every threshold; None where nothing is annotated, or no time is recorded.

    Args:
        thresholds: in any order; an infinite one is added.
        count: gives the counts at a threshold.
    """
    points = []
    for threshold in sorted({math.inf, *thresholds}, reverse=True):
        counts = count(threshold)
        miss_rate, false_alarms = counts.miss_rate, counts.false_alarms_per_hour
        if miss_rate is None or false_alarms is None:
            return None
        points.append(DetPoint(threshold, false_alarms, miss_rate))
    return DetCurve(points)
