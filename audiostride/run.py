"""A training run: its folder, its log, its checkpoints."""

import importlib.metadata
import json
import math
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout

from audiostride.build import TrainingData, build_augmentation, build_model, build_training_data, window_size
from audiostride.checkpoint import (
    Checkpoint,
    drop_training_states,
    is_run,
    load_checkpoint,
    load_run,
    load_training_state,
    save_checkpoint,
    save_training_state,
)
from audiostride.errors import DataError, UserError
from audiostride.files import write_text_atomic
from audiostride.finetune import adopt_settings, adopt_weights
from audiostride.models.classifier import AudioClassifier
from audiostride.recipe import Recipe
from audiostride.recipe_file import load_recipe
from audiostride.training import StepDone, Validated, make_optimizer, train

RECIPE, METRICS, ENVIRONMENT, CHECKPOINTS = "recipe.yaml", "metrics.jsonl", "environment.json", "checkpoints"

MAY_CHANGE = {
    "training": {"steps", "log_every"},
    "data": {"n_workers", "cache_dir", "device"},
}  # between a run and its resumption


@dataclass(frozen=True)
class Started:
    """The data are ready; `first_step` steps of `n_steps` were done before."""

    first_step: int
    n_steps: int
    n_validation_clips: int
    note: str | None  # on recordings left out, splits unused, steps changed


@dataclass(frozen=True)
class Logged:
    """A line of `metrics.jsonl`."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Stopped:
    """The end: all steps done, or interrupted and saved."""

    step: int
    finished: bool


def environment() -> dict[str, str]:
    """Versions of what a result depends on."""
    packages = ("audiostride", "torch", "torchaudio", "numpy", "soundfile", "soxr")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "platform": platform.platform(), **versions}


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`; what is damaged or was cut off by the end of the process is left out."""
    path = run_dir / METRICS
    lines = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(values, dict) and isinstance(values.get("step"), int):
            lines.append(values)
    return lines


class _Log:
    """Appends to `metrics.jsonl`, averaging what happened since the line before."""

    def __init__(self, run_dir: Path, batch_size: int) -> None:
        self.path = run_dir / METRICS
        self.batch_size = batch_size
        self.n_steps, self.seconds, self.waited_s = 0, 0.0, 0.0

    def add(self, event: StepDone) -> None:
        self.n_steps += 1
        self.seconds += event.seconds
        self.waited_s += event.waited_s

    def steps(self, event: StepDone, model: AudioClassifier, optimizer: torch.optim.Optimizer) -> Logged:
        rates = [group["lr"] for group in optimizer.param_groups]
        line = {
            "step": event.step,
            "loss": {task: value.item() for task, value in event.losses.items()},
            "accuracy": {task: value.item() for task, value in event.accuracy.items()},
            "learning_rate": rates[0],
            "stride_learning_rate": rates[1] if len(rates) > 1 else None,
            "windows_per_s": self.n_steps * self.batch_size / self.seconds,
            "waiting_share": self.waited_s / self.seconds,
            "strides": model.backbone.strides_by_axis(),
        }
        self.n_steps, self.seconds, self.waited_s = 0, 0.0, 0.0
        return self.append(line)

    def append(self, line: dict[str, Any]) -> Logged:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return Logged(line)


