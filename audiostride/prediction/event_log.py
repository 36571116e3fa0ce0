"""Events kept as they were found, from which pictures, rates and clips are made."""

import json
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

from audiostride.prediction.events import Event


def event_lines(events: Iterable[Event]) -> str:
    """Write events, a line each."""
    return "".join(json.dumps(astuple(event)) + "\n" for event in events)


def read_events(path: Path, start: int, end: int) -> list[Event]:
    """Read the events that `event_lines` wrote into the bytes from `start` to `end` of a file."""
    with path.open("rb") as file:
        file.seek(start)
        return [Event(*json.loads(line)) for line in file.read(end - start).splitlines()]
