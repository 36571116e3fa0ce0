"""What the outputs of a task mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from audiostride.vocabulary import Kind


@dataclass(frozen=True)
class Traits:
    """What the outputs of a task mean.

    Attributes:
        kind: `single`, one class of several, whose probabilities add up to 1; or `multilabel`, any number of classes.
        background: the class that means nothing and is never shown, if there is one.
        thresholds: the probability per class from which on it is a detection; empty where none were chosen.
    """

    kind: Kind = "single"
    background: str | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def check(self, classes: Sequence[str]) -> None:
        """Raise ValueError for what cannot be true of a task with these classes."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"its kind of task {self.kind!r} is none of {', '.join(get_args(Kind))}")
        if self.kind == "single" and len(classes) < 2:
            raise ValueError("a task of one class each needs at least two classes")
        if self.background is not None and self.background not in classes:
            raise ValueError(f"its background {self.background!r} is no class of the task")
        for name, value in self.thresholds.items():
            if name not in classes or isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError("its thresholds are no numbers per class")
            if not 0 <= value <= 1:
                raise ValueError(f"its threshold of {name!r} is {value}, expected a probability from 0 to 1")
