"""What tests do to runs."""

from dataclasses import replace
from pathlib import Path

from audiostride.evaluation.calibration import Calibration
from audiostride.runs.checkpoint import load_checkpoint, write_checkpoint
from audiostride.runs.folder import find_checkpoint


def recalibrate(run: Path, calibration: dict[str, Calibration]) -> None:
    """Give the best checkpoint of a run, or a checkpoint file, other temperatures."""
    write_checkpoint(replace(load_checkpoint(find_checkpoint(run)), calibration=calibration))
