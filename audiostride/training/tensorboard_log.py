"""The lines of the log as scalars for TensorBoard, an extra."""

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from audiostride.errors import UserError
from audiostride.extras import install_command
from audiostride.runs.folder import RunFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FLUSH_S = 10


def require_tensorboard() -> None:
    """Raise UserError unless the package is installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError(f"tensorboard is not installed: {install_command('tensorboard')}")


def remove_events(run: RunFolder) -> None:
    """Delete the event files of a run that is replaced."""
    for path in run.tensorboard.glob("events.out.tfevents.*"):
        path.unlink()


def scalars(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Name and value of everything that a line of the log measures.

    >>> list(scalars({"step": 2, "loss": {"words": 0.5}, "strides": {"time": [2.0, 1.5]}}))
    [('loss/words', 0.5), ('stride_time/block_1', 2.0), ('stride_time/block_2', 1.5)]
    """
    for group in ("loss", "accuracy", "validation", "validation_loss"):
        for task, value in line.get(group, {}).items():
            yield f"{group}/{task}", value
    names = {"learning_rate": "learning_rate/weights", "stride_learning_rate": "learning_rate/strides"}
    for key, name in {**names, "gradient_norm": "gradient_norm", "windows_per_s": "windows_per_s"}.items():
        if line.get(key) is not None:
            yield name, line[key]
    for key, name in (("strides", "stride"), ("smoothness", "smoothness")):
        for axis, values in line.get(key, {}).items():
            for i, value in enumerate(values):
                yield f"{name}_{axis}/block_{i + 1}", value


class TensorboardLog:
    """Writes event files into `RUN/tensorboard`; a context manager.

    Args:
        run: whose log it is.
        first_step: steps done before; what an earlier process logged after it no longer counts.
    """

    def __init__(self, run: RunFolder, first_step: int) -> None:
        self.run, self.first_step = run, first_step
        self.writer: SummaryWriter | None = None

    def __enter__(self) -> "TensorboardLog":
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def add(self, line: dict[str, Any]) -> None:
        """Write a line of the log."""
        if self.writer is None:  # a run touches its folder when the first step has gone well
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            purge_step = self.first_step + 1 if self.first_step else None
            self.writer = SummaryWriter(str(self.run.tensorboard), purge_step=purge_step, flush_secs=FLUSH_S)
        for name, value in scalars(line):
            self.writer.add_scalar(name, value, line["step"])
