"""The log of a run: what happened in a run, a line for every so many steps and every validation."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from audiostride.models.classifier import AudioClassifier
from audiostride.runs.folder import RunFolder
from audiostride.training.events import Logged, StepDone
from audiostride.training.optimizer import current_rate


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no other numbers


class MetricsLog:
    """Append lines to the log of a run; each averages the steps since the line before."""

    def __init__(self, run: RunFolder, batch_size: int) -> None:
        self.path = run.metrics
        self.batch_size = batch_size
        self.n_steps, self.seconds, self.waited_s = 0, 0.0, 0.0

    def add(self, event: StepDone) -> None:
        """Count a step and its seconds for the next line."""
        self.n_steps += 1
        self.seconds += event.seconds
        self.waited_s += event.waited_s

    def steps(
        self,
        event: StepDone,
        model: AudioClassifier,
        optimizer: torch.optim.Optimizer,
        strides: Mapping[str, Sequence[float]],
    ) -> Logged:
        """Write a line about the steps since the line before, and count anew.

        Args:
            event: the step at hand.
            model: that learns.
            optimizer: whose rates are written.
            strides: of the model by axis, as numbers: reading them waits for the device.
        """
        line: dict[str, Any] = {
            "step": event.step,
            "loss": {task: value.item() for task, value in event.losses.items()},
            "accuracy": {task: value.item() for task, value in event.accuracy.items()},
            "gradient_norm": _finite(event.gradient_norm.item()),
            "learning_rate": current_rate(optimizer, "weights"),
            "stride_learning_rate": current_rate(optimizer, "strides"),
            "windows_per_s": self.n_steps * self.batch_size / self.seconds,
            "waiting_share": self.waited_s / self.seconds,
            "strides": strides,
        }
        if smoothness := model.strided_backbone.learned_smoothness():
            line["smoothness"] = smoothness
        self.n_steps, self.seconds, self.waited_s = 0, 0.0, 0.0
        return self.append(line)

    def append(self, line: dict[str, Any]) -> Logged:
        """Write `line` at the end of the log."""
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return Logged(line)
