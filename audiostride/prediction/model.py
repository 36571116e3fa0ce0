"""What predicts, seen from outside: a trained run, or a model exported from one. Without torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from audiostride.data.audio import Waveform
from audiostride.evaluation.traits import Traits

Logits = npt.NDArray[np.float32]


def read_traits(text: str | None, classes: Mapping[str, Sequence[str]]) -> dict[str, Traits]:
    """Read what is kept with a model about its tasks; None is a model from before there were kinds of tasks.

    Raises:
        ValueError, TypeError: something else; the message says what.
    """
    found = {task: Traits(**values) for task, values in json.loads(text).items()} if text else {}
    if not found.keys() <= classes.keys():
        raise ValueError("its traits are not those of its tasks")
    traits = {task: found.get(task, Traits()) for task in classes}
    for task, names in classes.items():
        traits[task].check(names)
    return traits


def read_classes(text: str) -> dict[str, tuple[str, ...]]:
    """Read the names of the classes per task from the JSON that is kept with a model.

    Raises:
        ValueError: something else; the message says what.

    >>> read_classes('{"tone": ["low", "high"]}')
    {'tone': ('low', 'high')}
    """
    classes = json.loads(text)
    if not isinstance(classes, dict) or not classes:
        raise ValueError("its classes are no lists of names per task")
    for task, names in classes.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"the classes of the task {task!r} are no list of names")
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"the task {task!r} needs classes, each of a name of its own")
        for name in (task, *names):
            name.encode()  # a ValueError for half of a pair of surrogates, which no file can hold
    return {task: tuple(names) for task, names in classes.items()}


class WindowModel(Protocol):
    """Windows of audio to logits.

    A model may have `n_frame` too, the samples of a frame of its front end: a shorter recording is refused then.

    Attributes:
        path: the file it came from.
        sample_rate: Hz of the windows.
        n_window: samples of the windows it was trained on.
        min_window: samples of the shortest window that it takes; `n_window` if it takes no other.
        takes_any_window: whether windows of another length will do.
        classes: names per task, in the order of the logits.
        temperatures: what to divide each task's logits by, 1 for a task that is not calibrated.
        traits: what the outputs of each task mean.
    """

    path: Path
    sample_rate: int
    n_window: int
    min_window: int
    takes_any_window: bool
    classes: Mapping[str, tuple[str, ...]]
    temperatures: Mapping[str, float]
    traits: Mapping[str, Traits]

    def logits(self, windows: Waveform) -> dict[str, Logits]:
        """Give logits `(batch, class)` per task of windows `(batch, time)`, mono, amplitude in [-1, 1]."""
        ...
