"""Hits, misses and false alarms of events, per class and over all classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audiostride.evaluation.ratios import mean_of, ratio


@dataclass(frozen=True)
class EventCounts:
    """How many events were annotated and predicted, and how many pairs of them are hits, in `hours` of recordings.

    >>> counts = EventCounts(n_annotated=4, n_predicted=3, n_hits=2, hours=0.5)
    >>> counts.n_misses, counts.n_false_alarms, counts.recall, counts.false_alarms_per_hour
    (2, 1, 0.5, 2.0)
    """

    n_annotated: int
    n_predicted: int
    n_hits: int
    hours: float

    @property
    def n_misses(self) -> int:
        """Count the annotated events that are no hit."""
        return self.n_annotated - self.n_hits

    @property
    def n_false_alarms(self) -> int:
        """Count the predicted events that are no hit."""
        return self.n_predicted - self.n_hits

    @property
    def precision(self) -> float | None:
        """Give the share of hits among predicted events; None without any."""
        return ratio(self.n_hits, self.n_predicted)

    @property
    def recall(self) -> float | None:
        """Give the share of hits among annotated events; None without any."""
        return ratio(self.n_hits, self.n_annotated)

    @property
    def f1(self) -> float | None:
        """Give the harmonic mean of precision and recall; None where nothing is annotated or predicted."""
        return ratio(2 * self.n_hits, self.n_annotated + self.n_predicted)

    @property
    def miss_rate(self) -> float | None:
        """Give the share of misses among annotated events; None without any."""
        return ratio(self.n_misses, self.n_annotated)

    @property
    def false_alarms_per_hour(self) -> float | None:
        """Give the false alarms in an hour of recordings; None without recordings."""
        return ratio(self.n_false_alarms, self.hours)

    def as_dict(self) -> dict[str, Any]:
        """Give counts and measures as JSON takes them."""
        return {
            "n_annotated": self.n_annotated,
            "n_predicted": self.n_predicted,
            "n_hits": self.n_hits,
            "n_misses": self.n_misses,
            "n_false_alarms": self.n_false_alarms,
            **measures(self),
        }


@dataclass(frozen=True)
class MeanMeasures:
    """Measures averaged over classes; a measure that a class does not have is left out of its mean."""

    precision: float | None
    recall: float | None
    f1: float | None
    false_alarms_per_hour: float | None


def measures(of: EventCounts | MeanMeasures) -> dict[str, float | None]:
    """Give the measures by name."""
    return {
        "precision": of.precision,
        "recall": of.recall,
        "f1": of.f1,
        "false_alarms_per_hour": of.false_alarms_per_hour,
    }


@dataclass(frozen=True)
class EventScore:
    """The counts of every class, all of the same recordings."""

    classes: Mapping[str, EventCounts]
    hours: float

    @property
    def unannotated(self) -> tuple[str, ...]:
        """Name the classes without an annotated event; they have no recall, and are not averaged."""
        return tuple(name for name, counts in self.classes.items() if not counts.n_annotated)

    @property
    def micro(self) -> EventCounts:
        """Add up the events of all classes, those without annotated events too."""
        counts = self.classes.values()
        return EventCounts(
            sum(of.n_annotated for of in counts),
            sum(of.n_predicted for of in counts),
            sum(of.n_hits for of in counts),
            self.hours,
        )

    @property
    def macro(self) -> MeanMeasures:
        """Average the measures of the classes with annotated events."""
        counts = [of for of in self.classes.values() if of.n_annotated]
        return MeanMeasures(
            mean_of([of.precision for of in counts]),
            mean_of([of.recall for of in counts]),
            mean_of([of.f1 for of in counts]),
            mean_of([of.false_alarms_per_hour for of in counts]),
        )

    def as_dict(self) -> dict[str, Any]:
        """Give everything as JSON takes it."""
        return {
            "hours": self.hours,
            "micro": self.micro.as_dict(),
            "macro": measures(self.macro),
            "classes": {name: counts.as_dict() for name, counts in self.classes.items()},
            "classes_without_annotated_events": list(self.unannotated),
        }
