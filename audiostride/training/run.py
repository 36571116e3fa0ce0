"""A training run: from a recipe to a folder that holds everything of it."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event

import torch

from audiostride.build import build_augmentation, window_size
from audiostride.data.targets import is_labelled
from audiostride.evaluation.calibration import Calibration, calibrate
from audiostride.evaluation.clips import labelled_logits
from audiostride.evaluation.measures import trivial
from audiostride.ranks import ALONE, Ranks, join_ranks
from audiostride.recipe.schema import Recipe
from audiostride.recipe.training import Training
from audiostride.runs.checkpoint import load_checkpoint, write_checkpoint
from audiostride.runs.folder import RunFolder
from audiostride.training.data import TrainingData, build_training_data
from audiostride.training.events import Calibrated, Started, StepDone, Stopped, TrainingEvent, Validated
from audiostride.training.loop import train_steps
from audiostride.training.memory import enough_memory
from audiostride.training.metrics_log import MetricsLog
from audiostride.training.schedule import RateSchedule
from audiostride.training.start import (
    check_run_dir,
    check_shared_data,
    check_together,
    checked,
    load_state,
    own_device,
    plan_run,
    sole_trainer,
    start_folder,
)
from audiostride.training.state import RunState, diverged, is_finite


def _until_diverged(events: Iterator[StepDone | Validated], state: RunState) -> Iterator[StepDone | Validated]:
    """Name the divergence where a stride that is not a number stops the layer before the loss shows it."""
    try:
        yield from events
    except ValueError as error:
        if is_finite(state.model):
            raise
        raise state.replica.ranks.once(diverged(state.step)) from error


def train(
    recipe: Recipe | Mapping[str, object] | Path | str,
    run_dir: Path | str,
    *,
    device: str | torch.device = "auto",
    resume: bool = False,
    overwrite: bool = False,
    allow_changed_data: bool = False,
    on_event: Callable[[TrainingEvent], None] | None = None,
) -> Path:
    """Train a recipe to its end.

    In processes that `torchrun` has started all of them call it with the same arguments, and train one model.

    Args:
        recipe: a recipe, its keys and values as a dictionary, or the path of a YAML file.
        run_dir: folder of the run; made if it is not there.
        device: "auto", "cpu", "cuda", "mps" or a device of torch.
        resume: go on from the last checkpoint, exactly as if the run had never stopped.
        overwrite: replace a run that the folder holds.
        allow_changed_data: resume also where recordings or rows of the manifest differ from those it was begun with.
        on_event: called with all that happens (`audiostride.training.events`).

    Returns:
        The folder of the run.

    Raises:
        UserError: the recipe or the folder does not permit it, or memory is not enough. DataError: recordings
            missing or unusable, or a loss that is not a number.
    """
    with join_ranks() as ranks:
        events = train_recipe(
            recipe,
            run_dir,
            device,
            resume=resume,
            overwrite=overwrite,
            allow_changed_data=allow_changed_data,
            ranks=ranks,
        )
        for event in events:
            if on_event is not None:
                on_event(event)
    return Path(run_dir)


def train_recipe(
    recipe: Recipe | Mapping[str, object] | Path | str,
    run_dir: Path | str,
    device: str | torch.device = "auto",
    *,
    resume: bool = False,
    overwrite: bool = False,
    allow_changed_data: bool = False,
    stop: Event | None = None,
    on_decode: Callable[[int, int], None] | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[TrainingEvent]:
    """Train a recipe step by step: a generator that does nothing until it is iterated; `train` is the plain function.

    It yields what happens; everything of a run is in its folder.

    Args:
        recipe: as of `train`.
        run_dir: folder of the run.
        device: as of `train`.
        resume: go on from the last checkpoint, exactly as if the run had never stopped.
        overwrite: replace a run that the folder holds, once the data are found in order.
        allow_changed_data: as of `train`.
        stop: when set, the run saves itself after the step at hand and ends.
        on_decode: called with the recordings decoded and in all, while the cache is filled.
        ranks: that train the model together (`audiostride.ranks.join_ranks`); all of them call this function. The
            first alone writes and yields lines of the log.

    Raises:
        UserError: the recipe or the folder does not permit it, or memory is not enough. DataError: recordings
            missing or unusable, or a loss that is not a number. ToldElsewhere: another rank raises one of them.
    """
    run_dir = Path(run_dir)
    given = ranks.together(lambda: checked(recipe))
    own = ranks.together(lambda: own_device(device, ranks, given))
    plan = ranks.from_first(lambda: plan_run(given, run_dir, ranks, resume=resume, overwrite=overwrite))
    check_together(plan.recipe, ranks)
    data = ranks.together(lambda: build_training_data(plan.recipe, on_decode))
    check_shared_data(data.fingerprint, ranks)
    with ExitStack() as stack:
        stack.enter_context(enough_memory(plan.recipe.training, own))
        ranks.from_first(lambda: stack.enter_context(sole_trainer(run_dir)))
        ranks.from_first(lambda: check_run_dir(run_dir, resume=plan.resume, overwrite=overwrite))
        state = RunState(plan.recipe, data, run_dir, own, ranks)
        ranks.from_first(lambda: load_state(state, data.fingerprint, plan, allow_changed_data=allow_changed_data))
        state.share()
        yield from _train(plan.recipe, data, state, stop)


def _schedule(settings: Training) -> RateSchedule:
    return RateSchedule(settings.schedule, settings.warmup_steps, settings.decay_steps, settings.decay_factor)


def _train(recipe: Recipe, data: TrainingData, state: RunState, stop: Event | None) -> Iterator[TrainingEvent]:
    """Train from where `state` stands; the folder is touched when the first step has gone well."""
    settings, first_step, ranks = recipe.training, state.step, state.replica.ranks
    n_validation = sum(len(clips.samples) for clips in data.validation)
    yield Started(
        state.step, settings.steps, n_validation, state.device, state.note, _trivial(data), data.measures, data.unheard
    )
    log = MetricsLog(state.run, settings.batch_size)
    events: Iterator[StepDone | Validated] = train_steps(
        state.model,
        state.optimizer,
        data.batches,
        data.validation,
        n_window=window_size(recipe),
        device=state.device,
        n_steps=settings.steps,
        first_step=state.step,
        losses=data.losses,
        augmentation=build_augmentation(recipe),
        mixup=recipe.augmentation.mixup,
        mixup_union=recipe.augmentation.mixup_labels == "union",
        measures=data.measures,
        schedule=_schedule(settings),
        complexity_weight=settings.complexity_weight,
        gradient_clip=settings.gradient_clip,
        accumulate=settings.accumulate,
        average=state.average,
        bf16=settings.precision == "bf16",
        compiled=settings.compile and state.replica.can_compile,
        validate_every=settings.validate_every,
        batch_norm_batches=settings.batch_norm_batches,
        n_workers=recipe.data.n_workers,
        replica=state.replica,
    )
    if state.ends_early:  # it did so before it was resumed
        events = iter(())
    for event in _until_diverged(events, state):
        if isinstance(event, StepDone):
            if state.step == first_step and ranks.is_first:
                start_folder(state, data.fingerprint)
            state.step = event.step
            log.add(event)
            validates = event.step % settings.validate_every == 0 or event.step == settings.steps
            if event.step % settings.log_every == 0 or validates:
                if not all(math.isfinite(value.item()) for value in event.losses.values()):
                    raise ranks.once(diverged(event.step))
                strides = state.model.strided_backbone.strides_by_axis()
                ranks.check_equal(f"the strides after step {event.step}", strides)
                if ranks.is_first:
                    yield log.steps(event, state.model, state.optimizer, strides)
            yield event
            if validates:
                continue  # stop only after the validation, or a resumed run would lack it
        else:
            line = state.validated(event)
            if ranks.is_first:
                yield log.append(line)
            if state.ends_early:
                break
        if ranks.any(flag=stop is not None and stop.is_set()) and state.step < settings.steps:
            state.save_last()
            yield Stopped(state.step, finished=False)
            return
    yield Calibrated(ranks.from_first(lambda: _calibration(state.run, data, state.device)))
    yield Stopped(state.step, finished=True, early=state.step < settings.steps)


def _trivial(data: TrainingData) -> dict[str, tuple[str, float]]:
    """Find what a model that has learned nothing reaches on every task's validation clips."""
    return {
        task: trivial(data.measures[task], labels[is_labelled(labels)], data.classes[task])
        for clips in data.validation
        for task, labels in clips.labels.items()
        if is_labelled(labels).any()
    }


def _calibration(run: RunFolder, data: TrainingData, device: torch.device) -> dict[str, Calibration]:
    """Fit the temperatures of the best checkpoint on the validation clips, unless they were fitted before."""
    best = load_checkpoint(run.best, device)
    if best.calibration:
        return best.calibration
    logits_by_task = labelled_logits(best.model, data.validation, window_size(best.recipe), device)
    fitted = {task: calibrate(logits.numpy(), labels.numpy()) for task, (logits, labels) in logits_by_task.items()}
    if fitted:
        run.write_calibration(best.step, fitted)
        write_checkpoint(replace(best, calibration=fitted))
    return fitted
