"""What a training run will cost, measured on one real batch."""

import sys
import time
from dataclasses import dataclass

import torch

from audiostride.data.batches import Batch
from audiostride.models.classifier import AudioClassifier
from audiostride.models.costs import LayerCost, recorded_layers
from audiostride.training.loop import to_waveform
from audiostride.training.losses import task_losses

N_TIMED_STEPS = 3


@dataclass(frozen=True)
class BatchCost:
    """The layers, and the time and memory of training steps on one batch."""

    layers: list[LayerCost]
    seconds_per_step: float
    peak_memory_bytes: int


def inspect_batch(model: AudioClassifier, batch: Batch, device: torch.device, bf16: bool = False) -> BatchCost:
    """Run a batch forward and backward a few times without changing a weight, and account for every layer."""
    model.train()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = model(to_waveform(batch, device))
        losses, _ = task_losses(logits, batch.targets)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        model.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with recorded_layers(model) as layers:
        step()
    started = time.perf_counter()
    for _ in range(N_TIMED_STEPS):
        step()
    seconds = (time.perf_counter() - started) / N_TIMED_STEPS
    return BatchCost(layers, seconds, _peak_memory_bytes(device))


def _peak_memory_bytes(device: torch.device) -> int:
    """Of the device's allocator on a GPU, else of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0  # the standard library does not tell there
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
