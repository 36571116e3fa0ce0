"""How well a task is solved: as a whole, and class by class."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiostride.data.manifest import LABEL_SEPARATOR
from audiostride.data.targets import membership
from audiostride.evaluation.calibration import as_answers, expected_calibration_error
from audiostride.evaluation.majority import most_frequent
from audiostride.evaluation.measures import (
    areas_under_roc,
    average_precisions,
    decide,
    f1_scores,
    kind_of,
    micro_average_precision,
)
from audiostride.evaluation.probabilities import probabilities
from audiostride.evaluation.ratios import mean_of, ratio
from audiostride.evaluation.traits import Traits
from audiostride.vocabulary import EVENT_THRESHOLD, Kind


@dataclass(frozen=True)
class ClassScore:
    """How well one class is found; None where there is nothing to divide by.

    Attributes:
        n_clips: that have the class.
        average_precision: over all thresholds; None if no clip has the class.
        auc: area under the ROC curve; None if no clip has the class, or all.
        threshold: from which on the class counts as found; None if the likeliest class counts.
        precision: share of clips found that have it.
        recall: share of clips that have it that are found.
        f1: harmonic mean of both.
    """

    name: str
    n_clips: int
    average_precision: float | None
    auc: float | None
    threshold: float | None
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class TaskScore:
    """How well one task is solved.

    The accuracy of a multi-label task is the share of clips of which all classes are found and no other (the exact
    match ratio), and it has no confusion matrix. Means over classes leave out the classes that no clip has: `absent`.
    `auc` is None unless two classes both occur, for a multi-label task it is the mean over classes; `ece_calibrated`
    (of the probabilities that `predict` gives) is None for a task without a temperature.
    """

    accuracy: float
    macro_f1: float
    auc: float | None
    ece: float
    ece_calibrated: float | None
    majority_accuracy: float
    n_files: int
    n_windows: int
    classes: tuple[str, ...]
    confusion: list[list[int]]  # rows are true classes, columns predicted ones
    majority_class: str
    kind: Kind
    mean_average_precision: float | None
    micro_average_precision: float | None
    absent: tuple[str, ...]
    by_class: tuple[ClassScore, ...]

    @property
    def beats_majority(self) -> bool:
        """Tell whether the accuracy is above that of always naming the most frequent class."""
        return self.accuracy > self.majority_accuracy

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        return asdict(self)


def class_scores(
    scores: Tensor, decided: Tensor, truth: Tensor, classes: Sequence[str], thresholds: Sequence[float | None]
) -> tuple[ClassScore, ...]:
    """Score every class.

    Shape:
        scores, decided, truth: `(clip, class)`.
    """
    hits, n_found, n_true = (each.sum(0).tolist() for each in (decided & truth, decided, truth))
    columns = zip(
        classes,
        n_true,
        average_precisions(scores, truth),
        areas_under_roc(scores, truth),
        thresholds,
        [ratio(hit, n) for hit, n in zip(hits, n_found, strict=True)],
        [ratio(hit, n) for hit, n in zip(hits, n_true, strict=True)],
        [ratio(2 * hit, n + m) for hit, n, m in zip(hits, n_found, n_true, strict=True)],
        strict=True,
    )
    return tuple(ClassScore(*column) for column in columns)


def joined(classes: Sequence[str], is_in: Sequence[bool]) -> str:
    """Name the classes of a clip as a manifest does."""
    return LABEL_SEPARATOR.join(name for name, present in zip(classes, is_in, strict=True) if present)


def decide_classes(
    logits: Tensor, classes: Sequence[str], temperature: float, traits: Traits
) -> tuple[Tensor, list[float | None]]:
    """Decide which classes are found, and tell their thresholds: those chosen, else 0.5.

    Of a task of one class each without thresholds, the likeliest is found.

    Shape:
        logits, output: `(clip, class)`.
    """
    if traits.kind == "single" and not traits.thresholds:
        return decide(logits, "single"), [None] * len(classes)
    thresholds = [traits.thresholds.get(name, EVENT_THRESHOLD) for name in classes]
    found = probabilities(logits.numpy(), temperature, traits.kind) >= np.array(thresholds)
    return torch.from_numpy(found), list(thresholds)


def score(
    logits: Tensor,
    labels: Tensor,
    n_windows: Tensor,
    classes: tuple[str, ...],
    *,
    temperature: float | None = None,
    traits: Traits = Traits(),  # noqa: B008
) -> TaskScore:
    """Score clips.

    Args:
        logits: averaged over the windows of each clip.
        labels: of the clips.
        n_windows: of each clip.
        classes: names of all classes, in the order of the logits.
        temperature: that the task was calibrated with, if it was.
        traits: its thresholds, if some were chosen.

    Shape:
        logits: `(clip, class)`. labels: `(clip,)` class indices; of a multi-label task `(clip, class)`, 0 and 1.
        n_windows: `(clip,)`.
    """
    kind = kind_of(labels)
    truth, likeliest = membership(labels, len(classes)), decide(logits, kind)
    found, thresholds = decide_classes(logits, classes, temperature or 1.0, traits)
    scores = logits if kind == "multilabel" else logits.double().log_softmax(1)
    by_class = class_scores(scores, found, truth, classes, thresholds)
    decided = found if kind == "multilabel" else likeliest
    aucs = [of_class.auc for of_class in by_class]

    def ece(temperature: float) -> float:
        answers, indices, _ = as_answers(logits.numpy(), labels.numpy())
        return expected_calibration_error(probabilities(answers, temperature), indices)

    majority_class, majority_accuracy = most_frequent(sorted(joined(classes, row) for row in truth.tolist()))
    return TaskScore(
        accuracy=(decided == truth).all(1).double().mean().item(),
        macro_f1=mean_of(f1_scores(decided, truth)) or 0.0,
        auc=mean_of(aucs) if kind == "multilabel" else aucs[1] if len(classes) == 2 else None,
        ece=ece(1.0),
        ece_calibrated=None if temperature is None else ece(temperature),
        majority_accuracy=majority_accuracy,
        n_files=len(labels),
        n_windows=int(n_windows.sum()),
        classes=classes,
        confusion=[] if kind == "multilabel" else (truth.long().T @ likeliest.long()).tolist(),
        majority_class=majority_class or "no class",
        kind=kind,
        mean_average_precision=mean_of([of_class.average_precision for of_class in by_class]),
        micro_average_precision=micro_average_precision(scores, truth),
        absent=tuple(name for name, is_in in zip(classes, truth.any(0).tolist(), strict=True) if not is_in),
        by_class=by_class,
    )
