"""What tests do to runs."""

from pathlib import Path

from audiostride.evaluation.calibration import Calibration
from audiostride.runs.checkpoint import load_checkpoint, save_checkpoint
from audiostride.runs.folder import find_checkpoint


def recalibrate(run: Path, calibration: dict[str, Calibration]) -> None:
    """Give the best checkpoint of a run, or a checkpoint file, other temperatures."""
    path = find_checkpoint(run)
    old = load_checkpoint(path)
    save_checkpoint(
        path, old.model, old.recipe, old.classes, step=old.step, validation=old.validation, calibration=calibration
    )
