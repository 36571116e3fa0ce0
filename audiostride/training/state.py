"""What a training run changes as it goes on, saved and restored."""

import copy
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from audiostride.build import draw_model
from audiostride.errors import DataError, UserError
from audiostride.models.classifier import AudioClassifier
from audiostride.ranks import ALONE, Ranks
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import (
    Checkpoint,
    drop_training_states,
    load_checkpoint,
    load_training_state,
    save_checkpoint,
    save_training_state,
)
from audiostride.runs.folder import RunFolder
from audiostride.training.average import WeightAverage
from audiostride.training.data import TrainingData
from audiostride.training.events import Validated
from audiostride.training.finetune import adopt_weights
from audiostride.training.optimizer import make_optimizer, restore_optimizer
from audiostride.training.replicas import Replica

MAY_CHANGE = {
    "training": {"steps", "log_every", "early_stop_after"},
    "data": {"n_workers", "cache_dir", "device"},
}  # between a run and its resumption


def _different_keys(a: Any, b: Any, key: str = "") -> list[str]:
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return [] if a == b else [key]
    names = list(dict.fromkeys((*a, *b)))
    return [d for name in names for d in _different_keys(a.get(name), b.get(name), f"{key}.{name}".lstrip("."))]


def changed_keys(before: Recipe, now: Recipe) -> list[str]:
    """List the keys in which a recipe differs from that of a run, and which may not change while it goes on."""
    return _different_keys(before.model_dump(exclude=MAY_CHANGE), now.model_dump(exclude=MAY_CHANGE))


def ends_early(recipe: Recipe, n_without_best: int) -> bool:
    """Tell whether as many validations as a recipe allows have passed without a new best."""
    allowed = recipe.training.early_stop_after
    return allowed is not None and n_without_best >= allowed


def is_finite(model: AudioClassifier) -> bool:
    """Tell whether every parameter is a finite number."""
    return all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def diverged(step: int) -> DataError:
    """Make the error of a loss that is not a number after `step`."""
    return DataError(
        f"the loss is not a number after step {step}; lower training.learning_rate "
        "or set training.gradient_clip (the checkpoints before are kept)"
    )


