"""What a training run will cost, measured on one real batch."""

import time
from dataclasses import dataclass

import torch

from audiostride.data.batches import Batch
from audiostride.models.classifier import AudioClassifier
from audiostride.models.costs import LayerCost, peak_bytes, recorded_layers
from audiostride.recipe.training import Training
from audiostride.training.loop import to_waveform
from audiostride.training.step import forward_backward

N_TIMED_STEPS = 3


@dataclass(frozen=True)
class BatchCost:
    """The layers, and the time and memory of training steps on one batch.

    `peak_memory_bytes` is what torch holds at most: weights, their gradients, what the optimiser and an average
    keep, and the maps.
    """

    layers: list[LayerCost]
    seconds_per_step: float
    peak_memory_bytes: int


def kept_copies(settings: Training) -> int:
    """Count the tensors as large as every learned parameter that the optimiser and the average of weights keep."""
    n_moments = bool(settings.momentum) if settings.optimizer == "sgd" else 2
    return n_moments + bool(settings.ema)


def inspect_batch(
    model: AudioClassifier,
    batch: Batch,
    device: torch.device,
    *,
    bf16: bool = False,
    n_parts: int = 1,
    n_copies: int = 2,
) -> BatchCost:
    """Run a batch forward and backward a few times without changing a weight, and account for every layer.

    Args:
        model: is left in training mode.
        batch: of training.
        device: of the model.
        bf16: as of `forward_backward`.
        n_parts: as of `forward_backward`.
        n_copies: as `kept_copies` counts them.
    """
    model.train()

    def step() -> None:
        forward_backward(model, to_waveform(batch, device), batch.targets, bf16=bf16, n_parts=n_parts)
        model.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with recorded_layers(model) as layers:
        step()
    started = time.perf_counter()
    for _ in range(N_TIMED_STEPS):
        step()
    seconds = (time.perf_counter() - started) / N_TIMED_STEPS
    weights = sum(parameter.nbytes for parameter in model.parameters())
    copies = n_copies * sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    of_one_part = layers[: len(layers) // n_parts]
    return BatchCost(of_one_part, seconds, weights + copies + peak_bytes(step, device))
