"""A training run: from a recipe to a folder that holds everything of it."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import torch
import yaml
from filelock import FileLock, Timeout
from pydantic import ValidationError

from audiostride.build import build_augmentation, map_size, window_size
from audiostride.data.targets import is_labelled
from audiostride.device import choose_device
from audiostride.errors import ArgumentError, UserError
from audiostride.evaluation.calibration import Calibration, calibrate
from audiostride.evaluation.clips import labelled_logits
from audiostride.evaluation.measures import trivial
from audiostride.files import write_text_atomic
from audiostride.models.classifier import AudioClassifier
from audiostride.models.registry import check_backbone
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.recipe.training import Training
from audiostride.runs.checkpoint import Checkpoint, load_checkpoint, write_checkpoint
from audiostride.runs.folder import RunFolder
from audiostride.training.data import TrainingData, build_training_data
from audiostride.training.environment import describe_environment
from audiostride.training.events import Calibrated, Started, StepDone, Stopped, TrainingEvent, Validated
from audiostride.training.finetune import adopt_settings, load_origin
from audiostride.training.fingerprint import Fingerprint, check_same_data
from audiostride.training.loop import train_steps
from audiostride.training.metrics_log import MetricsLog
from audiostride.training.schedule import RateSchedule
from audiostride.training.state import RunState, diverged, is_finite
from audiostride.training.tensorboard_log import remove_events


def _start_folder(state: RunState, data: Fingerprint) -> None:
    """Make the folder that of a run which goes on from where `state` stands, removing what came after it."""
    run, step = state.run, state.step
    run.checkpoints.mkdir(exist_ok=True)
    kept = [line for line in run.read_metrics() if line["step"] <= step]
    if step == 0:
        for path in (run.best, run.last, *run.states(), run.calibration, run.thresholds):
            path.unlink(missing_ok=True)
        remove_events(run.path)
    write_text_atomic(run.metrics, "".join(json.dumps(line) + "\n" for line in kept))
    write_text_atomic(run.recipe, yaml.safe_dump(state.recipe.model_dump(mode="json"), sort_keys=False))
    write_text_atomic(run.environment, json.dumps(describe_environment(state.device), indent=2))
    write_text_atomic(run.data, json.dumps(data, indent=0))


@contextmanager
def _sole_trainer(run_dir: Path) -> Iterator[None]:
    """Hold the lock of `run_dir`, which ends with the process however it ends."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(RunFolder(run_dir).lock, timeout=0):
            yield
    except Timeout as error:
        raise UserError(f"{run_dir}: another process is training there") from error


