"""The figure of misses against false alarms per hour."""

import math
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from audiostride.errors import ArgumentError
from audiostride.evaluation.det_curves import DetCurve, DetPoint
from audiostride.evaluation.event_scores import EventCounts, EventScore
from audiostride.report.det_plot import MAX_CLASSES, draw_det, plot_det, shown_classes
from audiostride.runs.event_scoring import EventResult, EventSettings

HOURS = 0.5
CURVE = DetCurve([DetPoint(math.inf, 0, 1), DetPoint(0.9, 2, 0.5), DetPoint(0.5, 8, 0.25), DetPoint(0.1, 4, 0.75)])


def result(curves: dict[str, DetCurve], n_false: int = 4) -> EventResult:
    counts = {name: EventCounts(4 + i, 3 + n_false, 3, HOURS) for i, name in enumerate(curves)}
    thresholds = dict.fromkeys(curves, 0.5)
    score, curve = EventScore(counts, HOURS), CURVE if curves else None
    return EventResult("bird", score, thresholds, False, curve, curves, [], [], EventSettings(), 1.0, 0.5)


def drawn(of: EventResult) -> Figure:
    figure = Figure()
    draw_det(figure, of)
    return figure


def test_a_curve_is_a_staircase_and_a_dot_marks_what_is_in_use() -> None:
    figure = drawn(result({"a $wren$": CURVE}))
    curve, dot = figure.axes[0].get_lines()[:2]
    assert curve.get_label() == "a $wren$"
    assert curve.get_drawstyle() == "steps-post"
    assert list(zip(*curve.get_data(), strict=True))[:3] == [(1.0, 1.0), (2.0, 0.5), (8.0, 0.25)]
    assert [list(values) for values in dot.get_data()] == [
        [8.0],
        [0.25],
    ]  # in half an hour 4 false alarms, 1 of 4 missed


def test_without_a_false_alarm_the_dot_is_at_the_left_edge() -> None:
    """The edge is half of a false alarm in all recordings."""
    axes = drawn(result({"wren": CURVE}, n_false=0)).axes[0]
    assert axes.get_xlim()[0] == 1.0
    assert axes.get_lines()[1].get_xdata()[0] == 1.0


def test_the_classes_with_most_events_are_drawn() -> None:
    many = result({f"bird {i}": CURVE for i in range(MAX_CLASSES + 3)})
    assert shown_classes(many)[0] == f"bird {MAX_CLASSES + 2}"
    assert len(shown_classes(many)) == MAX_CLASSES
    looks = {
        (line.get_color(), line.get_linestyle(), str(line._dash_pattern)) for line in drawn(many).axes[0].lines[::2]
    }
    assert len(looks) >= MAX_CLASSES + 1  # no two look alike


def test_nothing_annotated_is_an_empty_figure() -> None:
    assert len(drawn(result({})).axes[0].get_lines()) == 1  # of the legend


def test_any_name_of_a_class_is_drawn_as_it_is(tmp_path: Path) -> None:
    plot_det(result({"$a$ $\\frac": CURVE, "_noise": CURVE}), tmp_path / "a.svg")
    assert "_noise" in [text.get_text().strip() for text in drawn(result({"_noise": CURVE})).legends[0].get_texts()]


def test_a_file_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"plot=.*expected a name that ends with"):
        plot_det(result({}), tmp_path / "a.gif")
    plot_det(result({"wren": CURVE}), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FileNotFoundError):
        plot_det(result({"wren": CURVE}), tmp_path / "none/a.png")
