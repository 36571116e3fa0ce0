"""Misses against false alarms per hour as the threshold moves."""

import math

import numpy as np
import pytest

from audiostride.evaluation.det_curves import DetCurve, DetPoint, det_curve, spread_thresholds
from audiostride.evaluation.event_scores import EventCounts

# of two annotated events one has 0.8, one 0.4; false alarms at 0.6 and 0.3; at 0.1 windows join and a hit is lost
COUNTS = {0.8: (1, 1), 0.6: (2, 1), 0.4: (3, 2), 0.3: (4, 2), 0.1: (1, 1)}


def count(threshold: float) -> EventCounts:
    below = [counts for value, counts in sorted(COUNTS.items(), reverse=True) if value >= threshold]
    n_predicted, n_hits = below[-1] if below else (0, 0)
    return EventCounts(2, n_predicted, n_hits, hours=0.5)


CURVE = det_curve(COUNTS, count)


def test_a_curve_begins_where_nothing_is_detected_and_ends_where_everything_is() -> None:
    assert CURVE is not None
    assert CURVE.points[0] == DetPoint(math.inf, 0.0, 1.0)
    assert CURVE.points[-1] == DetPoint(0.1, 0.0, 0.5)
    assert [point.threshold for point in CURVE.points] == [math.inf, 0.8, 0.6, 0.4, 0.3, 0.1]
    assert [point.false_alarms_per_hour for point in CURVE.points] == [0, 0, 2, 2, 4, 0]
    assert [point.miss_rate for point in CURVE.points] == [1, 0.5, 0.5, 0, 0, 0.5]


@pytest.mark.parametrize(
    ("limit", "threshold", "miss_rate"), [(0, 0.8, 0.5), (1.9, 0.8, 0.5), (2, 0.4, 0), (100, 0.4, 0)]
)
def test_the_best_threshold_within_a_limit_of_false_alarms(limit: float, threshold: float, miss_rate: float) -> None:
    assert CURVE is not None
    best = CURVE.best_at(limit)
    assert (best.threshold, best.miss_rate) == (threshold, miss_rate)


def test_the_staircase_holds_what_pays() -> None:
    assert CURVE is not None
    false_alarms, miss_rates = CURVE.staircase()
    assert (false_alarms.tolist(), miss_rates.tolist()) == ([0, 2], [0.5, 0])


def test_every_threshold_below_which_all_is_false_stays_at_the_start() -> None:
    curve = DetCurve([DetPoint(math.inf, 0, 1), DetPoint(0.9, 3, 1), DetPoint(0.5, 5, 1)])
    assert curve.best_at(10).threshold == math.inf


@pytest.mark.parametrize("counts", [EventCounts(0, 3, 0, 1.0), EventCounts(2, 0, 0, 0.0)])
def test_without_annotated_events_or_time_there_is_no_curve(counts: EventCounts) -> None:
    assert det_curve([0.5], lambda _: counts) is None


def test_json_has_no_infinity() -> None:
    assert CURVE is not None
    assert CURVE.as_dicts()[0] == {"threshold": None, "false_alarms_per_hour": 0.0, "miss_rate": 1.0}


def test_thresholds_are_distinct_and_dense_where_false_alarms_are_rare() -> None:
    values = np.random.default_rng(0).uniform(size=(5000, 3))
    chosen = spread_thresholds(values, 50)
    assert len(chosen) <= 50
    assert (np.diff(chosen) < 0).all()
    assert (chosen[0], chosen[-1]) == (values.max(), values.min())
    assert chosen[:5].tolist() == np.sort(values, axis=None)[::-1][:5].tolist()


def test_no_windows_have_no_thresholds() -> None:
    assert spread_thresholds(np.empty((0, 2))).tolist() == []
