"""What makes a detection: the threshold, windows that confirm it, smoothing, and a refractory time."""

from pathlib import Path

import numpy as np
import pytest

from audiostride.errors import ArgumentError
from audiostride.prediction.detector import Detector, Rules
from audiostride.prediction.events import Event, EventMerger
from audiostride.prediction.selection import Selection
from audiostride.prediction.stream import WindowResult

SELECTION = Selection({"bird": ("wren", "owl")}, {"bird": 2}, {"bird": np.array([0.5, 0.5])})


def events(values: list[tuple[float, float]], rules: Rules, hop_s: float = 0.5) -> list[list[Event]]:
    detector = Detector(SELECTION, rules)
    windows = (
        WindowResult(Path("a.wav"), i * hop_s, i * hop_s + 1, {"bird": np.array(pair)}) for i, pair in enumerate(values)
    )
    return [detector.add(window) for window in windows]


def test_without_rules_a_window_above_its_threshold_is_a_detection() -> None:
    assert events([(0.4, 0.6), (0.7, 0.55)], Rules()) == [
        [Event(0.0, 1.0, "bird", "owl", 0.6)],
        [Event(0.5, 1.5, "bird", "wren", 0.7), Event(0.5, 1.5, "bird", "owl", 0.55)],
    ]


def test_confirmation_counts_the_windows_of_one_class() -> None:
    """Two of three: the owl's hits do not confirm the wren, and a hit that is too old does not count."""
    found = events([(0.9, 0.1), (0.1, 0.9), (0.1, 0.1), (0.8, 0.1), (0.1, 0.1), (0.6, 0.1)], Rules(confirm=(2, 3)))
    assert [[(e.name, e.start_s, e.end_s, e.probability) for e in of] for of in found] == [
        [],
        [],
        [],
        [],
        [],
        [("wren", 1.5, 3.5, 0.8)],
    ]


def test_a_window_below_the_threshold_is_no_detection_however_many_before_were() -> None:
    assert events([(0.9, 0.0), (0.9, 0.0), (0.1, 0.0)], Rules(confirm=(2, 3)))[2] == []


def test_smoothing_averages_the_windows_of_the_past_seconds() -> None:
    found = events([(0.9, 0.0), (0.3, 0.0), (0.3, 0.0), (0.9, 0.0)], Rules(smooth_s=0.5))
    assert [[round(e.probability, 9) for e in of] for of in found] == [[0.9], [0.6], [], [0.6]]


def test_detections_within_the_refractory_time_are_one_event() -> None:
    def n_events(refractory_s: float) -> tuple[int, int]:
        rules = Rules(refractory_s=refractory_s)
        merger = EventMerger(rules.gap_s)
        values = [(0.9, 0.0), (0.1, 0.0), (0.1, 0.0), (0.1, 0.0), (0.9, 0.0)]  # ends at 1 s, begins again at 2 s
        n_new = sum(merger.add(event) for of_window in events(values, rules) for event in of_window)
        return n_new, len(merger.events())

    assert n_events(0.9) == (2, 2)
    assert n_events(1.0) == (1, 1)


@pytest.mark.parametrize("confirm", [(0, 1), (3, 2), (1, 10**6)])
def test_a_confirmation_that_cannot_be(confirm: tuple[int, int]) -> None:
    with pytest.raises(ArgumentError, match="expected K/N"):
        Rules(confirm=confirm)


@pytest.mark.parametrize(("name", "value"), [("refractory_s", -1), ("smooth_s", float("nan"))])
def test_seconds_that_cannot_be(name: str, value: float) -> None:
    with pytest.raises(ArgumentError, match="expected seconds"):
        Rules(**{name: value})  # type: ignore[arg-type]
