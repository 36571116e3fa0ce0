"""The losses of tasks, over the rows that have a label for them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audiostride.data.augmentation import Mix
from audiostride.data.targets import NO_LABEL, is_labelled


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

    def rows(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Give the loss of every row and the weight in it; both 0 for a row without a label.

        Shape:
            logits: `(batch, class)`. target: `(batch,)`, or `(batch, class)`. outputs: `(batch,)`.
        """
        if target.ndim == 2:
            return self._multilabel_rows(logits.float(), target)
        by_class = None if self.class_weights is None else self.class_weights.to(logits.device)
        losses = nn.functional.cross_entropy(
            logits.float(),
            target,
            by_class,
            ignore_index=NO_LABEL,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        known = target != NO_LABEL
        return losses, known.float() if by_class is None else known * by_class[target.clamp(min=0)]

    def _multilabel_rows(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        known = is_labelled(target).float()
        goal = target.clamp(min=0).float()
        smooth = goal * (1 - self.label_smoothing) + self.label_smoothing / 2
        positive = None if self.positive_weights is None else self.positive_weights.to(logits.device)
        losses = nn.functional.binary_cross_entropy_with_logits(logits, smooth, pos_weight=positive, reduction="none")
        if self.focal:
            wrong = torch.sigmoid(logits * (1 - 2 * goal))  # 1 - p of the right answer
            losses = losses * wrong**self.focal
        return losses.mean(1) * known, known


def task_losses(
    logits: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    losses: Mapping[str, TaskLoss] | None = None,
    mix: Mix | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Give mean loss and accuracy per task, each over the rows that have a label for it.

    The mean is weighted by the classes' weights. A mixed row counts for both its labels by their shares, in the
    accuracy for the one with the larger share; where the mix says so, a row of a multi-label task has the classes of
    both instead. The accuracy of a multi-label task is the F1 over all its yes and no answers.
    """
    means, accuracy = {}, {}
    for task, task_logits in logits.items():
        target = targets[task].to(task_logits.device, non_blocking=True)
        loss = (losses or {}).get(task, TaskLoss())
        if mix is not None and mix.union and target.ndim == 2:
            target = torch.maximum(target, target[mix.partners])
        values, weights = loss.rows(task_logits, target)
        if mix is not None and not (mix.union and target.ndim == 2):
            others = loss.rows(task_logits, target[mix.partners])
            values = mix.shares * values + (1 - mix.shares) * others[0]
            weights = mix.shares * weights + (1 - mix.shares) * others[1]
        means[task] = values.sum() / weights.sum().clamp(min=1e-6)
        accuracy[task] = _batch_f1(task_logits, target) if target.ndim == 2 else _batch_accuracy(task_logits, target)
    return means, accuracy


def _batch_accuracy(logits: Tensor, target: Tensor) -> Tensor:
    return (logits.argmax(1) == target).sum() / (target != NO_LABEL).sum().clamp(min=1)


def _batch_f1(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the F1 over all answers at a probability of 0.5."""
    found, present = (logits > 0) & (target != NO_LABEL), target == 1
    return 2 * (found & present).sum() / (found.sum() + present.sum()).clamp(min=1)
