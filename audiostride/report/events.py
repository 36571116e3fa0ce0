"""What a report says of annotated events: how many are found, and what the busiest minutes look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiostride.data.audio import BadAudioError
from audiostride.errors import DataError
from audiostride.evaluation.event_matching import Criterion, Overlap
from audiostride.report.clips import band_hz, hear
from audiostride.report.event_figures import MAX_LANES, det_picture, event_picture, lanes
from audiostride.report.figures import Picture
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.event_scorer import MarkedEvent, RecordingEvents
from audiostride.runs.event_scoring import LIMITS_PER_HOUR, EventResult

N_MINUTES = 3
MINUTE_S = 60.0


@dataclass(frozen=True)
class Minute:
    """A minute of a recording, or its rest, and the events that touch it."""

    path: Path
    span_s: tuple[float, float]
    annotated: Sequence[MarkedEvent]
    predicted: Sequence[MarkedEvent]

    @property
    def n_events(self) -> int:
        """Count annotated and detected events."""
        return len(self.annotated) + len(self.predicted)


@dataclass(frozen=True)
class MinuteReport:
    """A minute as the page shows it; `n_left_out` classes with events have no place in the picture."""

    minute: Minute
    picture: Picture
    n_left_out: int


@dataclass(frozen=True)
class LimitRow:
    """The fewest misses at a number of false alarms per hour: of one threshold for all classes."""

    limit: float
    miss_rate: float
    threshold: float | None


@dataclass(frozen=True)
class EventReport:
    """All that the page shows of events; `matching` says in words what a hit is."""

    result: EventResult
    matching: str
    curves: Picture | None
    limits: Sequence[LimitRow]
    minutes: Sequence[MinuteReport]


def _touching(events: Sequence[MarkedEvent], span_s: tuple[float, float]) -> list[MarkedEvent]:
    start_s, end_s = span_s
    return [event for event in events if event.start_s < end_s and max(event.end_s, event.start_s + 1e-9) > start_s]


def _minutes(recording: RecordingEvents) -> list[Minute]:
    """Cut a recording into minutes."""
    found = []
    for start_s in np.arange(0.0, recording.duration_s, MINUTE_S).tolist():
        span_s = start_s, min(start_s + MINUTE_S, recording.duration_s)
        annotated, predicted = _touching(recording.annotated, span_s), _touching(recording.predicted, span_s)
        found.append(Minute(recording.path, span_s, annotated, predicted))
    return found


def busiest_minutes(recordings: Sequence[RecordingEvents]) -> list[Minute]:
    """Give the minutes with the most annotated and detected events, the busiest first; none without events."""
    minutes = [minute for recording in recordings for minute in _minutes(recording) if minute.n_events]
    return sorted(minutes, key=lambda minute: -minute.n_events)[:N_MINUTES]


def _picture(checkpoint: Checkpoint, minute: Minute) -> Picture:
    start_s, end_s = minute.span_s
    try:
        log_mel = hear(checkpoint, minute.path, start_s, end_s - start_s).log_mel
    except BadAudioError as error:  # it was good a moment ago
        raise DataError(f"{minute.path}: {error}") from error
    counts = f"{len(minute.annotated)} annotated and {len(minute.predicted)} detected events"
    alt = f"Log-mel spectrogram of {minute.path.name} from {start_s:g} to {end_s:g} s, with {counts}"
    return event_picture(
        log_mel, band_hz(checkpoint), minute.span_s, annotated=minute.annotated, predicted=minute.predicted, alt=alt
    )


def _minute_report(checkpoint: Checkpoint, minute: Minute) -> MinuteReport:
    n_classes = len({event.name for event in (*minute.annotated, *minute.predicted)})
    n_drawn = len(lanes(minute.annotated, minute.predicted))
    assert n_drawn <= MAX_LANES
    return MinuteReport(minute, _picture(checkpoint, minute), n_classes - n_drawn)


def matching_in_words(criterion: Criterion) -> str:
    """Say what a hit is.

    >>> matching_in_words(Overlap(0.2))
    'their intersection is at least 0.2 of their union'
    """
    if isinstance(criterion, Overlap):
        return f"their intersection is at least {criterion.min_iou:g} of their union"
    length = f"{criterion.offset_share:g} of the annotated event's length"
    return f"their onsets differ by {criterion.collar_s:g} s at most, and their offsets by that or {length}"


def _limits(result: EventResult) -> list[LimitRow]:
    if result.curve is None:
        return []
    best = [(limit, result.curve.best_at(limit)) for limit in LIMITS_PER_HOUR]
    return [LimitRow(limit, at.miss_rate, at.threshold if at.threshold <= 1 else None) for limit, at in best]


def event_report(checkpoint: Checkpoint, result: EventResult) -> EventReport:
    """Collect what the page shows of events.

    Raises:
        DataError: a recording is gone since it was scored.
    """
    return EventReport(
        result=result,
        matching=matching_in_words(result.settings.criterion),
        curves=None if result.curve is None else det_picture(result),
        limits=_limits(result),
        minutes=[_minute_report(checkpoint, minute) for minute in busiest_minutes(result.recordings)],
    )
