"""The losses of tasks, over the rows that have a label for them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audiostride.data.augmentation import Mix
from audiostride.data.targets import NO_LABEL, is_labelled

ALL_ROWS = slice(None)


@dataclass(frozen=True)
class TaskLoss:
    """The loss of one task: cross-entropy; of a multi-label task binary cross-entropy, averaged over its classes.

    Which of both it is, the targets tell: class indices `(batch,)`, or `(batch, class)`, 0 and 1.

    Args:
        weight: of the task in the sum over tasks.
        class_weights: `(class,)`, of the rows of each class in the mean over rows; None for equal ones.
        label_smoothing: share of the target spread over all classes, in [0, 1).
        positive_weights: `(class,)`, of the rows that have a class against those that have it not; None for 1.
        focal: exponent of the focal loss, 0 for none: an answer of probability p counts `(1 - p) ** focal` times, so
            that the many easy negatives do not drown the rest.

    Reference:
        Lin et al., "Focal loss for dense object detection", ICCV 2017.
    """

    weight: float = 1.0
    class_weights: Tensor | None = None
    label_smoothing: float = 0.0
    positive_weights: Tensor | None = None
    focal: float = 0.0

    def values(self, logits: Tensor, target: Tensor) -> Tensor:
        """Give the loss of every row, times its weight; 0 for a row without a label.

        Shape:
            logits: `(batch, class)`. target: `(batch,)`, or `(batch, class)`. output: `(batch,)`.
        """
        if target.ndim == 2:
            return self._multilabel_values(_at_least_single(logits), target)
        logits, by_class = _at_least_single(logits), self._weights_by_class(target)
        return nn.functional.cross_entropy(
            logits,
            target,
            None if by_class is None else by_class.to(logits.dtype),
            ignore_index=NO_LABEL,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )

    def weights(self, target: Tensor) -> Tensor:
        """Give the weight of every row `(batch,)` in the mean; 0 for a row without a label."""
        if target.ndim == 2:
            return is_labelled(target).float()
        by_class, known = self._weights_by_class(target), target != NO_LABEL
        return known.float() if by_class is None else known * by_class[target.clamp(min=0)]

    def mean(self, logits: Tensor, target: Tensor) -> Tensor:
        """Give the weighted mean over the rows that have a label, 0-d."""
        return _divide(self.values(logits, target).sum(), self.weights(target))

    def _weights_by_class(self, target: Tensor) -> Tensor | None:
        return None if self.class_weights is None else self.class_weights.to(target.device)

    def _multilabel_values(self, logits: Tensor, target: Tensor) -> Tensor:
        goal = target.clamp(min=0).to(logits.dtype)
        smooth = goal * (1 - self.label_smoothing) + self.label_smoothing / 2
        positive = None if self.positive_weights is None else self.positive_weights.to(logits.device)
        losses = nn.functional.binary_cross_entropy_with_logits(logits, smooth, pos_weight=positive, reduction="none")
        if self.focal:
            wrong = torch.sigmoid(logits * (1 - 2 * goal))  # 1 - p of the right answer
            losses = losses * wrong**self.focal
        return losses.mean(1) * self.weights(target)


def _at_least_single(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _divide(total: Tensor, weights: Tensor) -> Tensor:
    return total / weights.sum().clamp(min=1e-6)


def _joins_classes(target: Tensor, mix: Mix | None) -> bool:
    """Tell whether a mixed row has the classes of both its rows."""
    return mix is not None and mix.union and target.ndim == 2


def _goal(target: Tensor, mix: Mix | None) -> Tensor:
    """Give the targets that count, those of both rows where mixed rows have the classes of both."""
    if mix is None or not _joins_classes(target, mix):
        return target
    return torch.maximum(target, target[mix.partners])


def task_losses(
    logits: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    losses: Mapping[str, TaskLoss] | None = None,
    mix: Mix | None = None,
    rows: slice = ALL_ROWS,
) -> dict[str, Tensor]:
    """Give the mean loss per task over the rows of a batch that have a label for it, 0-d.

    The mean is weighted by the classes' weights. A mixed row counts for both its labels by their shares; where the mix
    says so, a row of a multi-label task has the classes of both instead.

    Args:
        logits: of `rows`.
        targets: of the whole batch.
        losses: per task; plain cross-entropies by default.
        mix: of the whole batch.
        rows: which rows are summed. The sum is divided by the weights of the whole batch, so that the results of all
            its parts add up to its mean, however labels are spread over the parts.
    """
    means = {}
    for task, task_logits in logits.items():
        loss = (losses or {}).get(task, TaskLoss())
        target = _goal(targets[task].to(task_logits.device, non_blocking=True), mix)
        values, weights = loss.values(task_logits, target[rows]), loss.weights(target)
        if mix is not None and not _joins_classes(target, mix):
            others, shares = target[mix.partners], mix.shares
            values = shares[rows] * values + (1 - shares[rows]) * loss.values(task_logits, others[rows])
            weights = shares * weights + (1 - shares) * loss.weights(others)
        means[task] = _divide(values.sum(), weights)
    return means


def task_accuracies(
    logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], mix: Mix | None = None
) -> dict[str, Tensor]:
    """Give the accuracy per task over the rows of a batch that have a label for it, 0-d.

    A mixed row counts for the label with the larger share. The accuracy of a multi-label task is the F1 over all its
    yes and no answers.
    """
    accuracies = {}
    for task, task_logits in logits.items():
        target = _goal(targets[task].to(task_logits.device, non_blocking=True), mix)
        accuracies[task] = (_batch_f1 if target.ndim == 2 else _batch_accuracy)(task_logits, target)
    return accuracies


def _batch_accuracy(logits: Tensor, target: Tensor) -> Tensor:
    return (logits.argmax(1) == target).sum() / (target != NO_LABEL).sum().clamp(min=1)


def _batch_f1(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the F1 over all answers at a probability of 0.5."""
    found, present = (logits > 0) & (target != NO_LABEL), target == 1
    return 2 * (found & present).sum() / (found.sum() + present.sum()).clamp(min=1)
