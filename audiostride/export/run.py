"""A trained run as one ONNX file that agrees with it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from audiostride.build import window_size
from audiostride.errors import ArgumentError, DataError, UserError
from audiostride.export.check import (
    Changes,
    Speed,
    Verification,
    compare_answers,
    measure,
    recorded_windows,
    score_forms,
    verify,
)
from audiostride.extras import install_command
from audiostride.files import write_atomic
from audiostride.prediction.onnx_model import OnnxModel, describe, import_onnxruntime
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.model import RunModel
from audiostride.runs.scoring import RunScore
from audiostride.vocabulary import OPSET

FIRST_OPSET, LAST_OPSET = 13, 21
N_CALIBRATION_CLIPS = 128  # of every manifest


@dataclass(frozen=True)
class Variant:
    """One form of the model, torch or ONNX; its accuracy on the test split per task, where that was measured."""

    name: str
    n_bytes: int
    speed: Speed
    accuracy: dict[str, float] | None


@dataclass(frozen=True)
class Export:
    """What was written, how far it was from torch before it was quantized, and the forms of the model side by side.

    `changes` tells per task how the answers on the test split change in 8 bits; it is empty for a model in floats.
    """

    path: Path
    opset: int
    verification: Verification
    variants: list[Variant]
    changes: list[Changes]

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        return asdict(self) | {"path": str(self.path)}


def require_onnx() -> None:
    """Raise UserError where the packages that export needs are not installed."""
    import_onnxruntime()
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise UserError(f"export needs onnx, which is not installed: {install_command('onnx')}") from error


def _portable(recipe: Recipe) -> Recipe:
    """Take the folders of the training machine out of a recipe: what is left of a path is its name."""

    def name(path: str | None) -> str | None:
        return None if path is None else Path(path).name

    tasks = {
        key: task.model_copy(update={"manifest": name(task.manifest), "root": None})
        for key, task in recipe.tasks.items()
    }
    augmentation = recipe.augmentation.model_copy(update={"background": name(recipe.augmentation.background)})
    data = recipe.data.model_copy(update={"cache_dir": None})
    changes = {"tasks": tasks, "augmentation": augmentation, "data": data, "init_from": name(recipe.init_from)}
    return recipe.model_copy(update=changes)


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    recipe = checkpoint.recipe
    temperatures = {task: checkpoint.temperature(task) or 1.0 for task in checkpoint.classes}
    of_model = describe(
        checkpoint.classes,
        temperatures,
        checkpoint.traits,
        sample_rate=recipe.frontend.sample_rate,
        n_window=window_size(recipe),
    )
    return of_model | {
        "recipe": _portable(recipe).model_dump_json(),
        "step": str(checkpoint.step),
        "version": version("audiostride"),
    }


def _quantized(checkpoint: Checkpoint, content: bytes, waveform: str) -> bytes:
    """Give the convolutions of the backbone in 8 bits; the front end needs the range of powers that a float has."""
    from audiostride.export.quantization import quantize_convolutions

    windows = recorded_windows(checkpoint, ("train", "valid"), N_CALIBRATION_CLIPS)
    if not windows:
        raise DataError("int8 needs recordings that show the range of the maps; none of the run's is there")
    return quantize_convolutions(content, waveform, np.stack([window.samples for window in windows]))


def export_run(
    checkpoint: Checkpoint,
    path: Path,
    *,
    opset: int = OPSET,
    quantize: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Export:
    """Write a checkpoint as ONNX: windows `(batch, time)` in, logits out, front end and strides in the graph.

    Nothing is written unless the logits of onnxruntime and of torch agree (`check.verify`).

    Args:
        checkpoint: on the CPU.
        path: the file to write.
        opset: version of the ONNX operators, 13 to 21.
        quantize: convolutions in 8 bits, their ranges from the run's training clips; the accuracy on the test split
            of torch, of ONNX and of ONNX in 8 bits is then measured as well, and answers that change are counted.
        on_progress: called with the files of the test split done and in all.

    Raises:
        UserError: an opset out of range, a backbone without a known graph, a package that is missing, or a manifest
            that quantising needs.
        DataError: logits that differ from those of torch, or recordings missing that quantising needs.
    """
    if not FIRST_OPSET <= opset <= LAST_OPSET:
        raise ArgumentError("opset", opset, f"expected {FIRST_OPSET} to {LAST_OPSET}")
    require_onnx()
    from audiostride.export.graph import to_onnx

    n_window = window_size(checkpoint.recipe)
    graph = to_onnx(checkpoint.model, n_window, _metadata(checkpoint), opset)
    contents = {"ONNX": graph.SerializeToString()}
    models = {"ONNX": OnnxModel.from_bytes(contents["ONNX"], path)}
    verification = verify(checkpoint, models["ONNX"])
    scores: dict[str, RunScore] = {}
    changes: list[Changes] = []
    if quantize:
        contents["ONNX int8"] = _quantized(checkpoint, contents["ONNX"], graph.graph.input[0].name)
        models["ONNX int8"] = OnnxModel.from_bytes(contents["ONNX int8"], path)
        scores = score_forms(checkpoint, models, on_progress)
        changes = compare_answers(scores["torch"], scores["ONNX int8"])
    accuracy = {name: {task: of.accuracy for task, of in form.scores.items()} for name, form in scores.items()}
    write_atomic(path, list(contents.values())[-1])
    speed = measure(RunModel(checkpoint).logits, n_window)
    variants = [Variant("torch", checkpoint.path.stat().st_size, speed, accuracy.get("torch"))]
    for name, exported in models.items():
        variants.append(Variant(name, len(contents[name]), measure(exported.logits, n_window), accuracy.get(name)))
    return Export(path, opset, verification, variants, changes)
