"""Which classes of a window or a file are shown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audiostride.errors import ArgumentError
from audiostride.prediction.model import WindowModel
from audiostride.prediction.stream import Probabilities
from audiostride.vocabulary import EVENT_THRESHOLD

Thresholds = npt.NDArray[np.float64]  # (class,)

TOP_K = 3  # classes of a task that are shown


@dataclass(frozen=True)
class Shown:
    """A class that is shown, and its place among all."""

    rank: int
    name: str
    probability: float


@dataclass(frozen=True)
class Selection:
    """Which classes are shown: of every task at most `top_k`, with their threshold or more; of a file always the best.

    A class whose threshold is infinite, as that of a background is, is never shown and has no rank.

    Shape:
        thresholds: per task `(class,)`.
    """

    classes: Mapping[str, Sequence[str]]
    top_k: Mapping[str, int]
    thresholds: Mapping[str, Thresholds]

    def of(self, probabilities: Mapping[str, Probabilities], *, best: bool = False) -> dict[str, list[Shown]]:
        """Select classes per task, the likeliest first; with `best` the likeliest whatever its probability."""
        return {task: self._of_task(task, values, best=best) for task, values in probabilities.items()}

    def _of_task(self, task: str, values: Probabilities, *, best: bool) -> list[Shown]:
        names, least = self.classes[task], self.thresholds[task]
        if not best and not (values >= least).any():  # as of most windows, which need no order then
            return []
        order = [i for i in np.argsort(-values, kind="stable").tolist() if least[i] < math.inf][: self.top_k[task]]
        return [
            Shown(rank, names[i], float(values[i]))
            for rank, i in enumerate(order, 1)
            if values[i] >= least[i] or (best and rank == 1)
        ]


def check_threshold(threshold: float | None) -> None:
    """Raise ArgumentError for a threshold that is no probability; None is none."""
    if threshold is not None and not 0 <= threshold <= 1:
        raise ArgumentError("threshold", f"{threshold:g}", "expected a probability from 0 to 1")


def select(
    model: WindowModel,
    tasks: Sequence[str],
    *,
    threshold: float | None = None,
    otherwise: float = EVENT_THRESHOLD,
    top_k: int | None = None,
    exclusive: bool = False,
) -> Selection:
    """Choose what is shown of a model's tasks.

    Args:
        model: whose own thresholds count unless `threshold` is given.
        tasks: which of the model's.
        threshold: of all classes.
        otherwise: threshold of a class that has none of its own.
        top_k: classes of a task; by default `TOP_K`, and all of a multi-label task.
        exclusive: of a task of one class each, show one class.
    """
    thresholds, n_shown = {}, {}
    for task in tasks:
        traits, names = model.traits[task], model.classes[task]
        own = [traits.thresholds.get(name, otherwise) if threshold is None else threshold for name in names]
        is_background = np.array([name == traits.background for name in names])
        thresholds[task] = np.where(is_background, math.inf, own)
        several = len(names) if traits.kind == "multilabel" else 1 if exclusive else TOP_K
        n_shown[task] = several if top_k is None else top_k
    return Selection({task: model.classes[task] for task in tasks}, n_shown, thresholds)
