"""Which windows are detections: probabilities smoothed over time, held against thresholds, and confirmed."""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audiostride.errors import ArgumentError
from audiostride.prediction.events import GAP_S, Event
from audiostride.prediction.selection import Selection
from audiostride.prediction.stream import Probabilities, WindowResult

MAX_CONFIRM = 1000  # windows
MAX_SECONDS = 86400.0


@dataclass(frozen=True)
class Rules:
    """What makes a detection beside the threshold.

    Attributes:
        confirm: of the last n windows, k must reach the threshold.
        refractory_s: detections of a class that are no more than so many seconds apart are one event.
        smooth_s: probabilities are averaged over the windows that began in the last so many seconds.

    Raises:
        ArgumentError: a value out of range.
    """

    confirm: tuple[int, int] = (1, 1)
    refractory_s: float = 0.0
    smooth_s: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        k, n = self.confirm
        if not 1 <= k <= n <= MAX_CONFIRM:
            raise ArgumentError("confirm", f"{k}/{n}", f"expected K/N, 1 <= K <= N <= {MAX_CONFIRM}")
        for name, value in (("refractory", self.refractory_s), ("smooth", self.smooth_s)):
            if not 0 <= value <= MAX_SECONDS:
                raise ArgumentError(name, f"{value:g}", f"expected seconds, 0 to {MAX_SECONDS:g}")

    @property
    def gap_s(self) -> float:
        """Say how far apart two windows of one event may lie."""
        return max(GAP_S, self.refractory_s)


class Detector:
    """Windows of one recording, in the order of time, to the classes that are detected in them.

    Nothing but past windows counts, so that a stream and a recording give the same detections. The event of a window
    begins with the first of the windows that confirm it.

    Args:
        selection: whose thresholds are used.
        rules: what makes a detection beside them.

    >>> from pathlib import Path
    >>> selection = Selection({"bird": ("wren",)}, {"bird": 1}, {"bird": np.array([0.5])})
    >>> detector = Detector(selection, Rules(confirm=(2, 3)))
    >>> for i, p in enumerate([0.9, 0.1, 0.8, 0.2]):
    ...     window = WindowResult(Path("a.wav"), i, i + 1, {"bird": np.array([p])})
    ...     print([(event.start_s, event.end_s, event.probability) for event in detector.add(window)])
    []
    []
    [(0, 3, 0.9)]
    []
    """

    def __init__(self, selection: Selection, rules: Rules) -> None:
        self.selection, self.rules = selection, rules
        self._recent: deque[tuple[float, Mapping[str, Probabilities]]] = deque()
        self._hits: dict[tuple[str, str], deque[tuple[int, float, float]]] = defaultdict(deque)
        self._n_windows = 0

    def _smooth(self, window: WindowResult) -> Mapping[str, Probabilities]:
        """Average the probabilities of this window and of those before it that are not too old."""
        if not self.rules.smooth_s:
            return window.probabilities
        self._recent.append((window.start_s, window.probabilities))
        while self._recent[0][0] < window.start_s - self.rules.smooth_s - GAP_S:
            self._recent.popleft()
        return {task: np.mean([of[task] for _, of in self._recent], axis=0) for task in window.probabilities}

    def add(self, window: WindowResult) -> list[Event]:
        """Give an event for every class that is detected at this window."""
        k, n = self.rules.confirm
        self._n_windows += 1
        events = []
        for task, classes in self.selection.of(self._smooth(window)).items():
            for shown in classes:
                hits = self._hits[task, shown.name]
                hits.append((self._n_windows, window.start_s, shown.probability))
                while hits[0][0] <= self._n_windows - n:
                    hits.popleft()
                if len(hits) >= k:
                    highest = max(probability for *_, probability in hits)
                    events.append(Event(hits[0][1], window.end_s, task, shown.name, highest))
        return events