def _start_folder(run_dir: Path, recipe: Recipe, step: int) -> None:
    """Make `run_dir` the folder of a run that goes on from `step`, removing what came after it."""
    checkpoints = run_dir / CHECKPOINTS
    checkpoints.mkdir(exist_ok=True)
    kept = [line for line in read_metrics(run_dir) if line["step"] <= step]
    if step == 0:
        for path in (*checkpoints.glob("best.safetensors"), *checkpoints.glob("last*")):
            path.unlink()
    write_text_atomic(run_dir / METRICS, "".join(json.dumps(line) + "\n" for line in kept))
    write_text_atomic(run_dir / RECIPE, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
    write_text_atomic(run_dir / ENVIRONMENT, json.dumps(environment(), indent=2))


@contextmanager
def _sole_trainer(run_dir: Path) -> Iterator[None]:
    """Hold the lock of `run_dir`, which ends with the process however it ends."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(run_dir / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError(f"{run_dir}: another process is training there") from error


def _different_keys(a: Any, b: Any, key: str = "") -> list[str]:
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return [] if a == b else [key]
    names = list(dict.fromkeys((*a, *b)))
    return [d for name in names for d in _different_keys(a.get(name), b.get(name), f"{key}.{name}".lstrip("."))]


def check_run_dir(run_dir: Path, resume: bool, overwrite: bool) -> None:
    """Raise UserError unless a run may be started (or resumed) in `run_dir`."""
    if resume and not is_run(run_dir):
        raise UserError(f"--resume: {run_dir} holds no run")
    if not resume and not overwrite and is_run(run_dir):
        raise UserError(
            f"{run_dir} holds a run already; continue it with --resume, replace it with --overwrite, "
            "or choose another --run-dir"
        )
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"{run_dir} is a file, expected a folder for the run")


def _is_finite(model: AudioClassifier) -> bool:
    return all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def _diverged(step: int) -> DataError:
    return DataError(
        f"the loss is not a number after step {step}; lower training.learning_rate "
        "or set training.gradient_clip (the checkpoints before are kept)"
    )


class _State:
    """What a run changes as it goes on: weights, optimiser, random numbers, best accuracy."""

    def __init__(self, recipe: Recipe, data: TrainingData, run_dir: Path, device: torch.device) -> None:
        self.recipe, self.classes, self.folder = recipe, data.classes, run_dir / CHECKPOINTS
        self.model = build_model(recipe, data.classes).to(device)
        self.model.backbone.requires_grad_(not recipe.training.freeze_trunk)
        rate = recipe.training.learning_rate
        self.optimizer = make_optimizer(self.model, rate, recipe.training.stride_learning_rate or rate)
        self.device, self.step, self.best, self.note = device, 0, -math.inf, data.note
        self.validation: dict[str, float] = {}

    def begin_from(self, source: Checkpoint) -> None:
        tasks = adopt_weights(self.model, self.classes, source)
        heads = f" and the heads of {', '.join(tasks)}" if tasks else ""
        self._add_note(f"the trunk{heads} as in {source.path}, after {source.step} steps")

    def _add_note(self, note: str) -> None:
        self.note = note if self.note is None else f"{self.note}\n{note}"

    def resume(self) -> None:
        path = self.folder / "last.safetensors"
        if not path.is_file():  # killed before its first checkpoint: start at step 0
            if (text := self.folder.parent / RECIPE).is_file():
                self._check_unchanged(load_recipe(text))
            return
        checkpoint = load_checkpoint(path)
        self._check_unchanged(checkpoint.recipe)
        n_steps, n_steps_before = self.recipe.training.steps, checkpoint.recipe.training.steps
        if checkpoint.step > n_steps:
            raise UserError(f"--resume: the run is at step {checkpoint.step}, beyond training.steps={n_steps}")
        if n_steps != n_steps_before:
            self._add_note(f"training.steps: {n_steps_before} in the run before, {n_steps} from now on")
        if checkpoint.classes != self.classes:
            raise DataError(f"--resume: the classes in the manifest are not those of the run in {path.parent.parent}")
        state = load_training_state(self.folder, checkpoint.step)
        self.model.load_state_dict(checkpoint.model.state_dict())
        try:
            self.optimizer.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["rng"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{self.folder}: its state is damaged, the run cannot be resumed ({error})") from error
        if self.device.type == "cuda" and "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)
        self.step, self.best, self.validation = checkpoint.step, state["best"], checkpoint.validation

    def _check_unchanged(self, recipe: Recipe) -> None:
        changed = _different_keys(recipe.model_dump(exclude=MAY_CHANGE), self.recipe.model_dump(exclude=MAY_CHANGE))
        if changed:
            raise UserError(f"--resume: the recipe differs from the run's in {', '.join(changed)}")

    def _save(self, name: str) -> None:
        if not _is_finite(self.model):
            raise _diverged(self.step)
        path = self.folder / f"{name}.safetensors"
        save_checkpoint(path, self.model, self.recipe, self.classes, self.step, self.validation)

    def save_last(self) -> None:
        state = {"optimizer": self.optimizer.state_dict(), "rng": torch.get_rng_state(), "best": self.best}
        if self.device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        save_training_state(self.folder, self.step, state)
        self._save("last")  # from here on the new state counts
        drop_training_states(self.folder, self.step)

    def validated(self, event: Validated) -> dict[str, Any]:
        self.validation = dict(event.accuracy)
        mean = sum(event.accuracy.values()) / len(event.accuracy) if event.accuracy else None
        # without validation clips the newest counts as the best
        is_best = mean is None or mean > self.best
        if is_best:
            self.best = -math.inf if mean is None else mean
            self._save("best")
        self.save_last()
        return {"step": event.step, "validation": dict(event.accuracy), "mean": mean, "is_best": is_best}


def _until_diverged(events: Iterator[StepDone | Validated], state: _State) -> Iterator[StepDone | Validated]:
    """A stride that is not a number stops the layer before the loss tells."""
    try:
        yield from events
    except ValueError as error:
        if _is_finite(state.model):
            raise
        raise _diverged(state.step) from error


def _origin(run_dir: Path, resume: bool, init_from: str) -> Checkpoint:
    """What a run has its trunk from: the run to begin from, or itself once it has a checkpoint."""
    last = run_dir / CHECKPOINTS / "last.safetensors"
    if resume and last.is_file():
        return load_checkpoint(last)
    try:
        return load_run(init_from)
    except UserError as error:
        raise UserError(f"init_from: {error}") from error


def train_recipe(
    recipe: Recipe,
    run_dir: Path,
    device: torch.device,
    resume: bool = False,
    overwrite: bool = False,
    stop: Event | None = None,
    on_decode: Callable[[int, int], None] | None = None,
) -> Iterator[Started | StepDone | Logged | Stopped]:
    """Train a recipe in `run_dir`, yielding what happens; everything of a run is in its folder.

    Args:
        resume: go on from the last checkpoint, exactly as if the run had never stopped.
        overwrite: replace a run that the folder holds, once the data are found in order.
        stop: when set, the run saves itself after the step at hand and ends.
        on_decode: called with the recordings decoded and in all, while the cache is filled.

    Raises:
        UserError: the recipe or the folder does not permit it. DataError: recordings missing or
            unusable, or a loss that is not a number.
    """
    check_run_dir(run_dir, resume, overwrite)
    origin = None if recipe.init_from is None else _origin(run_dir, resume, recipe.init_from)
    if origin is not None:
        recipe = adopt_settings(recipe, origin)
    data = build_training_data(recipe, on_decode)
    with _sole_trainer(run_dir):
        check_run_dir(run_dir, resume, overwrite)  # another one may have begun meanwhile
        state = _State(recipe, data, run_dir, device)
        if resume:
            state.resume()
        if origin is not None and state.step == 0:
            state.begin_from(origin)
        yield from _train(recipe, data, state, stop)


def _train(
    recipe: Recipe, data: TrainingData, state: _State, stop: Event | None
) -> Iterator[Started | StepDone | Logged | Stopped]:
    """Train from where `state` stands; the folder is touched when the first step has gone well."""
    settings, run_dir, first_step = recipe.training, state.folder.parent, state.step
    n_validation = sum(len(clips.samples) for clips in data.validation)
    yield Started(state.step, settings.steps, n_validation, state.note)
    log = _Log(run_dir, settings.batch_size)
    events = train(
        state.model,
        state.optimizer,
        data.batches,
        data.validation,
        window_size(recipe),
        state.device,
        settings.steps,
        state.step,
        data.losses,
        build_augmentation(recipe),
        recipe.augmentation.mixup,
        settings.schedule,
        settings.complexity_weight,
        settings.gradient_clip,
        settings.precision == "bf16",
        settings.compile,
        settings.validate_every,
        settings.batch_norm_batches,
        recipe.data.n_workers,
    )
    for event in _until_diverged(events, state):
        if isinstance(event, StepDone):
            if state.step == first_step:
                _start_folder(run_dir, recipe, first_step)
            state.step = event.step
            log.add(event)
            validates = event.step % settings.validate_every == 0 or event.step == settings.steps
            if event.step % settings.log_every == 0 or validates:
                if not all(math.isfinite(value.item()) for value in event.losses.values()):
                    raise _diverged(event.step)
                yield log.steps(event, state.model, state.optimizer)
            yield event
            if validates:
                continue  # stop only after the validation, or a resumed run would lack it
        else:
            yield log.append(state.validated(event))
        if stop is not None and stop.is_set() and state.step < settings.steps:
            state.save_last()
            yield Stopped(state.step, finished=False)
            return
    yield Stopped(state.step, finished=True)
