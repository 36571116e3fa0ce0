"""Thresholds per class against small cases counted by hand, and false alarms as events."""

import numpy as np
import pytest

from audiostride.errors import ArgumentError
from audiostride.evaluation.thresholds import Target, choose_threshold, count_false_alarms, lay_out

PROBABILITY = np.array([0.9, 0.8, 0.6, 0.4, 0.3, 0.1])
TRUTH = np.array([True, False, True, True, False, False])
APART = lay_out(["a.wav"] * 6, 10.0 * np.arange(6), 10.0 * np.arange(6) + 1)  # six seconds, nothing touches


def chosen(target: str, probability: np.ndarray = PROBABILITY, truth: np.ndarray = TRUTH) -> tuple[float | None, bool]:
    found = choose_threshold("owl", probability, truth, APART, Target.parse(target))
    return found.threshold, found.is_met


@pytest.mark.parametrize(
    ("target", "threshold"),
    [
        ("precision=1", 0.85),  # the first alone
        ("precision=0.75", 0.35),  # three of four; two of three is less
        ("recall=0.3", 0.85),
        ("recall=1", 0.35),
        ("f1", 0.35),  # 2 * 3 / (4 + 3)
        ("false-alarms-per-hour=0", 0.85),
        ("false-alarms-per-hour=600", 0.35),  # one in six seconds
        ("false-alarms-per-hour=599", 0.85),
    ],
)
def test_a_threshold_lies_between_what_counts_and_what_does_not(target: str, threshold: float) -> None:
    assert chosen(target) == (pytest.approx(threshold), True)


def test_what_the_threshold_does_is_told() -> None:
    found = choose_threshold("owl", PROBABILITY, TRUTH, APART, Target("recall", 1.0))
    assert (found.n_windows, found.precision, found.recall) == (3, 0.75, 1.0)
    assert found.f1 == pytest.approx(6 / 7)
    assert found.false_alarms_per_hour == pytest.approx(600)


def test_a_target_out_of_reach_keeps_the_highest_precision() -> None:
    truth = np.array([False, True, True, False, False, False])
    assert chosen("precision=0.9", truth=truth) == (pytest.approx(0.5), False)  # two of three is the most


def test_a_class_with_no_window_has_no_threshold_unless_alarms_alone_decide() -> None:
    nothing = np.zeros(6, bool)
    for target in ("f1", "precision=0.5", "recall=0.5"):
        assert chosen(target, truth=nothing) == (None, False)
    assert chosen("false-alarms-per-hour=1200", truth=nothing) == (pytest.approx(0.7), True)


def test_no_threshold_is_quiet_enough() -> None:
    """The likeliest window is wrong: above it nothing is left, and that is said."""
    assert chosen("false-alarms-per-hour=0", truth=~TRUTH) == (pytest.approx(0.95), False)


def test_equal_probabilities_stand_on_the_same_side() -> None:
    """Two of the three windows at 0.5 are right: no threshold takes these alone."""
    probability, truth = np.array([0.5, 0.5, 0.5, 0.2]), np.array([True, True, False, False])
    timeline = lay_out(["a"] * 4, 10.0 * np.arange(4), 10.0 * np.arange(4) + 1)
    found = choose_threshold("owl", probability, truth, timeline, Target("precision", 0.9))
    assert (found.is_met, found.precision) == (False, pytest.approx(2 / 3))


def test_neighbouring_false_windows_are_one_alarm() -> None:
    found = np.array([1, 1, 0, 1, 1, 1], bool)
    truth = np.array([0, 0, 0, 0, 1, 0], bool)
    begins = np.array([1, 0, 0, 0, 0, 1], bool)  # the last is of another recording
    assert count_false_alarms(found, truth, begins) == 2  # the run with a true window is none
    assert count_false_alarms(np.zeros(6, bool), truth, begins) == 0


def test_windows_are_laid_out_by_recording_and_time() -> None:
    """Overlapping windows cover their time once; after a gap a new stretch begins."""
    timeline = lay_out(["b", "a", "a", "a"], [0.0, 5.0, 0.5, 0.0], [1.0, 6.0, 1.5, 1.0])
    assert timeline.order.tolist() == [3, 2, 1, 0]
    assert timeline.begins.tolist() == [True, False, True, True]
    assert timeline.hours == pytest.approx((1.5 + 1 + 1) / 3600)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f2",
        "f1=1",
        "precision",
        "precision=",
        "precision=1.1",
        "recall=-1",
        "recall=nan",
        "false-alarms-per-hour=inf",
    ],
)
def test_targets_that_cannot_be(text: str) -> None:
    with pytest.raises(ArgumentError, match="expected f1"):
        Target.parse(text)