def check_run_dir(run_dir: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise UserError unless a run may be started (or resumed) in `run_dir`."""
    if resume and not RunFolder(run_dir).exists():
        raise ArgumentError("run_dir", run_dir, "holds no run, so there is none to resume")
    if not resume and not overwrite and RunFolder(run_dir).exists():
        raise ArgumentError(
            "run_dir",
            run_dir,
            "holds a run already; continue it with resume (--resume), replace it with overwrite (--overwrite), "
            "or choose another folder",
        )
    if run_dir.exists() and not run_dir.is_dir():
        raise ArgumentError("run_dir", run_dir, "is a file, expected a folder for the run")


def _until_diverged(events: Iterator[StepDone | Validated], state: RunState) -> Iterator[StepDone | Validated]:
    """Name the divergence where a stride that is not a number stops the layer before the loss shows it."""
    try:
        yield from events
    except ValueError as error:
        if is_finite(state.model):
            raise
        raise diverged(state.step) from error


def _origin(recipe: Recipe, run_dir: Path, *, resume: bool) -> Checkpoint | None:
    """Find the checkpoint of the trunk: the run to begin from, or the run itself once it has a checkpoint."""
    last = RunFolder(run_dir).last
    return load_checkpoint(last) if recipe.init_from and resume and last.is_file() else load_origin(recipe)


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
        UserError: the recipe or the folder does not permit it. DataError: recordings missing or
            unusable, or a loss that is not a number.
    """
    events = train_recipe(
        recipe, run_dir, device, resume=resume, overwrite=overwrite, allow_changed_data=allow_changed_data
    )
    for event in events:
        if on_event is not None:
            on_event(event)
    return Path(run_dir)


def _checked(recipe: Recipe | Mapping[str, object] | Path | str) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Path | str):
        return load_recipe(Path(recipe))
    try:
        return Recipe.model_validate(recipe)
    except ValidationError as error:
        raise UserError(f"recipe: {error}") from error


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

    Raises:
        UserError: the recipe or the folder does not permit it. DataError: recordings missing or
            unusable, or a loss that is not a number.
    """
    recipe, run_dir, device = _checked(recipe), Path(run_dir), choose_device(device)
    check_run_dir(run_dir, resume=resume, overwrite=overwrite)
    origin = _origin(recipe, run_dir, resume=resume)
    if origin is not None:
        recipe = adopt_settings(recipe, origin)
    check_backbone(recipe.model.backbone)
    data = build_training_data(recipe, on_decode)
    with _sole_trainer(run_dir):
        check_run_dir(run_dir, resume=resume, overwrite=overwrite)  # another one may have begun meanwhile
        state = RunState(recipe, data, run_dir, device)
        if resume:
            if not allow_changed_data and state.run.last.is_file():
                state.add_note(check_same_data(state.run, data.fingerprint))
            state.resume()
        if origin is not None and state.step == 0:
            state.begin_from(origin)
        state.add_note(_stuck_strides(recipe, state.model))
        yield from _train(recipe, data, state, stop)


def _stuck_strides(recipe: Recipe, model: AudioClassifier) -> str | None:
    """Name the strides that cannot learn at the sizes of the recipe's windows, and the cure."""
    stuck = model.strided_backbone.stuck_strides(*map_size(recipe))
    if not stuck:
        return None
    names = ", ".join(f"block {layer.block} {layer.axis} ({layer.n_in} samples)" for layer in stuck)
    cure = "a longer window or smaller strides before them" if recipe.model.ramp == "folded" else "model.ramp: folded"
    return f"strides that cannot learn, too few samples for their ramp: {names}; the cure is {cure}"


def _schedule(settings: Training) -> RateSchedule:
    return RateSchedule(settings.schedule, settings.warmup_steps, settings.decay_steps, settings.decay_factor)


def _train(recipe: Recipe, data: TrainingData, state: RunState, stop: Event | None) -> Iterator[TrainingEvent]:
    """Train from where `state` stands; the folder is touched when the first step has gone well."""
    settings, first_step = recipe.training, state.step
    n_validation = sum(len(clips.samples) for clips in data.validation)
    yield Started(state.step, settings.steps, n_validation, state.note, _trivial(data), data.measures, data.unheard)
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
        compiled=settings.compile,
        validate_every=settings.validate_every,
        batch_norm_batches=settings.batch_norm_batches,
        n_workers=recipe.data.n_workers,
    )
    if state.ends_early:  # it did so before it was resumed
        events = iter(())
    for event in _until_diverged(events, state):
        if isinstance(event, StepDone):
            if state.step == first_step:
                _start_folder(state, data.fingerprint)
            state.step = event.step
            log.add(event)
            validates = event.step % settings.validate_every == 0 or event.step == settings.steps
            if event.step % settings.log_every == 0 or validates:
                if not all(math.isfinite(value.item()) for value in event.losses.values()):
                    raise diverged(event.step)
                yield log.steps(event, state.model, state.optimizer)
            yield event
            if validates:
                continue  # stop only after the validation, or a resumed run would lack it
        else:
            yield log.append(state.validated(event))
            if state.ends_early:
                break
        if stop is not None and stop.is_set() and state.step < settings.steps:
            state.save_last()
            yield Stopped(state.step, finished=False)
            return
    yield Calibrated(_calibration(state.run, data, state.device))
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
