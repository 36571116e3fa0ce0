"""From a path to what predicts: torch for a run, onnxruntime for an exported model, each imported when it is needed."""

from pathlib import Path

from audiostride.errors import ArgumentError, UserError
from audiostride.prediction.model import WindowModel
from audiostride.prediction.predictor import Predictor

EXPORTED = "an .onnx file that audiostride export wrote"


def check_for_onnx(device: str, checkpoint: str) -> None:
    """Raise ArgumentError where a model exported to ONNX is asked for what only a run has."""
    if device not in ("auto", "cpu"):
        raise ArgumentError("device", device, "an exported model computes on the CPU, expected auto or cpu")
    if checkpoint != "best":
        raise ArgumentError("checkpoint", checkpoint, "an exported model holds one checkpoint, which export chose")


def load_model(path: Path, device: str = "auto", checkpoint: str = "best") -> WindowModel:
    """Load a run folder, a checkpoint file, or a model exported to ONNX.

    Args:
        device: "auto" or "cpu"; of a run also "cuda" or "mps".
        checkpoint: of a run folder: "best" or "last".

    Raises:
        UserError: no such model, or none that can be used.
    """
    if path.suffix.lower() == ".onnx":
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        from audiostride.prediction.onnx_model import OnnxModel

        check_for_onnx(device, checkpoint)
        model: WindowModel = OnnxModel(path)
        return model
    if path.is_file() and path.suffix.lower() != ".safetensors":
        raise UserError(
            f"{path}: not a model; expected {EXPORTED}, a run folder or a checkpoint. "
            "The model comes first, then the recordings"
        )
    try:
        from audiostride.runs.model import load_run_model
    except ModuleNotFoundError as error:
        what = "a run needs torch, which is not installed" if path.exists() else "no such file"
        raise UserError(
            f"{path}: {what}; expected {EXPORTED}. For runs install audiostride in place of audiostride-runtime"
        ) from error
    return load_run_model(path, device, checkpoint)


def load(path: Path | str, device: str = "auto", checkpoint: str = "best") -> Predictor:
    """Load a trained run (or a model exported from one, `.onnx`) to predict from Python.

    Args:
        path: run folder, checkpoint file or `.onnx` file; the last needs no torch.
        device: "auto" or "cpu"; of a run also "cuda" or "mps".
        checkpoint: of a run folder: "best" or "last".

    Raises:
        UserError: no such model, or none that can be used.
    """
    return Predictor(load_model(Path(path), device, checkpoint))
