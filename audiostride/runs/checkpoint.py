"""Checkpoints: weights with all that is needed to use them in one safetensors file, training state apart."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from audiostride.build import Classes, build_model
from audiostride.errors import UserError
from audiostride.evaluation.calibration import Calibration
from audiostride.files import write_atomic
from audiostride.models.classifier import AudioClassifier
from audiostride.recipe.schema import Recipe
from audiostride.runs.folder import RunFolder, find_checkpoint

FORMAT = "1"


@dataclass(frozen=True)
class Checkpoint:
    """A trained model, in evaluation mode, and where it came from: file, recipe, class names per task, step."""

    path: Path
    model: AudioClassifier
    recipe: Recipe
    classes: Classes
    step: int
    validation: dict[str, float]  # accuracy per task


def save_checkpoint(
    path: Path, model: AudioClassifier, recipe: Recipe, classes: Classes, step: int, validation: dict[str, float]
) -> None:
    """Write weights, recipe, class names and front-end settings to one safetensors file."""
    metadata = {
        "format": FORMAT,
        "recipe": recipe.model_dump_json(),
        "classes": json.dumps(classes),
        "frontend": recipe.frontend.model_dump_json(),
        "step": str(step),
        "validation": json.dumps(validation),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_atomic(path, save(tensors, metadata))


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint and build its model.

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
        classes = {task: tuple(names) for task, names in json.loads(metadata["classes"]).items()}
        model = build_model(recipe, classes)
        model.load_state_dict(tensors)
        validation = json.loads(metadata["validation"])
        step = int(metadata["step"])
    except UserError:
        raise
    except (SafetensorError, OSError, KeyError, ValidationError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: damaged, or not a checkpoint of audiostride ({error})") from error
    return Checkpoint(path, model.to(device).eval(), recipe, classes, step, validation)


def load_run(run: Path | str, which: str = "best", device: torch.device | str = "cpu") -> Checkpoint:
    """Load a checkpoint of a run folder, or a checkpoint file.

    Args:
        run: the folder, or a `.safetensors` file in it.
        which: "best" (by the mean validation accuracy of the tasks) or "last"; a run without a best has its last.
        device: where the model goes.

    Raises:
        UserError: no run, no checkpoint in it yet, or one that is damaged.
    """
    return load_checkpoint(find_checkpoint(Path(run), which), device)


def stored_calibration(checkpoint: Checkpoint) -> dict[str, Calibration]:
    """The calibration in the checkpoint's run folder, per task; none for a file that lies elsewhere."""
    folder = RunFolder.of_checkpoint(checkpoint.path)
    return {} if folder is None else folder.read_calibration(checkpoint.step)


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