class RunState:
    """Hold what a run changes as it goes on: weights, optimiser, random numbers, best validation.

    Each of several ranks holds all of it, and it is the same on all; the first alone writes.
    """

    def __init__(
        self, recipe: Recipe, data: TrainingData, run_dir: Path, device: torch.device, ranks: Ranks = ALONE
    ) -> None:
        self.recipe, self.classes, self.run = recipe, data.classes, RunFolder(run_dir)
        self.measures = data.measures
        torch.manual_seed(recipe.seed)  # of the weights, and of all that training draws after them
        settings = recipe.training
        self.is_double = settings.precision == "fp64"
        self.model = draw_model(recipe, data.classes).to(device, torch.float64 if self.is_double else None)
        self.model.backbone.requires_grad_(not settings.freeze_trunk)
        self.replica = Replica(self.model, ranks, settings.batch_norm)
        self.optimizer = make_optimizer(
            self.model,
            settings.learning_rate,
            settings.stride_learning_rate or settings.learning_rate,
            kind=settings.optimizer,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self.average = WeightAverage(self.model, settings.ema) if settings.ema else None
        self.device, self.step, self.note = device, 0, data.note
        self.best, self.best_loss = -math.inf, math.inf  # the loss decides between validations with the same scores
        self.validation: dict[str, float] = {}
        self.n_without_best = 0  # validations since the scores last rose

    @property
    def result(self) -> AudioClassifier:
        """Give the model that is validated and saved: the averaged weights if there are any."""
        return self.model if self.average is None else self.average.model

    @property
    def ends_early(self) -> bool:
        """Tell whether the run is over before all steps are done."""
        return ends_early(self.recipe, self.n_without_best)

    def begin_from(self, source: Checkpoint) -> None:
        """Take the trunk of another run, and the heads of the tasks that both have."""
        tasks = adopt_weights(self.model, self.recipe, self.classes, source)
        heads = f" and the heads of {', '.join(tasks)}" if tasks else ""
        self.add_note(f"the trunk{heads} as in {source.path}, after {source.step} steps")

    def add_note(self, note: str | None) -> None:
        """Add a line to what the user is told at the start; None adds nothing."""
        self.note = "\n".join(filter(None, (self.note, note))) or None

    def resume(self) -> None:
        """Go back to the last checkpoint of the run.

        Raises:
            UserError: the recipe differs, or the saved state is damaged. DataError: the classes differ.
        """
        if not self.run.last.is_file():  # killed before its first checkpoint: start at step 0
            if self.run.recipe.is_file():
                self._check_unchanged(load_recipe(self.run.recipe))
            return
        checkpoint = load_checkpoint(self.run.last)
        self._check_unchanged(checkpoint.recipe)
        n_steps, n_steps_before = self.recipe.training.steps, checkpoint.recipe.training.steps
        if checkpoint.step > n_steps:
            raise UserError(f"{self.run.path}: the run is at step {checkpoint.step}, beyond training.steps={n_steps}")
        if n_steps != n_steps_before:
            self.add_note(f"training.steps: {n_steps_before} in the run before, {n_steps} from now on")
        if checkpoint.classes != self.classes:
            raise DataError(f"{self.run.path}: the classes of the run are not those in the manifest")
        state = load_training_state(self.run, checkpoint.step)
        self.step, self.validation = checkpoint.step, checkpoint.validation
        try:
            self.result.load_state_dict(checkpoint.model.state_dict())
            self._adopt(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{self.run.path}: its state is damaged, the run cannot be resumed ({error})") from error

    def share(self) -> None:
        """Give the state of the first rank to all others, which may not see its files."""
        ranks = self.replica.ranks
        if ranks.n == 1:
            return
        content = io.BytesIO()
        if ranks.is_first:
            weights = {"model": self.model.state_dict(), "result": self.result.state_dict()}
            torch.save(self._state() | weights | {"step": self.step, "validation": self.validation}, content)
        content = io.BytesIO(ranks.broadcast(content.getvalue()))
        if not ranks.is_first:
            state = torch.load(content, map_location="cpu", weights_only=True)
            self.step, self.validation = state["step"], state["validation"]
            self._adopt(state)

    def _adopt(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave; KeyError, TypeError, ValueError or RuntimeError if it is damaged."""
        if "result" in state:
            self.result.load_state_dict(state["result"])
        if self.average is not None:
            self.average.n_steps = self.step
        if self.average is not None or "model" in state:
            self.model.load_state_dict(state["model"])
        restore_optimizer(self.optimizer, state["optimizer"])
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda" and "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)
        self.best = state["best"]
        self.best_loss = state.get("best_loss", -math.inf)  # older versions kept the earlier of two equal ones
        self.n_without_best = state.get("n_without_best", 0)  # older versions did not count them

    def _state(self) -> dict[str, Any]:
        """Give what a resumed run needs beside the weights in its checkpoint."""
        state = {
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "best": self.best,
            "best_loss": self.best_loss,
            "n_without_best": self.n_without_best,
        }
        if self.device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state(self.device)
        if self.average is not None or self.is_double:
            state["model"] = self.model.state_dict()
        if self.average is not None and self.is_double:
            state["result"] = self.result.state_dict()
        return state

    def _check_unchanged(self, recipe: Recipe) -> None:
        if changed := changed_keys(recipe, self.recipe):
            raise UserError(f"{self.run.path}: the recipe differs from the run's in {', '.join(changed)}")

    def _save(self, path: Path) -> None:
        if not is_finite(self.result):
            raise self.replica.ranks.once(diverged(self.step))
        if self.replica.ranks.is_first:
            # a checkpoint is in single precision; what a run in double precision goes on from is in its state
            model = copy.deepcopy(self.result).float() if self.is_double else self.result
            save_checkpoint(path, model, self.recipe, self.classes, step=self.step, validation=self.validation)

    def save_last(self) -> None:
        """Write the last checkpoint and the state that a resumed run needs."""
        if self.replica.ranks.is_first:
            save_training_state(self.run, self.step, self._state())
        self._save(self.run.last)  # from here on the new state counts
        if self.replica.ranks.is_first:
            drop_training_states(self.run, self.step)

    def validated(self, event: Validated) -> dict[str, Any]:
        """Save the run after a validation, and return the line for its log."""
        self.validation = dict(event.scores)
        mean = sum(event.scores.values()) / len(event.scores) if event.scores else None
        loss = sum(event.losses.values())
        # without validation clips the newest counts as the best
        is_best = mean is None or (mean, -loss) > (self.best, -self.best_loss)
        self.n_without_best = 0 if mean is None or mean > self.best else self.n_without_best + 1
        if is_best:
            self.best, self.best_loss = (-math.inf, math.inf) if mean is None else (mean, loss)
            self._save(self.run.best)
        self.save_last()
        return {
            "step": event.step,
            "validation": dict(event.scores),
            "validation_loss": dict(event.losses),
            "measures": self.measures,
            "mean": mean,
            "is_best": is_best,
        }
