"""`metrics.jsonl`: what happened in a run, a line for every so many steps and every validation."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from audiostride.models.classifier import AudioClassifier
from audiostride.training.loop import StepDone

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Logged:
    """A line of `metrics.jsonl`."""

    values: dict[str, Any]


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`; what is damaged or was cut off by the end of the process is left out."""
    path = run_dir / METRICS
    lines = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(values, dict) and isinstance(values.get("step"), int):
            lines.append(values)
    return lines


class MetricsLog:
    """Appends to `metrics.jsonl`, averaging what happened since the line before."""

    def __init__(self, run_dir: Path, batch_size: int) -> None:
        self.path = run_dir / METRICS
        self.batch_size = batch_size
        self.n_steps, self.seconds, self.waited_s = 0, 0.0, 0.0

    def add(self, event: StepDone) -> None:
        self.n_steps += 1
        self.seconds += event.seconds
        self.waited_s += event.waited_s

    def steps(self, event: StepDone, model: AudioClassifier, optimizer: torch.optim.Optimizer) -> Logged:
        rates = [group["lr"] for group in optimizer.param_groups]
        line = {
            "step": event.step,
            "loss": {task: value.item() for task, value in event.losses.items()},
            "accuracy": {task: value.item() for task, value in event.accuracy.items()},
            "learning_rate": rates[0],
            "stride_learning_rate": rates[1] if len(rates) > 1 else None,
            "windows_per_s": self.n_steps * self.batch_size / self.seconds,
            "waiting_share": self.waited_s / self.seconds,
            "strides": model.backbone.strides_by_axis(),
        }
        self.n_steps, self.seconds, self.waited_s = 0, 0.0, 0.0
        return self.append(line)

    def append(self, line: dict[str, Any]) -> Logged:
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return Logged(line)
