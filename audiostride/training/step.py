"""One training step: forward, losses and backward; what the optimiser does with the gradients is the loop's."""

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor

from audiostride.data.augmentation import Mix
from audiostride.models.classifier import AudioClassifier
from audiostride.models.complexity import complexity
from audiostride.training.losses import TaskLoss, task_accuracies, task_losses
from audiostride.training.replicas import Replica


def _weighted_sum(means: Mapping[str, Tensor], losses: Mapping[str, TaskLoss] | None) -> Tensor:
    return torch.stack([(losses[task].weight if losses else 1.0) * mean for task, mean in means.items()]).sum()


def forward_backward(
    model: AudioClassifier,
    waveform: Tensor,
    targets: Mapping[str, Tensor],
    *,
    losses: Mapping[str, TaskLoss] | None = None,
    mix: Mix | None = None,
    bf16: bool = False,
    complexity_weight: float = 0.0,
    n_parts: int = 1,
    replica: Replica | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run a batch forward and backward; the gradients are added to those that the parameters have.

    Each rank runs its share of the rows. Losses are divided by the weights of all rows before they are summed over the
    ranks, so that it does not matter which rank has which labels.

    Args:
        model: what learns; its mode (training or evaluation) stays as it is.
        waveform: the windows of the batch.
        targets: class indices `(batch,)` per task.
        losses: per task; plain cross-entropies if None.
        mix: how rows are mixed with each other.
        bf16: the forward pass under autocast to bfloat16.
        complexity_weight: of the regulariser.
        n_parts: into how many parts the batch is divided, one after another, so that memory holds the maps of one.
            The gradients are those of the whole batch up to rounding, unless a batch norm in training sees the parts.
        replica: of the model, where several ranks train it.

    Returns:
        Loss and accuracy per task over the rows of all ranks, 0-d tensors without a graph.

    Shape:
        waveform: `(batch, time)`, amplitude in [-1, 1].
    """
    mixed = waveform if mix is None else mix(waveform)
    replica = replica or Replica(model)
    ranks = replica.ranks
    means: dict[str, Tensor] = {}
    logits: dict[str, Tensor] = {}
    for part in range(n_parts):
        rows = ranks.rows(part, n_parts)  # the sources follow one another: so every part has some of each
        with nullcontext() if part == n_parts - 1 else replica.keep_gradients():
            with torch.autocast(waveform.device.type, torch.bfloat16, enabled=bf16):
                of_rows = replica.logits(mixed, part, n_parts)
            losses_of_rows = task_losses(of_rows, targets, losses, mix, rows)
            loss = ranks.n * _weighted_sum(losses_of_rows, losses)  # the gradients are averaged over the ranks
            if complexity_weight and part == 0:
                n_frames = waveform.shape[1] // model.frontend.hop_length
                loss = loss + complexity_weight * complexity(
                    model.strided_backbone.layer_strides(model.frontend.n_mels, n_frames)
                )
            torch.autograd.backward(loss)
        for task, values in of_rows.items():
            mean = losses_of_rows[task].detach()
            means[task] = means[task] + mean if task in means else mean
            logits.setdefault(task, values.new_zeros(len(waveform), values.shape[1]))[rows] = values.detach()
    ranks.sum_([*means.values()])
    ranks.sum_([*logits.values()])
    return means, task_accuracies(logits, targets, mix)
