"""How often each class is detected at each hour of the day, for what was recorded in that hour."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audiostride.data.dates import recorded_at
from audiostride.files import csv_text
from audiostride.prediction.events import Event
from audiostride.prediction.journal import Entry
from audiostride.prediction.tables import safe_cell

N_HOURS = 24
HOUR_S = 3600.0
COLUMNS = ("task", "class", "hour", "n_detections", "recorded_s", "detections_per_hour")


@dataclass(frozen=True)
class Hours:
    """Seconds that were recorded `(24,)` in each hour of the day, and detections `(24,)` that begin in it per class."""

    recorded_s: npt.NDArray[np.float64]
    n_detections: Mapping[tuple[str, str], npt.NDArray[np.int64]]

    def rates(self, task: str, name: str) -> npt.NDArray[np.float64]:
        """Compute the detections of a class per recorded hour `(24,)`; not a number where nothing was recorded."""
        rates = np.full(N_HOURS, np.nan)
        there = self.recorded_s > 0
        rates[there] = self.n_detections[task, name][there] / (self.recorded_s[there] / HOUR_S)
        return rates


def seconds_per_hour(begin: datetime, duration_s: float) -> npt.NDArray[np.float64]:
    """Share the length of a recording among the hours of the day `(24,)` that it lasts through.

    >>> seconds = seconds_per_hour(datetime(2024, 5, 1, 23, 59, 50), 30)
    >>> {hour: float(seconds[hour]) for hour in seconds.nonzero()[0].tolist()}
    {0: 20.0, 23: 10.0}
    """
    seconds = np.zeros(N_HOURS)
    hour, until_next_s = begin.hour, HOUR_S - 60 * begin.minute - begin.second
    while duration_s > 0:
        seconds[hour] += min(duration_s, until_next_s)
        duration_s -= until_next_s
        hour, until_next_s = (hour + 1) % N_HOURS, HOUR_S
    return seconds


def count_hours(
    recordings: Iterable[tuple[Entry, Sequence[Event]]], sample_rate: int, classes: Iterable[tuple[str, str]]
) -> Hours | None:
    """Count detections and what was recorded per hour of the day, of recordings whose names hold date and time.

    Args:
        recordings: each with its events.
        sample_rate: Hz in which their lengths are given.
        classes: tasks and classes that can be detected.

    Returns:
        None if no name holds date and time.
    """
    recorded_s, n_dated = np.zeros(N_HOURS), 0
    n_detections = {key: np.zeros(N_HOURS, np.int64) for key in classes}
    for entry, events in recordings:
        begin = recorded_at(Path(entry.path))
        if begin is None:
            continue
        n_dated += 1
        recorded_s += seconds_per_hour(begin, entry.n_samples / sample_rate)
        for event in events:
            hour = (begin + timedelta(seconds=round(event.start_s, 3))).hour
            n_detections[event.task, event.name][hour] += 1
    return Hours(recorded_s, n_detections) if n_dated else None


def hours_text(hours: Hours, *, safe: bool) -> str:
    """Write a row per class and hour of the day as CSV; the rate is empty where nothing was recorded.

    Args:
        hours: what was counted.
        safe: put an apostrophe before names that a spreadsheet would run.
    """
    rows: list[Sequence[object]] = [COLUMNS]
    for task, name in hours.n_detections:
        counts, rates = hours.n_detections[task, name], hours.rates(task, name)
        for hour in range(N_HOURS):
            rate = "" if np.isnan(rates[hour]) else f"{rates[hour]:.4f}"
            shown = safe_cell(name) if safe else name
            rows.append((task, shown, hour, counts[hour], f"{hours.recorded_s[hour]:.3f}", rate))
    return csv_text(rows)
