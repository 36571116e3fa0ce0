"""One training step: forward, losses and backward; what the optimiser does with the gradients is the loop's."""

from collections.abc import Mapping

import torch
from torch import Tensor

from audiostride.data.augmentation import Mix
from audiostride.models.classifier import AudioClassifier
from audiostride.models.complexity import complexity
from audiostride.training.losses import TaskLoss, task_losses


def forward_backward(
    model: AudioClassifier,
    waveform: Tensor,
    targets: Mapping[str, Tensor],
    *,
    losses: Mapping[str, TaskLoss] | None = None,
    mix: Mix | None = None,
    bf16: bool = False,
    complexity_weight: float = 0.0,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run a batch forward and backward; the gradients are added to those that the parameters have.

    Args:
        model: what learns; its mode (training or evaluation) stays as it is.
        waveform: the windows of the batch.
        targets: class indices `(batch,)` per task.
        losses: per task; plain cross-entropies if None.
        mix: how rows are mixed with each other.
        bf16: the forward pass under autocast to bfloat16.
        complexity_weight: of the regulariser.

    Returns:
        Loss and accuracy per task, 0-d tensors without a graph.

    Shape:
        waveform: `(batch, time)`, amplitude in [-1, 1].
    """
    with torch.autocast(waveform.device.type, torch.bfloat16, enabled=bf16):
        logits = model(waveform if mix is None else mix(waveform))
    means, accuracy = task_losses(logits, targets, losses, mix)
    weights = {task: losses[task].weight if losses else 1.0 for task in means}
    loss = torch.stack([weights[task] * mean for task, mean in means.items()]).sum()
    if complexity_weight:
        n_frames = waveform.shape[1] // model.frontend.hop_length
        loss = loss + complexity_weight * complexity(model.backbone.layer_strides(model.frontend.n_mels, n_frames))
    torch.autograd.backward(loss)
    return {task: mean.detach() for task, mean in means.items()}, accuracy
