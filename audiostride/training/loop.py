"""The training loop: a generator that yields what happened; saving, logging and drawing belong to its caller."""

import time
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from audiostride.data.augmentation import Augmentation, draw_mix
from audiostride.data.batches import Batch, TaskBatches, prefetch
from audiostride.evaluation.clips import LabelledClips, labelled_logits
from audiostride.evaluation.measures import measure
from audiostride.models.classifier import AudioClassifier
from audiostride.models.downsampler import project_strides_
from audiostride.models.protocol import compile_backbone
from audiostride.ranks import ALONE, Ranks
from audiostride.training.average import WeightAverage
from audiostride.training.batch_norm import batch_norms
from audiostride.training.events import StepDone, Validated
from audiostride.training.losses import TaskLoss
from audiostride.training.replicas import Replica
from audiostride.training.schedule import RateSchedule
from audiostride.training.step import forward_backward
from audiostride.vocabulary import Measure


def _to_float(samples: Tensor, device: torch.device) -> Tensor:
    return samples.to(device, non_blocking=True).float() / 32768


def to_waveform(batch: Batch, device: torch.device, augmentation: Augmentation | None = None) -> Tensor:
    """Move the windows of a batch to `device` as `(batch, time)` in [-1, 1], and augment them."""
    waveform = _to_float(batch.waveform, device)
    if augmentation is None:
        return waveform
    background = None if batch.background is None else _to_float(batch.background, device)
    return augmentation(waveform, background, batch.is_background)


def is_frozen(model: AudioClassifier) -> bool:
    """Tell whether no parameter of the backbone is trained."""
    return not any(parameter.requires_grad for parameter in model.backbone.parameters())


@torch.no_grad()
def reestimate_batch_norm(
    replica: Replica,
    model: AudioClassifier,
    batches: TaskBatches,
    steps: range,
    *,
    augmentation: Augmentation | None = None,
) -> None:
    """Replace the running statistics, which lag behind moving strides, by averages over the batches of `steps`.

    The batches are augmented, as those are that the weights have learned from, but not mixed. `model` is that of the
    replica, or the average of its weights.
    """
    norms = batch_norms(model)
    was_training, momenta = model.training, [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over batches
    for step in steps:
        replica.embed(model, to_waveform(batches(step), model.device, augmentation))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


def _set_training(model: AudioClassifier) -> None:
    """Set training mode; a frozen backbone stays in evaluation, so that its batch-norm statistics stay too."""
    model.train()
    if is_frozen(model):
        model.backbone.eval()


def validate(
    model: AudioClassifier,
    validation: Sequence[LabelledClips],
    step: int,
    *,
    n_window: int,
    losses: Mapping[str, TaskLoss],
    measures: Mapping[str, Measure],
    ranks: Ranks = ALONE,
) -> Validated:
    """Measure how well every task is solved after `step`, and its loss; tasks without clips are left out.

    Each rank classifies its share of the clips, and all have the result.
    """
    found = labelled_logits(model, validation, n_window, model.device, ranks)
    return Validated(
        step,
        {task: measure(measures.get(task, "accuracy"), *of_task) for task, of_task in found.items()},
        {task: losses[task].mean(*of_task).item() for task, of_task in found.items()},
    )


def train_steps(
    model: AudioClassifier,
    optimizer: torch.optim.Optimizer,
    batches: TaskBatches,
    validation: Sequence[LabelledClips],
    *,
    n_window: int,
    device: torch.device,
    n_steps: int,
    first_step: int = 0,
    losses: Mapping[str, TaskLoss] | None = None,
    augmentation: Augmentation | None = None,
    mixup: float = 0.0,
    mixup_union: bool = False,
    measures: Mapping[str, Measure] | None = None,
    schedule: RateSchedule | None = None,
    complexity_weight: float = 0.0,
    gradient_clip: float | None = None,
    accumulate: int = 1,
    average: WeightAverage | None = None,
    bf16: bool = False,
    compiled: bool = False,
    validate_every: int = 5000,
    batch_norm_batches: int = 20,
    n_workers: int = 2,
    replica: Replica | None = None,
) -> Iterator[StepDone | Validated]:
    """Train from `first_step` (steps already done) to `n_steps`, yielding after every step and validation.

    The optimiser's groups hold their undamped rate as `initial_lr`. A `mixup` above 0 mixes rows (`draw_mix`). Every
    batch goes through the model in `accumulate` parts, one after another, before the optimiser steps. The weights of
    `average`, if there is one, follow those of the model and are validated in their place. The
    validation measures tasks by their `measures`, accuracy where they have none. A
    backbone none of whose parameters is trained stays as it is, its batch norms too. Validation comes every
    `validate_every` steps and after the last one, with batch-norm statistics re-estimated on the
    last `batch_norm_batches` batches (0 keeps the running ones). A `replica` of the model trains it on several ranks,
    which all go through the same batches; each runs its share of the rows.
    """
    replica = replica or Replica(model)
    if compiled:
        compile_backbone(model.backbone)
    schedule = schedule or RateSchedule()
    losses = dict.fromkeys(model.tasks, TaskLoss()) | dict(losses or {})
    upcoming = prefetch(batches, range(first_step, n_steps), n_workers)
    _set_training(model)
    for step in range(first_step, n_steps):
        started = time.perf_counter()
        batch = next(upcoming)
        waited_s = time.perf_counter() - started

        waveform = to_waveform(batch, device, augmentation)
        mix = draw_mix(batch.n_rows, mixup, device, union=mixup_union) if mixup else None
        optimizer.zero_grad(set_to_none=True)
        means, accuracy = forward_backward(
            model,
            waveform,
            batch.targets,
            losses=losses,
            mix=mix,
            bf16=bf16,
            complexity_weight=complexity_weight,
            n_parts=accumulate,
            replica=replica,
        )

        factor = schedule.factor(step, n_steps)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        norm = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        if gradient_clip is not None:
            nn.utils.clip_grads_with_norm_(model.parameters(), gradient_clip, norm)
        optimizer.step()
        project_strides_(model.backbone)
        if average is not None:
            average.update(model)

        done = step + 1
        seconds = time.perf_counter() - started
        yield StepDone(done, means, accuracy, seconds, waited_s, norm)
        if done % validate_every == 0 or done == n_steps:
            measured = model if average is None else average.model
            if batch_norm_batches and not is_frozen(measured):
                steps = range(max(0, done - batch_norm_batches), done)
                reestimate_batch_norm(replica, measured, batches, steps, augmentation=augmentation)
            replica.average_statistics_(measured)
            yield validate(
                measured,
                validation,
                done,
                n_window=n_window,
                losses=losses,
                measures=measures or {},
                ranks=replica.ranks,
            )
