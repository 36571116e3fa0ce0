"""How far an exported model is from torch, how fast and how right it is."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from audiostride.build import read_task_manifests, window_size
from audiostride.data.audio import BadAudioError, Waveform, read_blocks
from audiostride.data.consecutive import consecutive_windows
from audiostride.data.manifest import Clip
from audiostride.errors import DataError, UserError
from audiostride.models.classifier import AudioClassifier
from audiostride.prediction.model import Logits
from audiostride.prediction.onnx_model import OnnxModel
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.scoring import score_run

TOLERANCE = 1e-4  # of a logit
N_CLIPS = 32  # to verify on, of every manifest
N_WINDOWS_PER_CLIP = 4
N_BATCH = 64
TIMED_S = 0.5


@dataclass(frozen=True)
class Verification:
    """The largest difference between the logits of torch and of ONNX, over so many windows.

    `note` tells why none of them are of recordings, if none are.
    """

    difference: float
    largest_logit: float
    n_windows: int
    n_recorded: int
    note: str | None


@dataclass(frozen=True)
class Speed:
    """Milliseconds for a window alone, and windows in a second by batches of 64."""

    ms_per_window: float
    windows_per_s: float


def synthetic_windows(n_window: int, seed: int = 0) -> Waveform:
    """Windows `(6, n_window)` at the ends of what a recording can be: silence, the least bit, full scale, a click.

    >>> synthetic_windows(16000).shape
    (6, 16000)
    """
    rng, n = np.random.default_rng(seed), np.arange(n_window)
    rows = [
        np.zeros(n_window),
        rng.integers(-1, 2, n_window) / 32768,
        rng.uniform(-1, 1, n_window),
        np.sign(np.sin(0.173 * n)),
        n == n_window // 2,
        0.3 * np.sin(0.4 * n) + 0.01 * rng.standard_normal(n_window),
    ]
    return np.stack(rows).astype(np.float32)


def _windows_of(clips: list[Clip], checkpoint: Checkpoint, n_clips: int) -> list[Waveform]:
    """The first windows of `n_clips` clips at equal distances; a clip that cannot be decoded gives none."""
    sample_rate, n_window = checkpoint.recipe.frontend.sample_rate, window_size(checkpoint.recipe)
    windows: list[Waveform] = []
    for clip in clips[:: max(1, len(clips) // n_clips)][:n_clips]:
        try:
            blocks = read_blocks(clip.path, sample_rate, clip.start_s, clip.duration_s)
            windows += islice(consecutive_windows(blocks, n_window, n_window), N_WINDOWS_PER_CLIP)
        except (BadAudioError, OSError):
            continue
    return windows


def recorded_windows(checkpoint: Checkpoint, splits: tuple[str, ...], n_clips: int) -> list[Waveform]:
    """Windows of the run's own recordings, `n_clips` of every manifest, from the first of `splits` that has any.

    Raises:
        UserError: a manifest that is missing or wrong.
    """
    windows: list[Waveform] = []
    for manifest in {id(m): m for m in read_task_manifests(checkpoint.recipe.tasks).values()}.values():
        for split in splits:
            clips = [clip for clip in manifest.clips if clip.split == split]
            if found := _windows_of(clips, checkpoint, n_clips):
                windows += found
                break
    return windows


@torch.inference_mode()
def torch_logits(model: AudioClassifier, windows: Waveform) -> dict[str, Logits]:
    """Logits per task of windows `(batch, time)`, on the CPU."""
    parts = [model(rows) for rows in torch.split(torch.from_numpy(windows), N_BATCH)]
    return {task: torch.cat([part[task] for part in parts]).numpy() for task in model.tasks}


def verify(checkpoint: Checkpoint, exported: OnnxModel) -> Verification:
    """Compare the logits of torch and of ONNX on the run's recordings and on synthetic windows.

    Raises:
        DataError: they differ by more than `TOLERANCE`.
    """
    note, recorded = None, []
    try:
        recorded = recorded_windows(checkpoint, ("valid", "test", "train"), N_CLIPS)
        if not recorded:
            note = "none of the run's recordings can be read: verified on synthetic signals alone"
    except UserError as error:
        note = f"verified on synthetic signals alone: {error}"
    windows = np.stack([*synthetic_windows(exported.n_window), *recorded])
    expected, found = torch_logits(checkpoint.model, windows), exported.logits(windows)
    differences = {task: float(np.abs(expected[task] - found[task]).max()) for task in expected}
    task = max(differences, key=differences.__getitem__)
    if not differences[task] <= TOLERANCE:
        raise DataError(
            f"{exported.path}: not written, its logits differ from those of torch by {differences[task]:.2g} "
            f"in the task {task!r}; at most {TOLERANCE:g} is allowed"
        )
    largest = max(float(np.abs(values).max()) for values in expected.values())
    return Verification(differences[task], largest, len(windows), len(recorded), note)


def measure(run: Callable[[Waveform], Any], n_window: int) -> Speed:
    """Time a model, by the fastest call: what else the machine does only ever adds.

    Args:
        run: takes windows `(batch, n_window)`.
    """
    seconds = {}
    for n_rows in (1, N_BATCH):
        windows = np.random.default_rng(0).uniform(-0.1, 0.1, (n_rows, n_window)).astype(np.float32)
        run(windows)
        fastest, end = float("inf"), time.perf_counter() + TIMED_S
        while time.perf_counter() < end:
            start = time.perf_counter()
            run(windows)
            fastest = min(fastest, time.perf_counter() - start)
        seconds[n_rows] = fastest
    return Speed(1000 * seconds[1], N_BATCH / seconds[N_BATCH])


class _AsClassifier(nn.Module):
    """An exported model in the place of the one that it was made from."""

    def __init__(self, exported: OnnxModel, model: AudioClassifier) -> None:
        super().__init__()
        self.exported, self.frontend, self.tasks = exported, model.frontend, model.tasks
        self.device = nn.Parameter(torch.zeros(1))  # where the evaluation looks for it

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        return {task: torch.from_numpy(logits) for task, logits in self.exported.logits(waveform.numpy()).items()}


def accuracies(
    checkpoint: Checkpoint, models: Mapping[str, OnnxModel], on_progress: Callable[[int, int], None] | None = None
) -> dict[str, dict[str, float]]:
    """Accuracy per task on the files of the test split: of the checkpoint, called "torch", and of every exported model.

    Raises:
        UserError, DataError: as `score_run`.
    """
    forms = {"torch": checkpoint}
    for name, exported in models.items():
        stand_in = cast(AudioClassifier, _AsClassifier(exported, checkpoint.model))
        forms[name] = replace(checkpoint, model=stand_in)
    result = {}
    for i, (name, form) in enumerate(forms.items()):

        def on_file(done: int, n_files: int, i: int = i) -> None:
            if on_progress is not None:
                on_progress(i * n_files + done, len(forms) * n_files)

        scores = score_run(form, on_progress=on_file).scores
        result[name] = {task: score.accuracy for task, score in scores.items()}
    return result
