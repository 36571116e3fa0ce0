"""How far an exported model is from torch, how fast and how right it is."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from audiostride.build import read_task_manifests, window_size
from audiostride.data.audio import BadAudioError, Waveform, read_blocks
from audiostride.data.consecutive import consecutive_windows
from audiostride.data.manifest import Clip, split_labels
from audiostride.errors import DataError, UserError
from audiostride.prediction.onnx_model import OnnxModel
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.model import RunModel
from audiostride.runs.scoring import RunScore, Subject, score_model

TOLERANCE = 1e-4  # of a logit, times the largest logit of the window where that is above 1
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


SYNTHETIC = ("silence", "the least bit", "white noise at full scale", "a square wave", "a click", "a tone in noise")


def synthetic_windows(n_window: int, seed: int = 0) -> Waveform:
    """Make windows `(6, n_window)` at the ends of what a recording can be; `SYNTHETIC` names them.

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


@dataclass(frozen=True)
class Recorded:
    """A window of a recording, and its name for messages: the file and where in it."""

    name: str
    samples: Waveform


def _windows_of(clips: list[Clip], checkpoint: Checkpoint, n_clips: int) -> list[Recorded]:
    """Read the first windows of `n_clips` clips at equal distances; a clip that cannot be decoded gives none."""
    sample_rate, n_window = checkpoint.recipe.frontend.sample_rate, window_size(checkpoint.recipe)
    windows: list[Recorded] = []
    for clip in clips[:: max(1, len(clips) // n_clips)][:n_clips]:
        try:
            blocks = read_blocks(clip.path, sample_rate, clip.start_s, clip.duration_s)
            for i, samples in enumerate(islice(consecutive_windows(blocks, n_window, n_window), N_WINDOWS_PER_CLIP)):
                start_s = clip.start_s + i * n_window / sample_rate
                windows.append(Recorded(f"{clip.path} at {start_s:g} s", samples))
        except (BadAudioError, OSError):
            continue
    return windows


def recorded_windows(checkpoint: Checkpoint, splits: tuple[str, ...], n_clips: int) -> list[Recorded]:
    """Read windows of the run's own recordings, `n_clips` of every manifest, from the first of `splits` that has any.

    Raises:
        UserError: a manifest that is missing or wrong.
    """
    windows: list[Recorded] = []
    for manifest in {id(m): m for m in read_task_manifests(checkpoint.recipe).values()}.values():
        for split in splits:
            clips = [clip for clip in manifest.clips if clip.split == split]
            if found := _windows_of(clips, checkpoint, n_clips):
                windows += found
                break
    return windows


def verify(checkpoint: Checkpoint, exported: OnnxModel) -> Verification:
    """Compare the logits of torch and of ONNX on the run's recordings and on synthetic windows.

    Raises:
        DataError: those of a window differ by more than `TOLERANCE`, times its largest logit where that is above 1:
            a float of 62 cannot be as exact as one of 1.
    """
    note, recorded = None, []
    try:
        recorded = recorded_windows(checkpoint, ("valid", "test", "train"), N_CLIPS)
        if not recorded:
            note = "none of the run's recordings can be read: verified on synthetic signals alone"
    except UserError as error:
        note = f"verified on synthetic signals alone: {error}"
    names = [*SYNTHETIC, *(window.name for window in recorded)]
    windows = np.stack([*synthetic_windows(exported.n_window), *(window.samples for window in recorded)])
    expected, logits = RunModel(checkpoint).logits(windows), exported.logits(windows)
    difference = largest = 0.0
    for task, values in expected.items():
        differences, largest_by_window = np.abs(values - logits[task]).max(axis=1), np.abs(values).max(axis=1)
        allowed = TOLERANCE * np.maximum(1, largest_by_window)
        worst = int((differences / allowed).argmax())
        if not differences[worst] <= allowed[worst]:
            raise DataError(
                f"{exported.path}: not written, its logits differ from those of torch by {differences[worst]:.2g} in "
                f"the task {task!r} for the window {worst + 1} of {len(windows)} ({names[worst]}); "
                f"at most {allowed[worst]:.2g} is allowed for a largest logit of {largest_by_window[worst]:.3g}"
            )
        difference, largest = max(difference, float(differences.max())), max(largest, float(largest_by_window.max()))
    return Verification(difference, largest, len(windows), len(recorded), note)


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


def score_forms(
    checkpoint: Checkpoint, models: Mapping[str, OnnxModel], on_progress: Callable[[int, int], None] | None = None
) -> dict[str, RunScore]:
    """Score the checkpoint, called "torch", and every exported model on the test split.

    Raises:
        UserError, DataError: as `score_model`.
    """
    subject = Subject.of_checkpoint(checkpoint)
    subjects = {"torch": subject} | {name: replace(subject, model=exported) for name, exported in models.items()}
    scores = {}
    for i, (name, each) in enumerate(subjects.items()):

        def on_file(done: int, n_files: int, i: int = i) -> None:
            if on_progress is not None:
                on_progress(i * n_files + done, len(subjects) * n_files)

        scores[name] = score_model(each, on_progress=on_file)
    return scores


@dataclass(frozen=True)
class Changes:
    """How the answers of a form differ from those before, in one task.

    Attributes:
        task: whose answers they are.
        n_clips: clips that were compared.
        n_changed: those of them with another answer.
        lost: classes that were found before in some clip, and now in none.
    """

    task: str
    n_clips: int
    n_changed: int
    lost: list[str]


def compare_answers(before: RunScore, after: RunScore) -> list[Changes]:
    """Compare the answers of two forms of a model on the same clips, per task."""
    changes = []
    for task in before.scores:
        pairs = [
            (split_labels(old.predicted), split_labels(new.predicted))
            for old, new in zip(before.predictions, after.predictions, strict=True)
            if old.task == task
        ]
        found, left = ({name for answers in side for name in answers} for side in zip(*pairs, strict=True))
        changes.append(Changes(task, len(pairs), sum(old != new for old, new in pairs), sorted(found - left)))
    return changes
