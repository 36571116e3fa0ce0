"""Annotated and predicted events of many recordings, counted at any threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from audiostride.datasets.annotations import Annotated
from audiostride.evaluation.det_curves import DetCurve, det_curve, spread_thresholds
from audiostride.evaluation.event_matching import TOLERANCE_S, Criterion, Spans, as_spans, match
from audiostride.evaluation.event_scores import EventCounts, EventScore
from audiostride.prediction.detector import Rules
from audiostride.prediction.track import Times, Track

SECONDS_PER_HOUR = 3600.0
DECIMALS = 6  # of seconds


@dataclass(frozen=True)
class MarkedEvent:
    """An event of a recording, annotated or predicted, and whether it is half of a hit."""

    start_s: float
    end_s: float
    name: str
    is_hit: bool


@dataclass(frozen=True)
class RecordingEvents:
    """The events of a recording in the order of their start."""

    path: Path
    duration_s: float
    annotated: Sequence[MarkedEvent]
    predicted: Sequence[MarkedEvent]


@dataclass(frozen=True)
class RecordingAxis:
    """Recordings end to end on one axis of time, so that a class is matched in all of them at once.

    Attributes:
        gap_s: of time between two recordings, which no two events that fit can bridge.
    """

    recordings: Sequence[Annotated]
    durations_s: Sequence[float]
    gap_s: float

    @property
    def offsets_s(self) -> Times:
        """Give the start of every recording."""
        lengths = np.array([*self.durations_s]) + self.gap_s
        offsets: Times = np.cumsum(lengths) - lengths
        return offsets

    @property
    def hours(self) -> float:
        """Give the hours of all recordings."""
        return sum(self.durations_s) / SECONDS_PER_HOUR

    def annotated(self, name: str) -> Spans:
        """Give the annotated events of a class."""
        spans = [
            (start_s + offset, end_s + offset)
            for recording, offset in zip(self.recordings, self.offsets_s.tolist(), strict=True)
            for start_s, end_s, label in recording.spans
            if label == name
        ]
        return as_spans(spans)


class EventScorer:
    """Events of every class at any thresholds, matched with the annotated ones.

    Args:
        columns: the classes that count, each with its place among the probabilities of a window.
        axis: the annotated recordings.
        track: their windows, on that axis.
        criterion: which annotated and predicted events fit.
        rules: what makes a detection beside the threshold.
    """

    def __init__(
        self, columns: Mapping[str, int], axis: RecordingAxis, track: Track, criterion: Criterion, rules: Rules
    ) -> None:
        self.columns, self.axis, self.criterion, self.rules = columns, axis, criterion, rules
        self.track = track.smoothed(rules.smooth_s)
        self.annotated = {name: axis.annotated(name) for name in columns}

    def predicted(self, name: str, threshold: float) -> Spans:
        """Find the events of a class at a threshold."""
        return self.track.events(self.columns[name], threshold, self.rules)

    def count(self, name: str, threshold: float) -> EventCounts:
        """Count the events of a class at a threshold."""
        annotated, predicted = self.annotated[name], self.predicted(name, threshold)
        n_hits = len(match(annotated, predicted, self.criterion))
        return EventCounts(len(annotated), len(predicted), n_hits, self.axis.hours)

    def score(self, thresholds: Mapping[str, float]) -> EventScore:
        """Count the events of all classes, each at a threshold of its own."""
        return EventScore({name: self.count(name, thresholds[name]) for name in self.columns}, self.axis.hours)

    def curve(self, thresholds: Mapping[str, float]) -> DetCurve | None:
        """Move one threshold of all classes; `thresholds` are among its values."""
        values = spread_thresholds(self.track.probabilities[:, list(self.columns.values())])
        tried = [*values.tolist(), *thresholds.values()]
        return det_curve(tried, lambda threshold: self.score(dict.fromkeys(self.columns, threshold)).micro)

    def curves(self, thresholds: Mapping[str, float]) -> dict[str, DetCurve]:
        """Move the threshold of each class that has annotated events; that of `thresholds` is among its values."""
        found = {}
        for name, column in self.columns.items():
            if not len(self.annotated[name]):
                continue
            tried = [*spread_thresholds(self.track.probabilities[:, column]).tolist(), thresholds[name]]
            if (curve := det_curve(tried, partial(self.count, name))) is not None:
                found[name] = curve
        return found

    def recordings(self, thresholds: Mapping[str, float]) -> list[RecordingEvents]:
        """Give the events of every recording, with what is a hit."""
        offsets_s = self.axis.offsets_s
        annotated: list[list[MarkedEvent]] = [[] for _ in offsets_s]
        predicted: list[list[MarkedEvent]] = [[] for _ in offsets_s]
        for name in self.columns:
            spans = self.annotated[name], self.predicted(name, thresholds[name])
            pairs = match(*spans, self.criterion)
            for of_recording, events, paired in zip((annotated, predicted), spans, pairs.T, strict=True):
                hits = set(paired.tolist())
                owners = np.searchsorted(offsets_s, events[:, 0] + TOLERANCE_S, "right") - 1
                for i, owner in enumerate(owners.tolist()):
                    start_s, end_s = (events[i] - offsets_s[owner]).round(DECIMALS).tolist()
                    of_recording[owner].append(MarkedEvent(start_s, end_s, name, i in hits))
        return [
            RecordingEvents(recording.path, duration_s, _in_order(marked), _in_order(found))
            for recording, duration_s, marked, found in zip(
                self.axis.recordings, self.axis.durations_s, annotated, predicted, strict=True
            )
        ]


def _in_order(events: Sequence[MarkedEvent]) -> list[MarkedEvent]:
    return sorted(events, key=lambda event: (event.start_s, event.name))
