"""Counts of events and what follows from them."""

import pytest

from audiostride.evaluation.event_scores import EventCounts, EventScore

WREN = EventCounts(n_annotated=4, n_predicted=5, n_hits=3, hours=0.5)
OWL = EventCounts(n_annotated=2, n_predicted=0, n_hits=0, hours=0.5)
CROW = EventCounts(n_annotated=0, n_predicted=3, n_hits=0, hours=0.5)
SCORE = EventScore({"wren": WREN, "owl": OWL, "crow": CROW}, 0.5)


def test_the_measures_of_a_class() -> None:
    assert (WREN.n_misses, WREN.n_false_alarms) == (1, 2)
    assert (WREN.precision, WREN.recall, WREN.miss_rate) == (0.6, 0.75, 0.25)
    assert WREN.f1 == pytest.approx(2 * 0.6 * 0.75 / (0.6 + 0.75))
    assert WREN.false_alarms_per_hour == 4


def test_where_there_is_nothing_to_divide_by_there_is_no_measure() -> None:
    assert (OWL.precision, OWL.recall, OWL.f1) == (None, 0, 0)
    assert (CROW.precision, CROW.recall, CROW.miss_rate, CROW.f1) == (0, None, None, 0)
    nothing = EventCounts(0, 0, 0, 0.0)
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.false_alarms_per_hour) == (None,) * 4


def test_all_events_count_also_those_of_classes_that_are_not_annotated() -> None:
    assert SCORE.micro == EventCounts(6, 8, 3, 0.5)
    assert (SCORE.micro.precision, SCORE.micro.recall, SCORE.micro.false_alarms_per_hour) == (0.375, 0.5, 10)


def test_the_mean_is_of_annotated_classes() -> None:
    assert SCORE.unannotated == ("crow",)
    assert SCORE.macro.recall == (0.75 + 0) / 2
    assert SCORE.macro.precision == 0.6  # the owl has none
    assert SCORE.macro.f1 == pytest.approx((2 / 3 + 0) / 2)
    assert SCORE.macro.false_alarms_per_hour == (4 + 0) / 2


def test_without_annotated_classes_there_is_no_mean() -> None:
    macro = EventScore({"crow": CROW}, 0.5).macro
    assert (macro.precision, macro.recall, macro.f1, macro.false_alarms_per_hour) == (None,) * 4


def test_the_json_holds_counts_and_measures() -> None:
    content = SCORE.as_dict()
    assert content["classes"]["owl"] == {
        "n_annotated": 2,
        "n_predicted": 0,
        "n_hits": 0,
        "n_misses": 2,
        "n_false_alarms": 0,
        "precision": None,
        "recall": 0.0,
        "f1": 0.0,
        "false_alarms_per_hour": 0.0,
    }
    assert content["classes_without_annotated_events"] == ["crow"]
    assert content["hours"] == 0.5
