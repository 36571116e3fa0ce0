"""What the windows of a recording say together: the highest probability of every class, and its events."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from audiostride.prediction.detector import Detector, Rules
from audiostride.prediction.events import Event, EventMerger
from audiostride.prediction.selection import Selection
from audiostride.prediction.stream import Probabilities, WindowResult


@dataclass(frozen=True)
class ClassSummary:
    """A class in a recording: its highest probability in a window, its events, where the first begins, the last ends.

    Without events `first_s` and `last_s` are None.
    """

    maximum: float
    n_events: int
    first_s: float | None
    last_s: float | None


@dataclass(frozen=True)
class Summary:
    """The highest window probabilities `(class,)` per task, and the events in the order of their start."""

    classes: Mapping[str, Sequence[str]]
    maxima: Mapping[str, Probabilities]
    events: Sequence[Event]
    _of_class: dict[tuple[str, str], list[Event]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the events by class."""
        of_class = defaultdict(list)
        for event in self.events:
            of_class[event.task, event.name].append(event)
        object.__setattr__(self, "_of_class", dict(of_class))

    def of(self, task: str, name: str) -> ClassSummary:
        """Summarize a class."""
        maximum = float(self.maxima[task][self.classes[task].index(name)])
        events = self._of_class.get((task, name), [])
        return ClassSummary(
            maximum, len(events), events[0].start_s if events else None, events[-1].end_s if events else None
        )


class Summarizer:
    """Windows of one recording, in the order of time, to its summary.

    Args:
        selection: whose thresholds make a detection.
        rules: what makes one beside them.
    """

    def __init__(self, selection: Selection, rules: Rules) -> None:
        self.classes = selection.classes
        self.detector, self.merger = Detector(selection, rules), EventMerger(rules.gap_s)
        self.maxima: dict[str, Probabilities] = {}

    def add(self, window: WindowResult) -> None:
        """Count a window."""
        for task, values in window.probabilities.items():
            self.maxima[task] = np.maximum(self.maxima[task], values) if task in self.maxima else values
        for event in self.detector.add(window):
            self.merger.add(event)

    def summary(self) -> Summary:
        """Summarize the windows so far."""
        return Summary(self.classes, self.maxima, self.merger.events())
