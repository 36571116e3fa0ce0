"""What `audiostride train` shows while it trains: a line per log entry, or on a terminal lines that stay in place."""

import time
from typing import TYPE_CHECKING, Any

from audiostride.cli.console import duration, on_terminal, say, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from audiostride.evaluation.calibration import Calibration
    from audiostride.training.events import Started
    from audiostride.vocabulary import Measure


def _per_task(values: dict[str, float], form: str) -> str:
    return "  ".join(f"{task} {value:{form}}" for task, value in values.items())


def _measured(scores: dict[str, float], measures: dict[str, "Measure"]) -> str:
    """Name every measure once, with the tasks that are measured by it.

    >>> _measured({"words": 0.9, "birds": 0.5}, {"words": "accuracy", "birds": "map"})
    'accuracy words 0.900  mAP birds 0.500'
    """
    from audiostride.evaluation.measures import NAMES

    of_measure: dict[str, dict[str, float]] = {}
    for task, score in scores.items():
        of_measure.setdefault(NAMES[measures[task]], {})[task] = score
    return "  ".join(f"{name} {_per_task(of_tasks, '.3f')}" for name, of_tasks in of_measure.items())


class Display:
    """Show one line per log entry, or on a terminal a few lines that stay in place."""

    def __init__(self, started: "Started") -> None:
        self.n_steps, self.first_step, self.began = started.n_steps, started.first_step, time.monotonic()
        self.validation = "not yet" if started.n_validation_clips else "none: no clips in the split valid"
        self.best = ""
        self.scores: dict[str, float] = {}
        self.line: dict[str, Any] = {}

    def _left(self, step: int) -> str:
        done = step - self.first_step
        return duration((time.monotonic() - self.began) / done * (self.n_steps - step)) if done else "?"

    @staticmethod
    def _speed(line: dict[str, Any]) -> str:
        return f"{line['windows_per_s']:.0f} windows/s, waiting for data {line['waiting_share']:.1%}"

    def log(self, line: dict[str, Any]) -> None:
        """Take in a line of the log, and show it where there is no terminal."""
        if "validation" in line:
            if not line["validation"]:
                return
            self.scores = line["validation"]
            shown = _measured(line["validation"], line["measures"])
            self.validation = shown + ("  (best)" if line["is_best"] else "")
            if line["is_best"]:
                self.best = f", best at step {line['step']}: {shown}"
            if not on_terminal():
                say(f"step {line['step']}/{self.n_steps}  validation {self.validation}")
            return
        self.line = line
        if not on_terminal():
            say(
                f"step {line['step']}/{self.n_steps}  loss {_per_task(line['loss'], '.3f')}  "
                f"{self._speed(line)}  left {self._left(line['step'])}"
            )

    def render(self, step: int) -> "RenderableType":
        """Draw the lines that stay in place."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        rows = [f"step {step} of {self.n_steps}, left {self._left(step)}"]
        if self.line:
            rows += [
                f"loss        {_per_task(self.line['loss'], '.3f')}",
                f"accuracy    {_per_task(self.line['accuracy'], '.2f')}  (of the batch)",
                f"validation  {self.validation}",
                *(
                    f"strides     {axis:9}  " + "  ".join(f"{stride:.2f}" for stride in strides)
                    for axis, strides in self.line["strides"].items()
                ),
                f"speed       {self._speed(self.line)}",
            ]
        bar = ProgressBar(total=self.n_steps, completed=step)
        return Group(bar, *(Text(visible(row), no_wrap=True, overflow="ellipsis") for row in rows))


def calibration_text(task: str, fitted: "Calibration") -> str:
    """Say what a fitted temperature does, and whether it is used."""
    from audiostride.evaluation.calibration import N_FOLDS

    clips = f"{task}: on {fitted.n_clips} validation clips the calibration error is {fitted.ece_before:.3f}"
    if fitted.n_clips < N_FOLDS:
        return f"{clips}; they are too few to fit a temperature"
    if fitted.kept:
        return f"{clips}, {fitted.ece_after:.3f} with the temperature {fitted.temperature:.2f}, which is kept"
    return f"{clips}, {fitted.ece_after:.3f} with a fitted temperature, which is not kept"
