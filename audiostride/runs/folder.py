"""The folder of a run: where everything in it lies, and how to read what is not a checkpoint."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from audiostride.errors import UserError
from audiostride.evaluation.calibration import Calibration
from audiostride.files import write_text_atomic
from audiostride.vocabulary import CheckpointName

CHECKPOINTS: tuple[CheckpointName, ...] = get_args(CheckpointName)


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run, whether it is there or not. No other place in the package spells them.

    >>> RunFolder(Path("runs/demo")).best.as_posix()
    'runs/demo/checkpoints/best.safetensors'
    """

    path: Path

    @classmethod
    def of_checkpoint(cls, checkpoint: Path) -> "RunFolder | None":
        """Find the run that a checkpoint file lies in; None for a file alone."""
        folder = cls(checkpoint.absolute().parent.parent)
        return folder if checkpoint.absolute().parent == folder.checkpoints and folder.exists() else None

    @classmethod
    def containing(cls, path: Path) -> "RunFolder | None":
        """Find the run that `path` stands for: the folder itself, or a checkpoint file in one."""
        return cls(path) if path.is_dir() else cls.of_checkpoint(path)

    @property
    def recipe(self) -> Path:
        """Locate the recipe with every key written out."""
        return self.path / "recipe.yaml"

    @property
    def metrics(self) -> Path:
        """Locate the log: a line for every so many steps and every validation."""
        return self.path / "metrics.jsonl"

    @property
    def environment(self) -> Path:
        """Locate the versions that the run was trained with."""
        return self.path / "environment.json"

    @property
    def data(self) -> Path:
        """Locate the rows and checksums of the data that the run is trained on."""
        return self.path / "data.json"

    @property
    def calibration(self) -> Path:
        """Locate the temperatures, for people and for checkpoints of older versions, which hold none."""
        return self.path / "calibration.json"

    @property
    def thresholds(self) -> Path:
        """Locate the thresholds as they were chosen, for people; those that count are in the checkpoint."""
        return self.path / "thresholds.json"

    @property
    def checkpoints(self) -> Path:
        """Locate the folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Locate the checkpoint with the best validation."""
        return self.checkpoints / "best.safetensors"

    @property
    def last(self) -> Path:
        """Locate the newest checkpoint."""
        return self.checkpoints / "last.safetensors"

    @property
    def log(self) -> Path:
        """Locate what a training that is one of several says."""
        return self.path / "train.log"

    @property
    def tensorboard(self) -> Path:
        """Locate the folder of what TensorBoard shows, if it was asked for."""
        return self.path / "tensorboard"

    @property
    def lock(self) -> Path:
        """Locate the lock that the training process holds."""
        return self.path / ".lock"

    def state(self, step: int) -> Path:
        """Locate what resuming at `step` needs beside the weights."""
        return self.checkpoints / f"last-{step}.state.pt"

    def states(self) -> list[Path]:
        """List the training states that are there; one counts, that of the last checkpoint."""
        return sorted(self.checkpoints.glob("last-*.state.pt"))

    def exists(self) -> bool:
        """Tell whether the folder holds a run, finished or not."""
        return self.recipe.exists() or self.checkpoints.exists()

    def files(self) -> list[Path]:
        """List what the run cannot do without, there or not; no output may replace it."""
        return [
            self.checkpoints,
            self.recipe,
            self.metrics,
            self.environment,
            self.data,
            self.calibration,
            self.thresholds,
        ]

    def checkpoint(self, which: str = "best") -> Path:
        """Find the checkpoint called `which`; a run without a best has its last.

        Raises:
            UserError: no run in the folder, or no checkpoint yet.
        """
        for path in dict.fromkeys((self.best if which == "best" else self.last, self.last)):
            if path.is_file():
                return path
        if self.exists():
            raise UserError(f"{self.path}: a run without a checkpoint yet")
        raise UserError(f"{self.path}: not a run folder; expected one that `audiostride train` wrote")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read the lines of the log; a line that is damaged or cut off is left out."""
        lines = []
        for line in self.metrics.read_text(errors="replace").splitlines() if self.metrics.exists() else ():
            try:
                values = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(values, dict) and isinstance(values.get("step"), int):
                lines.append(values)
        return lines

    def read_environment(self) -> dict[str, str]:
        """Read the versions that the run was trained with; an empty dictionary if they are not there."""
        try:
            content = json.loads(self.environment.read_text())
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}

    def write_calibration(self, step: int, tasks: dict[str, Calibration]) -> None:
        """Write the temperatures of the checkpoint of `step`."""
        content = {"step": step, "tasks": {task: asdict(calibration) for task, calibration in tasks.items()}}
        write_text_atomic(self.calibration, json.dumps(content, indent=2) + "\n")

    def write_thresholds(self, step: int, content: Mapping[str, Any]) -> None:
        """Write what was chosen for the checkpoint of `step`."""
        write_text_atomic(self.thresholds, json.dumps({"step": step, **content}, indent=2) + "\n")

    def read_calibration(self, step: int) -> dict[str, Calibration]:
        """Read the temperatures of the checkpoint of `step`; none if they are another's, or damaged."""
        try:
            content = json.loads(self.calibration.read_text())
            tasks = {task: Calibration(**values) for task, values in content["tasks"].items()}
            return tasks if content["step"] == step else {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}


def find_checkpoint(run: Path, which: str = "best") -> Path:
    """Find the checkpoint file that `run` stands for: a run folder, or a safetensors file itself.

    Raises:
        UserError: no run, or no checkpoint in it yet.
    """
    if which not in CHECKPOINTS:
        raise UserError(f"which={which}: expected {' or '.join(CHECKPOINTS)}")
    if run.suffix.lower() == ".onnx":
        raise UserError(f"{run}: an exported model; this needs the run that it was exported from")
    if run.is_file():
        return run
    if not run.is_dir():
        raise UserError(f"{run}: no such run; expected the folder that `audiostride train` wrote")
    return RunFolder(run).checkpoint(which)
