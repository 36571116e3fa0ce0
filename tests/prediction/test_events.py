"""Windows of a class that touch are one event."""

import pytest

from audiostride.prediction.events import Event, EventMerger


def merged(*windows: tuple[float, float, str, float]) -> list[tuple[float, float, str, float]]:
    merger = EventMerger()
    for start_s, end_s, name, probability in windows:
        merger.add(Event(start_s, end_s, "bird", name, probability))
    return [(event.start_s, event.end_s, event.name, event.probability) for event in merger.events()]


@pytest.mark.parametrize(("second_s", "n_events"), [(0.5, 1), (1.0, 1), (1.01, 2)])
def test_windows_that_overlap_or_touch_are_one(second_s: float, n_events: int) -> None:
    assert len(merged((0, 1, "wren", 0.6), (second_s, second_s + 1, "wren", 0.7))) == n_events


def test_windows_touch_in_spite_of_rounding() -> None:
    assert len(merged((0, 0.1 + 0.2, "wren", 0.6), (0.3, 0.6, "wren", 0.6))) == 1
    assert len(merged((0, 0.3, "wren", 0.6), (0.1 + 0.2, 0.6, "wren", 0.6))) == 1


def test_a_stream_keeps_no_event_that_is_over() -> None:
    merger = EventMerger(keep=False)
    assert [merger.add(Event(i, i + 0.5, "bird", "wren", 0.6)) for i in range(100)] == [True] * 100
    assert [event.start_s for event in merger.events()] == [99]


def test_the_probability_is_the_highest() -> None:
    assert merged((0, 1, "wren", 0.6), (0.5, 1.5, "wren", 0.9), (1, 2, "wren", 0.7)) == [(0, 2, "wren", 0.9)]


def test_classes_are_merged_apart_and_sorted_by_start() -> None:
    windows = (0, 1, "wren", 0.6), (0.5, 1.5, "owl", 0.9), (1, 2, "wren", 0.7), (4, 5, "owl", 0.8)
    assert merged(*windows) == [(0, 2, "wren", 0.7), (0.5, 1.5, "owl", 0.9), (4, 5, "owl", 0.8)]


def test_a_short_last_window_does_not_shorten_an_event() -> None:
    assert merged((0, 2, "wren", 0.6), (1, 1.5, "wren", 0.7)) == [(0, 2, "wren", 0.7)]
