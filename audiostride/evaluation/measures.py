"""How well a task is solved, as one number: accuracy, macro F1 or mean average precision."""

from collections.abc import Mapping
from typing import Literal, cast

import torch
from torch import Tensor

from audiostride.data.targets import membership
from audiostride.evaluation.majority import most_frequent
from audiostride.evaluation.ratios import mean_of
from audiostride.vocabulary import Kind, Measure

IMBALANCE = 3  # times as many clips of the most frequent class as of the rarest: accuracy would hide the rare ones
NAMES: Mapping[Measure, str] = {"accuracy": "accuracy", "macro_f1": "macro F1", "map": "mAP"}


def kind_of(labels: Tensor) -> Kind:
    """Tell the kind of a task by its labels: `(clip,)` class indices, or `(clip, class)` yes and no."""
    return "single" if labels.ndim == 1 else "multilabel"


def choose_measure(setting: Measure | Literal["auto"], labels: Tensor) -> Measure:
    """Choose the measure by which the best checkpoint is found.

    By default it is mean average precision of a multi-label task, which needs no threshold; macro F1 where a class
    has `IMBALANCE` times the clips of another or more, since an accuracy says nothing of the rare classes then; else
    the accuracy.
    """
    if setting != "auto":
        return setting
    if kind_of(labels) == "multilabel":
        return "map"
    counts = labels.bincount()
    counts = counts[counts > 0]
    return "macro_f1" if len(counts) and counts.max() >= IMBALANCE * counts.min() else "accuracy"


def decide(logits: Tensor, kind: Kind) -> Tensor:
    """Decide for the likeliest class, or for every class that is likelier than not: `(clip, class)`, bool."""
    return logits > 0 if kind == "multilabel" else membership(logits.argmax(1), logits.shape[1])


def _ranks(scores: Tensor) -> Tensor:
    """Give scores between 0 and 1 in the same order; no sigmoid, which makes large ones equal."""
    values, ranks = torch.unique(scores, return_inverse=True)
    return cast(Tensor, ranks.double() / len(values))


def average_precisions(scores: Tensor, truth: Tensor) -> list[float | None]:
    """Compute the average precision of every class; None for a class that no clip has.

    Shape:
        scores: `(clip, class)`, the higher the likelier. truth: `(clip, class)`, bool.
    """
    from torchmetrics.functional.classification import binary_average_precision  # slow to import

    return [
        binary_average_precision(_ranks(of_class), present.long()).item() if present.any() else None
        for of_class, present in zip(scores.T, truth.T, strict=True)
    ]


def f1_scores(decided: Tensor, truth: Tensor) -> list[float | None]:
    """Compute the F1 of every class; None for a class that no clip has.

    Shape:
        decided, truth: `(clip, class)`, bool.
    """
    hits = (decided & truth).sum(0).double()
    values = 2 * hits / (decided.sum(0) + truth.sum(0)).clamp(min=1)
    return [value if present else None for value, present in zip(values.tolist(), truth.any(0).tolist(), strict=True)]


def measure(name: Measure, logits: Tensor, labels: Tensor) -> float:
    """Measure how well a task is solved; classes that no clip has do not count, and 0 where no class occurs.

    Shape:
        logits: `(clip, class)`. labels: `(clip,)` class indices, or `(clip, class)` 0 and 1.
    """
    kind = kind_of(labels)
    decided, truth = decide(logits, kind), membership(labels, logits.shape[1])
    if name == "accuracy":
        return (decided == truth).all(1).double().mean().item()
    if name == "macro_f1":
        return mean_of(f1_scores(decided, truth)) or 0.0
    scores = logits if kind == "multilabel" else logits.double().log_softmax(1)
    return mean_of(average_precisions(scores, truth)) or 0.0


def trivial(name: Measure, labels: Tensor, classes: tuple[str, ...]) -> tuple[str, float]:
    """Find what a model that has learned nothing reaches, and what it does.

    It names the most frequent class always; of a multi-label task, none of its classes. The mean average precision of
    guesses is the share of clips that have a class.
    """
    truth = membership(labels, len(classes))
    if name == "map":
        present = truth.double().mean(0)
        return "guesses", present[present > 0].mean().item()
    if labels.ndim == 2:
        return "no class", (~truth).all(1).double().mean().item() if name == "accuracy" else 0.0
    likeliest, share = most_frequent([classes[i] for i in labels.tolist()])
    if name == "macro_f1":
        return likeliest, 2 * share / (1 + share) / int(truth.any(0).sum())
    return likeliest, share


def micro_average_precision(scores: Tensor, truth: Tensor) -> float | None:
    """Compute the average precision over all yes and no answers together; None where all are no.

    Shape:
        scores, truth: `(clip, class)`.
    """
    return average_precisions(scores.reshape(-1, 1), truth.reshape(-1, 1))[0]


def areas_under_roc(scores: Tensor, truth: Tensor) -> list[float | None]:
    """Compute the area under the ROC curve of every class; None for a class that all clips have, or none.

    Shape:
        scores, truth: `(clip, class)`.
    """
    from torchmetrics.functional.classification import binary_auroc  # slow to import

    return [
        binary_auroc(_ranks(of_class), present.long()).item() if 0 < int(present.sum()) < len(present) else None
        for of_class, present in zip(scores.T, truth.T, strict=True)
    ]
