"""Classify clips from consecutive windows, averaged, and score the result."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audiostride.data.consecutive import consecutive_windows
from audiostride.data.packed import Samples
from audiostride.data.targets import is_labelled
from audiostride.layers.whole_model import in_evaluation
from audiostride.models.classifier import AudioClassifier
from audiostride.ranks import ALONE, Ranks

Window = npt.NDArray[np.float32]

N_ROWS = 64  # windows that are computed at a time
N_BLOCK = 2**18  # samples of a clip read at a time


@dataclass(frozen=True)
class LabelledClips:
    """Clips, int16, with the targets of every task as `encode` gives them."""

    samples: Sequence[Samples]
    labels: Mapping[str, Tensor]


@dataclass(frozen=True)
class ClipLogits:
    """Logits per task `(clip, class)`, averaged over the windows of each clip, and their number `(clip,)`."""

    logits: Mapping[str, Tensor]
    n_windows: Tensor


def _batches(clips: Iterable[Iterable[Window]]) -> Iterator[tuple[Window, list[int]]]:
    """Stack windows of successive clips, `N_ROWS` at most: `(window, time)`, with the index of each one's clip."""
    windows: list[Window] = []
    owners: list[int] = []
    for i, clip in enumerate(clips):
        for window in clip:
            windows.append(window)
            owners.append(i)
            if len(windows) == N_ROWS:
                yield np.stack(windows), owners
                windows, owners = [], []
    if windows:
        yield np.stack(windows), owners


@torch.inference_mode()
def classify_clips(
    model: AudioClassifier, clips: Iterable[Iterable[Window]], n_clips: int, device: torch.device
) -> ClipLogits:
    """Average the logits of every clip's windows; windows of several clips share a batch.

    The modes of the model and its parts (training or evaluation) are kept; `clips` may be a stream.
    """
    sums: dict[str, Tensor] = {}
    n_windows = torch.zeros(n_clips, dtype=torch.int64)
    with in_evaluation(model):
        for windows, owners in _batches(clips):
            index = torch.tensor(owners)
            n_windows.index_add_(0, index, torch.ones_like(index))
            for task, logits in model(torch.from_numpy(windows).to(device)).items():
                total = sums.setdefault(task, torch.zeros(n_clips, logits.shape[1], dtype=torch.float64))
                total.index_add_(0, index, logits.double().cpu())
    return ClipLogits({task: total / n_windows[:, None].clamp(min=1) for task, total in sums.items()}, n_windows)


def _in_blocks(samples: Samples) -> Iterator[Window]:
    for start in range(0, len(samples), N_BLOCK):
        yield samples[start : start + N_BLOCK].astype(np.float32) / np.float32(32768)


def _interleaved(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Join the rows that `Ranks.rows` has shared out; a part without any rows knows no tasks."""
    joined = {}
    for task, first in parts[0].items():
        joined[task] = first.new_empty(sum(len(part[task]) for part in parts if part), first.shape[1])
        for rank, part in enumerate(parts):
            if part:
                joined[task][rank :: len(parts)] = part[task]
    return joined


def labelled_logits(
    model: AudioClassifier,
    corpora: Iterable[LabelledClips],
    n_window: int,
    device: torch.device,
    ranks: Ranks = ALONE,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Compute the logits `(clip, class)` and the targets of the labelled clips, per task that has any.

    The windows of a clip are computed once for all its tasks. Each of several ranks computes those of its share of the
    clips, and all have the result.
    """
    found = {}
    for clips in corpora:
        mine = clips.samples[ranks.rows()]
        streams = (consecutive_windows(_in_blocks(samples), n_window, n_window) for samples in mine)
        logits = _interleaved(ranks.gather(classify_clips(model, streams, len(mine), device).logits))
        for task, labels in clips.labels.items():
            if (known := is_labelled(labels)).any():
                found[task] = logits[task][known], labels[known]
    return {task: found[task] for task in model.tasks if task in found}
