"""Events kept as they were found, from which rates and clips are made."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

from audiostride.prediction.events import Event
from audiostride.prediction.journal import Entry


def event_lines(events: Iterable[Event]) -> str:
    """Write events, a line each."""
    return "".join(json.dumps(astuple(event)) + "\n" for event in events)


def read_events(path: Path, entries: Sequence[Entry]) -> Iterator[tuple[Entry, list[Event]]]:
    """Read the events of every recording again.

    Args:
        path: of a file that begins with what `event_lines` wrote of one recording after the other.
        entries: of the recordings in that order; the last of their ends are those in this file.
    """
    with path.open("rb") as file:
        for entry in entries:
            lines = file.read(entry.ends[-1] - file.tell()).splitlines()
            yield entry, [Event(*json.loads(line)) for line in lines]
