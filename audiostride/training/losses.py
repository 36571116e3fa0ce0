"""The losses of tasks, over the rows that have a label for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from audiostride.data.augmentation import Mix
from audiostride.data.batches import NO_LABEL


@dataclass(frozen=True)
class TaskLoss:
    """Cross-entropy of one task.

    Args:
        weight: of the task in the sum over tasks.
        class_weights: `(class,)`, of the rows of each class in the mean over rows; None for equal ones.
        label_smoothing: share of the target spread over all classes, in [0, 1).
    """

    weight: float = 1.0
    class_weights: Tensor | None = None
    label_smoothing: float = 0.0

    def rows(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Give the loss of every row and the weight in it; both 0 for a row without a label.

        Shape:
            logits: `(batch, class)`. target, outputs: `(batch,)`.
        """
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


def task_losses(
    logits: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    losses: Mapping[str, TaskLoss] | None = None,
    mix: Mix | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Give mean cross-entropy and accuracy per task, each over the rows that have a label for it.

    The mean is weighted by the classes' weights. A mixed row counts for both its labels by their shares, in the
    accuracy for the one with the larger share.
    """
    means, accuracy = {}, {}
    for task, task_logits in logits.items():
        target = targets[task].to(task_logits.device, non_blocking=True)
        loss = (losses or {}).get(task, TaskLoss())
        values, weights = loss.rows(task_logits, target)
        if mix is not None:
            others = loss.rows(task_logits, target[mix.partners])
            values = mix.shares * values + (1 - mix.shares) * others[0]
            weights = mix.shares * weights + (1 - mix.shares) * others[1]
        means[task] = values.sum() / weights.sum().clamp(min=1e-6)
        accuracy[task] = (task_logits.argmax(1) == target).sum() / (target != NO_LABEL).sum().clamp(min=1)
    return means, accuracy
