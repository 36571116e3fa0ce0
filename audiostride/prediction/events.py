"""Neighbouring windows of one class as one event."""

from dataclasses import dataclass

GAP_S = 1e-6  # of windows that touch, for rounding


@dataclass(frozen=True)
class Event:
    """A stretch of a recording; its probability is the highest of its windows."""

    start_s: float
    end_s: float
    task: str
    name: str  # of the class
    probability: float


class EventMerger:
    """Windows in the order of time to events, one after the other for every class.

    Args:
        gap_s: windows of a class that lie no further apart are one event.
        keep: events that are over; of a stream that never ends they would fill the memory.

    >>> merger = EventMerger()
    >>> for start_s, probability in [(0.0, 0.6), (0.5, 0.9), (4.0, 0.7)]:
    ...     merger.add(Event(start_s, start_s + 1, "bird", "wren", probability))
    True
    False
    True
    >>> [(event.start_s, event.end_s, event.probability) for event in merger.events()]
    [(0.0, 1.5, 0.9), (4.0, 5.0, 0.7)]
    """

    def __init__(self, gap_s: float = GAP_S, *, keep: bool = True) -> None:
        self.gap_s, self.keep = gap_s, keep
        self._done: list[Event] = []
        self._open: dict[tuple[str, str], Event] = {}

    def add(self, window: Event) -> bool:
        """Lengthen the open event of the class if the window is near enough, else begin one; tell whether it is new."""
        key = window.task, window.name
        before = self._open.get(key)
        if before is None or window.start_s > before.end_s + self.gap_s:
            if before is not None and self.keep:
                self._done.append(before)
            self._open[key] = window
            return True
        highest = max(before.probability, window.probability)
        self._open[key] = Event(before.start_s, max(before.end_s, window.end_s), *key, highest)
        return False

    def events(self) -> list[Event]:
        """Give all that are kept, in the order of their start."""
        return sorted((*self._done, *self._open.values()), key=lambda event: (event.start_s, event.task, event.name))
