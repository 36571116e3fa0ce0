"""What a report says of one task beyond its scores: the classes confused most, and how sure the accuracy is."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audiostride.evaluation.scores import TaskScore

N_DRAWS = 1000
N_PAIRS = 10


@dataclass(frozen=True)
class ConfusedPair:
    """Files of the class `label` that are taken for `predicted`, and their share of all files of `label`."""

    label: str
    predicted: str
    n_files: int
    share: float


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix that is not empty: indices of its classes, and its share of its row."""

    row: int
    column: int
    n_files: int
    share: float


def cells(score: TaskScore) -> list[Cell]:
    """Give the cells of the confusion matrix that hold files, row by row."""
    return [Cell(i, j, n, n / sum(row)) for i, row in enumerate(score.confusion) for j, n in enumerate(row) if n]


def confused_pairs(score: TaskScore, n_pairs: int = N_PAIRS) -> list[ConfusedPair]:
    """Give the pairs of classes with most mistakes, the worst first; of as many, those with the larger share."""
    mistakes = [
        ConfusedPair(score.classes[cell.row], score.classes[cell.column], cell.n_files, cell.share)
        for cell in cells(score)
        if cell.row != cell.column
    ]
    return sorted(mistakes, key=lambda pair: (-pair.n_files, -pair.share, pair.label, pair.predicted))[:n_pairs]


def accuracy_interval(right: npt.NDArray[np.bool_], recordings: Sequence[Hashable]) -> tuple[float, float]:
    """Give the middle 95 % of the accuracies of recordings drawn with replacement: a bootstrap.

    Segments of one recording are drawn together, since they are no independent evidence.

    Args:
        right: whether each clip is classified correctly.
        recordings: the recording that each clip is from.

    Reference:
        Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics, 1979.

    >>> accuracy_interval(np.array([True, True, False, False]), ["a", "a", "b", "b"])
    (0.0, 1.0)
    """
    numbers: dict[Hashable, int] = {}
    owner = np.array([numbers.setdefault(recording, len(numbers)) for recording in recordings])
    n_right, n_clips = np.bincount(owner, right), np.bincount(owner)
    rng = np.random.default_rng(0)
    accuracies = []
    for _ in range(N_DRAWS):
        drawn = rng.integers(len(numbers), size=len(numbers))
        accuracies.append(n_right[drawn].sum() / n_clips[drawn].sum())
    low, high = np.quantile(accuracies, (0.025, 0.975)).tolist()
    return low, high
