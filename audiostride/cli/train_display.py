"""What `audiostride train` shows while it trains: a line per log entry, or on a terminal lines that stay in place."""

import textwrap
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from audiostride.cli.console import WIDEST, duration, on_terminal, say, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from audiostride.evaluation.calibration import Calibration
    from audiostride.training.events import Started
    from audiostride.vocabulary import Measure


def _per_task(values: dict[str, float], form: str) -> list[str]:
    return [f"{task} {value:{form}}" for task, value in values.items()]


def _named(name: str, values: list[str]) -> list[str]:
    """Put a name before the first of some values."""
    return [f"{name} {values[0]}", *values[1:]] if values else []


def _measured(scores: dict[str, float], measures: dict[str, "Measure"]) -> list[str]:
    """Name every measure once, with the tasks that are measured by it.

    >>> _measured({"words": 0.9, "birds": 0.5}, {"words": "accuracy", "birds": "map"})
    ['accuracy words 0.900', 'mAP birds 0.500']
    """
    from audiostride.evaluation.measures import NAMES

    of_measure: dict[str, dict[str, float]] = {}
    for task, score in scores.items():
        of_measure.setdefault(NAMES[measures[task]], {})[task] = score
    return [part for name, of_tasks in of_measure.items() for part in _named(name, _per_task(of_tasks, ".3f"))]


def in_lines(parts: Sequence[str], width: int = WIDEST) -> str:
    """Write parts after each other, with two spaces between them, in lines of at most `width` columns.

    Lines after the first are indented; a part that is longer than a line is cut.

    >>> print(in_lines(["step 1/2", "loss words 0.5", "birds 0.25"], width=24))
    step 1/2  loss words 0.5
        birds 0.25
    """
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]}  {part}" if lines[-1].strip() else lines[-1] + part
        if len(joined) > width and lines[-1].strip():
            joined = f"    {part}"
            lines.append("")
        lines[-1] = joined if len(joined) <= width else joined[: width - 1] + "…"
    return "\n".join(lines)


def say_folded(message: str) -> None:
    """Print a message in lines of at most `WIDEST` columns, broken between words; a path is never broken."""
    fill = partial(textwrap.fill, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    say("\n".join(fill(line, WIDEST) for line in message.splitlines()))


class Display:
    """Show one line per log entry, or on a terminal a few lines that stay in place."""

    def __init__(self, started: "Started") -> None:
        self.n_steps, self.first_step, self.began = started.n_steps, started.first_step, time.monotonic()
        self.validation = ["not yet" if started.n_validation_clips else "none: no clips in the split valid"]
        self.best: list[str] = []
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
            self.validation = [*shown, *(["(best)"] if line["is_best"] else [])]
            if line["is_best"]:
                self.best = _named(f"best at step {line['step']}:", shown)
            if not on_terminal():
                say(in_lines([f"step {line['step']}/{self.n_steps}", *_named("validation", self.validation)]))
            return
        self.line = line
        if not on_terminal():
            losses = _named("loss", _per_task(line["loss"], ".3f"))
            left = f"left {self._left(line['step'])}"
            say(in_lines([f"step {line['step']}/{self.n_steps}", *losses, self._speed(line), left]))

    def render(self, step: int) -> "RenderableType":
        """Draw the lines that stay in place."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        rows = [f"step {step} of {self.n_steps}, left {self._left(step)}"]
        if self.line:
            rows += [
                f"loss        {'  '.join(_per_task(self.line['loss'], '.3f'))}",
                f"accuracy    {'  '.join(_per_task(self.line['accuracy'], '.2f'))}  (of the batch)",
                f"validation  {'  '.join(self.validation)}",
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
