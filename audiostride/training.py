"""The training loop: a generator that yields what happened; saving, logging and drawing belong to its caller."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from audiostride.data.batches import NO_LABEL, Batch, TaskBatches, prefetch
from audiostride.evaluation import LabelledClips, validation_accuracy
from audiostride.models.classifier import AudioClassifier
from audiostride.models.complexity import complexity


@dataclass(frozen=True)
class StepDone:
    """One optimiser step; `step` counts from 1. Losses and accuracies are 0-d tensors, per task."""

    step: int
    losses: Mapping[str, Tensor]
    accuracy: Mapping[str, Tensor]
    seconds: float
    waited_s: float  # of these seconds, for data


@dataclass(frozen=True)
class Validated:
    """Accuracy per task on the validation clips after `step`; empty without such clips."""

    step: int
    accuracy: Mapping[str, float]


def make_optimizer(model: nn.Module, learning_rate: float, stride_learning_rate: float) -> torch.optim.Adam:
    """Adam with a group of its own for the strides."""
    groups: dict[bool, list[nn.Parameter]] = {False: [], True: []}
    for name, parameter in model.named_parameters():
        groups[name.endswith(".strides")].append(parameter)
    rates = {False: learning_rate, True: stride_learning_rate}
    return torch.optim.Adam(
        [
            {"params": params, "lr": rates[of_strides], "initial_lr": rates[of_strides]}
            for of_strides, params in groups.items()
            if params
        ]
    )


def schedule_factor(schedule: Literal["constant", "cosine"], step: int, n_steps: int) -> float:
    """What the learning rates are multiplied by in the step after `step` others."""
    return 1.0 if schedule == "constant" else 0.5 * (1 + math.cos(math.pi * step / n_steps))


def to_waveform(batch: Batch, device: torch.device) -> Tensor:
    """The windows of a batch as `(batch, time)` in [-1, 1] on `device`."""
    return batch.waveform.to(device, non_blocking=True).float() / 32768


def task_losses(
    logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Mean cross-entropy and accuracy per task, each over the rows that have a label for it."""
    losses, accuracy = {}, {}
    for task, task_logits in logits.items():
        target = targets[task].to(task_logits.device, non_blocking=True)
        n_rows = (target != NO_LABEL).sum().clamp(min=1)
        total = nn.functional.cross_entropy(task_logits.float(), target, ignore_index=NO_LABEL, reduction="sum")
        losses[task] = total / n_rows
        accuracy[task] = (task_logits.argmax(1) == target).sum() / n_rows
    return losses, accuracy


@torch.no_grad()
def reestimate_batch_norm(model: AudioClassifier, batches: TaskBatches, steps: range, device: torch.device) -> None:
    """Replace the running statistics, which lag behind moving strides, by averages over the batches of `steps`.

    The batches are augmented, as those are that the weights have learned from.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    was_training, momenta = model.training, [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over batches
        norm.train()
    for step in steps:
        model.embed(to_waveform(batches(step), device), augmented=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


def train(
    model: AudioClassifier,
    optimizer: torch.optim.Optimizer,
    batches: TaskBatches,
    validation: Mapping[str, LabelledClips],
    n_window: int,
    device: torch.device,
    n_steps: int,
    first_step: int = 0,
    task_weights: Mapping[str, float] | None = None,
    schedule: Literal["constant", "cosine"] = "constant",
    complexity_weight: float = 0.0,
    gradient_clip: float | None = None,
    bf16: bool = False,
    compiled: bool = False,
    validate_every: int = 5000,
    batch_norm_batches: int = 20,
    n_workers: int = 2,
) -> Iterator[StepDone | Validated]:
    """Train from `first_step` (steps already done) to `n_steps`, yielding after every step and validation.

    The optimiser's groups hold their undamped rate as `initial_lr`. Validation comes every
    `validate_every` steps and after the last one, with batch-norm statistics re-estimated on the
    last `batch_norm_batches` batches (0 keeps the running ones).
    """
    n_frames = n_window // model.frontend.hop_length
    forward = torch.compile(model) if compiled else model
    weights = dict.fromkeys(model.tasks, 1.0) | dict(task_weights or {})
    upcoming = prefetch(batches, range(first_step, n_steps), n_workers)
    model.train()
    for step in range(first_step, n_steps):
        started = time.perf_counter()
        batch = next(upcoming)
        waited_s = time.perf_counter() - started

        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = forward(to_waveform(batch, device))
        losses, accuracy = task_losses(logits, batch.targets)
        loss = torch.stack([weights[task] * value for task, value in losses.items()]).sum()
        if complexity_weight:
            loss = loss + complexity_weight * complexity(model.backbone.layer_strides(model.frontend.n_mels, n_frames))

        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * schedule_factor(schedule, step, n_steps)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if gradient_clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
        optimizer.step()
        model.backbone.project_strides_()

        done = step + 1
        seconds = time.perf_counter() - started
        yield StepDone(done, {task: value.detach() for task, value in losses.items()}, accuracy, seconds, waited_s)
        if done % validate_every == 0 or done == n_steps:
            if batch_norm_batches:
                reestimate_batch_norm(model, batches, range(max(0, done - batch_norm_batches), done), device)
            yield Validated(done, validation_accuracy(model, validation, n_window, device))
