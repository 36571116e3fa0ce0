"""All windows at once give the events that a stream of them gives."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostride.prediction.detector import Detector, Rules
from audiostride.prediction.events import EventMerger
from audiostride.prediction.selection import Selection
from audiostride.prediction.stream import WindowResult
from audiostride.prediction.track import Track

HOP_S, WINDOW_S = 0.5, 1.0
Values = Sequence[float]


def track(values: Values) -> Track:
    starts_s = HOP_S * np.arange(len(values))
    probabilities = np.reshape(values, (-1, 1)).astype(float)
    return Track(np.zeros(len(values), np.intp), starts_s, starts_s + WINDOW_S, probabilities)


def events(values: Values, threshold: float, rules: Rules) -> list[list[float]]:
    found: list[list[float]] = track(values).smoothed(rules.smooth_s).events(0, threshold, rules).tolist()
    return found


def streamed(values: Values, threshold: float, rules: Rules) -> list[list[float]]:
    """The same, window by window."""
    selection = Selection({"bird": ("wren",)}, {"bird": 1}, {"bird": np.array([threshold])})
    detector, merger = Detector(selection, rules), EventMerger(rules.gap_s)
    for i, value in enumerate(values):
        window = WindowResult(Path("a"), HOP_S * i, HOP_S * i + WINDOW_S, {"bird": np.array([value])})
        for event in detector.add(window):
            merger.add(event)
    return [[event.start_s, event.end_s] for event in merger.events()]


def test_windows_that_reach_the_threshold_and_touch_are_one_event() -> None:
    assert events([0.5, 0.9, 0.1, 0.1, 0.7], 0.5, Rules()) == [[0.0, 1.5], [2.0, 3.0]]


def test_two_of_three_confirm_and_the_event_begins_with_the_first() -> None:
    assert events([0.9, 0.1, 0.8, 0.1, 0.1, 0.9], 0.5, Rules(confirm=(2, 3))) == [[0.0, 2.0]]


@pytest.mark.parametrize(("refractory_s", "n_events"), [(0.9, 2), (1.0, 1)])
def test_a_refractory_time_joins_events(refractory_s: float, n_events: int) -> None:
    rules = Rules(refractory_s=refractory_s)
    assert len(events([0.9, 0.1, 0.1, 0.1, 0.9], 0.5, rules)) == n_events  # ends at 1 s, begins again at 2 s


def test_nothing_is_detected_without_windows_or_above_all() -> None:
    assert events([], 0.5, Rules()) == []
    assert events([0.2, 0.3], 0.5, Rules(smooth_s=1)) == []


eighths = st.lists(st.integers(0, 8).map(lambda value: value / 8), max_size=30)
rules = st.builds(
    Rules,
    confirm=st.sampled_from([(1, 1), (1, 3), (2, 2), (2, 3), (3, 5)]),
    refractory_s=st.sampled_from([0.0, 0.5, 1.0, 2.3]),
    smooth_s=st.sampled_from([0.0, 0.5, 1.7, 100.0]),
)
thresholds = st.integers(0, 20).map(lambda value: value / 20 + 0.0123)  # no mean of eighths


@given(eighths, thresholds, rules)
def test_the_events_are_those_of_the_stream(values: list[float], threshold: float, rules: Rules) -> None:
    assert events(values, threshold, rules) == streamed(values, threshold, rules)


@given(st.lists(eighths, min_size=1, max_size=4), thresholds, rules)
def test_recordings_on_one_axis_do_not_touch_each_other(
    recordings: list[list[float]], threshold: float, rules: Rules
) -> None:
    offsets_s = 20.0 * np.arange(len(recordings))
    joined = Track.joined([track(values) for values in recordings], offsets_s).smoothed(rules.smooth_s)
    expected = [
        [start_s + offset, end_s + offset]
        for values, offset in zip(recordings, offsets_s.tolist(), strict=True)
        for start_s, end_s in streamed(values, threshold, rules)
    ]
    assert joined.events(0, threshold, rules).tolist() == expected
