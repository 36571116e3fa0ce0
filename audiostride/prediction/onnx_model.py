"""A model that `audiostride export` wrote, run by onnxruntime: without torch."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from audiostride.data.audio import Waveform
from audiostride.errors import UserError
from audiostride.evaluation.traits import Traits
from audiostride.extras import install_command
from audiostride.prediction.model import Logits, read_classes, read_traits

FORMAT = "1"
MAX_SAMPLE_RATE = 10**6  # Hz, as in a recipe
N_ROWS = 64  # windows at a time: bounds the memory, whatever the batch


def import_onnxruntime() -> Any:
    """Give the module onnxruntime.

    Raises:
        UserError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"ONNX models need onnxruntime, which is not installed: {install_command('onnx')}") from error
    return onnxruntime


def describe(
    classes: Mapping[str, tuple[str, ...]],
    temperatures: Mapping[str, float],
    traits: Mapping[str, Traits],
    *,
    sample_rate: int,
    n_window: int,
) -> dict[str, str]:
    """Give the metadata that `OnnxModel` reads."""
    return {
        "format": FORMAT,
        "classes": json.dumps(classes),
        "temperatures": json.dumps(temperatures),
        "traits": json.dumps({task: asdict(of_task) for task, of_task in traits.items()}),
        "sample_rate": str(sample_rate),
        "n_window": str(n_window),
    }


class OnnxModel:
    """An exported model; a `WindowModel` for windows of one length.

    Args:
        path: an ONNX file that `audiostride export` wrote.
        n_threads: of a call, by default one per core.

    Attributes:
        metadata: what was kept with the graph, the recipe and the step among it.

    Raises:
        UserError: no such file, another file, or onnxruntime is not installed.
    """

    takes_any_window = False

    def __init__(self, path: Path | str, n_threads: int | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{path}: no such file; expected a model that `audiostride export` wrote")
        self._load(self.path.read_bytes(), n_threads)

    @classmethod
    def from_bytes(cls, content: bytes, path: Path, n_threads: int | None = None) -> "OnnxModel":
        """Give the model whose file, to be called `path`, holds `content`."""
        model = cls.__new__(cls)
        model.path = path
        model._load(content, n_threads)
        return model

    def _load(self, content: bytes, n_threads: int | None) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised as well
        options.intra_op_num_threads = n_threads or 0
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many kinds for a damaged file
            raise UserError(f"{self.path}: damaged, or not an ONNX model ({str(error).splitlines()[0]})") from error
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        if self.metadata.get("format") != FORMAT:
            raise UserError(f"{self.path}: not a model that `audiostride export` wrote")
        try:
            self.classes: Mapping[str, tuple[str, ...]] = read_classes(self.metadata["classes"])
            self.temperatures: Mapping[str, float] = json.loads(self.metadata["temperatures"])
            self.traits: Mapping[str, Traits] = read_traits(self.metadata.get("traits"), self.classes)
            self.sample_rate, self.n_window = int(self.metadata["sample_rate"]), int(self.metadata["n_window"])
            recipe = self.metadata.get("recipe")
            self.n_frame = 1 if recipe is None else int(json.loads(recipe)["frontend"]["win_length"])
            self._check()
        except (KeyError, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise UserError(f"{self.path}: its metadata are damaged ({' '.join(str(error).split())})") from error
        self.min_window = self.n_window
        self._input = self._session.get_inputs()[0].name

    def _check(self) -> None:
        """Hold the metadata against the graph; ValueError for what does not fit."""
        if not 1 <= self.sample_rate <= MAX_SAMPLE_RATE or self.n_window < 1:
            raise ValueError(f"sample_rate={self.sample_rate}, n_window={self.n_window}: out of range")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 2 or inputs[0].shape[1] not in (self.n_window, None):
            raise ValueError(f"n_window={self.n_window}, but the graph takes {[each.shape for each in inputs]}")
        columns = {output.name: output.shape[-1] for output in outputs if len(output.shape) == 2}
        for task, names in self.classes.items():
            if columns.get(task) != len(names):
                raise ValueError(f"the task {task!r} has {len(names)} classes, its output {columns.get(task)} columns")
        if set(columns) != set(self.classes) or set(self.temperatures) != set(self.classes):
            raise ValueError("tasks of the classes, of the temperatures and of the graph differ")
        for task, value in self.temperatures.items():
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
                raise ValueError(f"temperature {value!r} of the task {task!r}: expected a number above 0")

    def logits(self, windows: Waveform) -> dict[str, Logits]:
        """Give logits `(batch, class)` per task of windows `(batch, n_window)`, mono, amplitude in [-1, 1].

        Raises:
            ValueError: windows of another length.
        """
        if windows.ndim != 2 or windows.shape[1] != self.n_window:
            raise ValueError(f"windows must have the shape (batch, {self.n_window}), got {windows.shape}")
        tasks = list(self.classes)
        if len(windows) == 0:
            return {task: np.zeros((0, len(names)), np.float32) for task, names in self.classes.items()}
        rows = [
            self._session.run(tasks, {self._input: np.asarray(windows[i : i + N_ROWS], np.float32)})
            for i in range(0, len(windows), N_ROWS)
        ]
        return {task: np.concatenate(parts) for task, parts in zip(tasks, zip(*rows, strict=True), strict=True)}
