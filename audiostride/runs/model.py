"""A trained run as a `WindowModel`, with torch."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from audiostride.build import window_size
from audiostride.data.audio import Waveform
from audiostride.device import OUT_OF_MEMORY, choose_device
from audiostride.errors import UserError
from audiostride.evaluation.traits import Traits
from audiostride.prediction.model import Logits
from audiostride.runs.checkpoint import Checkpoint, load_run

N_ROWS = 16  # windows that a thread computes at a time: more are no faster, and need more memory


class RunModel:
    """The model of a checkpoint (`WindowModel`).

    On a CPU every thread computes windows of its own, which scales better than several threads in each operation.

    Args:
        checkpoint: with its model on the device to compute on.
    """

    takes_any_window = True

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._model, self.path = checkpoint.model, checkpoint.path
        self.classes: Mapping[str, tuple[str, ...]] = checkpoint.classes
        self.sample_rate = checkpoint.recipe.frontend.sample_rate
        self.n_window = window_size(checkpoint.recipe)
        self.min_window = self.n_frame = checkpoint.recipe.frontend.win_length
        self.temperatures: Mapping[str, float] = {task: checkpoint.temperature(task) or 1.0 for task in self.classes}
        self.traits: Mapping[str, Traits] = checkpoint.traits
        self._device = checkpoint.model.device
        self._pool = ThreadPoolExecutor(torch.get_num_threads(), "model", torch.set_num_threads, (1,))

    def logits(self, windows: Waveform) -> dict[str, Logits]:
        """Compute the logits `(batch, class)` per task of windows `(batch, time)`.

        Raises:
            UserError: the memory of the device is not enough.
        """
        try:
            return self._in_pieces(windows)
        except OUT_OF_MEMORY as error:
            rows, seconds = len(windows), windows.shape[1] / self.sample_rate
            raise UserError(
                f"{self._device}: out of memory for {rows} windows of {seconds:g} s; "
                "close what else uses it, or choose another device"
            ) from error

    def _in_pieces(self, windows: Waveform) -> dict[str, Logits]:
        if self._device.type != "cpu" or len(windows) <= N_ROWS:
            return self._compute(windows)
        pieces = [windows[i : i + N_ROWS] for i in range(0, len(windows), N_ROWS)]
        done = list(self._pool.map(self._compute, pieces))
        return {task: np.concatenate([piece[task] for piece in done]) for task in self.classes}

    @torch.inference_mode()
    def _compute(self, windows: Waveform) -> dict[str, Logits]:
        embedding = self._model.embed(torch.tensor(windows, device=self._device))  # copied, so that it is aligned
        return {task: self._logits(embedding, task).cpu().numpy() for task in self.classes}

    def _logits(self, embedding: Tensor, task: str) -> Tensor:
        """Compute a head row by row: a product of matrices rounds rows differently, depending on their place in it."""
        head = self._model.head(task)
        assert isinstance(head, nn.Linear)
        return (embedding[:, None, :] * head.weight).sum(-1) + head.bias


def load_run_model(run: Path, device: str = "auto", which: str = "best") -> RunModel:
    """Load a checkpoint of a run folder, or a checkpoint file, to predict with.

    Args:
        device: "auto", "cpu", "cuda" or "mps"; under torchrun "auto" takes the GPU of the process.
        which: "best" or "last".

    Raises:
        UserError: no such run, checkpoint or device.
    """
    chosen = choose_device(device)
    if device == "auto" and chosen.type == "cuda" and "LOCAL_RANK" in os.environ:
        chosen = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
    return RunModel(load_run(run, which, chosen))
