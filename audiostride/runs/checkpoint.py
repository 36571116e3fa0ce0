"""Checkpoints: weights with all that is needed to use them in one safetensors file, training state apart."""

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from audiostride.build import Classes, build_model
from audiostride.errors import UserError
from audiostride.evaluation.calibration import Calibration
from audiostride.evaluation.traits import Traits
from audiostride.files import write_atomic
from audiostride.models.classifier import AudioClassifier
from audiostride.prediction.model import read_classes
from audiostride.recipe.schema import Recipe
from audiostride.runs.folder import RunFolder, find_checkpoint

FORMAT = "1"


@dataclass(frozen=True)
class Checkpoint:
    """A trained model in evaluation mode, and what is known of it.

    Attributes:
        path: the file it was read from.
        classes: names of the classes per task, in the order of the logits.
        step: optimiser steps before it was saved.
        validation: the measure of each task (accuracy, macro F1 or mAP) on the validation clips.
        calibration: temperature per task; a task that was not calibrated has none.
        thresholds: probability per task and class from which on it is a detection; a task without has none.
    """

    path: Path
    model: AudioClassifier
    recipe: Recipe
    classes: Classes
    step: int
    validation: dict[str, float]
    calibration: dict[str, Calibration] = field(default_factory=dict)
    thresholds: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def traits(self) -> dict[str, Traits]:
        """Say what the outputs of each task mean."""
        tasks = self.recipe.tasks
        return {
            task: Traits(tasks[task].kind, tasks[task].background, self.thresholds.get(task, {}))
            for task in self.classes
        }

    def temperature(self, task: str) -> float | None:
        """Return the temperature of a task, None if it was not calibrated."""
        return self.calibration[task].temperature if task in self.calibration else None


def save_checkpoint(
    path: Path,
    model: AudioClassifier,
    recipe: Recipe,
    classes: Classes,
    *,
    step: int,
    validation: dict[str, float],
    calibration: dict[str, Calibration] | None = None,
    thresholds: dict[str, dict[str, float]] | None = None,
) -> None:
    """Write weights, recipe, class names, temperatures and thresholds to one safetensors file.

    Equal arguments give equal bytes.
    """
    metadata = {
        "calibration": json.dumps({task: asdict(of_task) for task, of_task in (calibration or {}).items()}),
        "classes": json.dumps(classes),
        "format": FORMAT,
        "recipe": recipe.model_dump_json(),
        "step": str(step),
        "thresholds": json.dumps(thresholds or {}),
        "validation": json.dumps(validation),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_atomic(path, _sorted_header(save(tensors, metadata)))


def write_checkpoint(checkpoint: Checkpoint) -> None:
    """Write a checkpoint to its path, with all that is known of it."""
    save_checkpoint(
        checkpoint.path,
        checkpoint.model,
        checkpoint.recipe,
        checkpoint.classes,
        step=checkpoint.step,
        validation=checkpoint.validation,
        calibration=checkpoint.calibration,
        thresholds=checkpoint.thresholds,
    )


def _sorted_header(content: bytes) -> bytes:
    """Sort the keys in the header of a safetensors file, whose library writes them in any order.

    The file is the length of its header in 8 bytes, the header as JSON padded with spaces, and the tensors.
    """
    n_header = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n_header])
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert len(text) <= n_header, "the same JSON without spaces is no longer"
    return content[:8] + text.ljust(n_header) + content[8 + n_header :]


def _read_classes(text: str, recipe: Recipe) -> Classes:
    """Read the names of the classes per task; ValueError if they are none, or of other tasks than the recipe's."""
    classes = read_classes(text)
    if set(classes) != set(recipe.tasks):
        raise ValueError("its classes are not those of the tasks of its recipe")
    return classes


def _read_validation(text: str) -> dict[str, float]:
    """Read the measure of each task on the validation clips; ValueError if it is no number."""
    validation = json.loads(text)
    if not isinstance(validation, dict) or not all(isinstance(value, int | float) for value in validation.values()):
        raise ValueError("its validation is no number per task")
    return {task: float(value) for task, value in validation.items()}


def _read_calibration(text: str, classes: Classes) -> dict[str, Calibration]:
    """Read the temperatures per task; ValueError or TypeError if there is something else."""
    calibration = json.loads(text)
    if not isinstance(calibration, dict) or not set(calibration) <= set(classes):
        raise ValueError("its calibration is not one of its tasks")
    return {task: Calibration(**values) for task, values in calibration.items()}


def _check_weights(tensors: dict[str, torch.Tensor]) -> None:
    """Raise ValueError for weights that no training leaves: not finite, or strides below 1."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} holds a number that is not finite")
        if name.endswith(".strides") and (tensor < 1).any():
            raise ValueError(f"{name} must be at least 1, got {tensor.tolist()}")


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint and build its model; the caller's random numbers go on as if nothing had been drawn.

    Checkpoints of older versions hold no temperatures: theirs are read from the folder of their run.

    Raises:
        UserError: not a checkpoint of this program, or damaged.
    """
    try:
        with safe_open(path, "pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        if metadata.get("format") != FORMAT:
            raise UserError(f"{path}: not a checkpoint of audiostride (format {metadata.get('format')})")
        recipe = Recipe.model_validate_json(metadata["recipe"])
        classes = _read_classes(metadata["classes"], recipe)
        step, validation = int(metadata["step"]), _read_validation(metadata["validation"])
        _check_weights(tensors)
        model = build_model(recipe, classes)
        model.load_state_dict(tensors)
        if "calibration" in metadata:
            calibration = _read_calibration(metadata["calibration"], classes)
        else:
            run = RunFolder.of_checkpoint(path)
            calibration = {} if run is None else run.read_calibration(step)
        thresholds = json.loads(metadata.get("thresholds", "{}"))
        loaded = Checkpoint(path, model.to(device).eval(), recipe, classes, step, validation, calibration, thresholds)
        for task, traits in loaded.traits.items():
            traits.check(classes[task])
    except UserError:
        raise
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: damaged, or not a checkpoint of audiostride ({reason})") from error
    return loaded


def load_run(run: Path | str, which: str = "best", device: torch.device | str = "cpu") -> Checkpoint:
    """Load a checkpoint of a run folder, or a checkpoint file.

    Args:
        run: the folder, or a `.safetensors` file in it.
        which: "best" (by the measure of each task on the validation clips, averaged over the tasks) or "last"; a run
            without a best has its last.
        device: where the model goes.

    Raises:
        UserError: no run, no checkpoint in it yet, or one that is damaged.
    """
    return load_checkpoint(find_checkpoint(Path(run), which), device)


def save_training_state(run: RunFolder, step: int, state: dict[str, Any]) -> None:
    """Write what resuming at `step` needs beside the weights. The last checkpoint decides which one counts."""
    content = io.BytesIO()
    torch.save(state | {"step": step}, content)
    write_atomic(run.state(step), content.getvalue())


def load_training_state(run: RunFolder, step: int) -> dict[str, Any]:
    """Read the state of `step`.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = run.state(step)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise UserError(f"{path}: cannot be read, the run cannot be resumed ({error})") from error
    if not isinstance(state, dict) or not {"optimizer", "rng", "best"} <= state.keys():
        raise UserError(f"{path}: not the state of a run, the run cannot be resumed")
    return state


def drop_training_states(run: RunFolder, keep_step: int) -> None:
    """Delete the states that no checkpoint stands for any more."""
    for path in run.states():
        if path != run.state(keep_step):
            path.unlink()
