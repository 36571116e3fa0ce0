"""Classify clips from consecutive windows, averaged, and score the result."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audiostride.data.batches import NO_LABEL
from audiostride.data.consecutive import consecutive_windows
from audiostride.data.packed import Samples
from audiostride.evaluation.calibration import expected_calibration_error, probabilities
from audiostride.models.classifier import AudioClassifier

Window = npt.NDArray[np.float32]

N_BLOCK = 2**18  # samples of a clip read at a time


@dataclass(frozen=True)
class LabelledClips:
    """Clips, int16, with their class indices per task, `NO_LABEL` for none."""

    samples: Sequence[Samples]
    labels: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class ClipLogits:
    """Logits per task `(clip, class)`, averaged over the windows of each clip, and their number `(clip,)`."""

    logits: Mapping[str, Tensor]
    n_windows: Tensor


def _batches(clips: Iterable[Iterable[Window]], n_rows: int) -> Iterator[tuple[Window, list[int]]]:
    """Give windows of successive clips stacked `(n_rows, time)`, with the index of each one's clip."""
    windows: list[Window] = []
    owners: list[int] = []
    for i, clip in enumerate(clips):
        for window in clip:
            windows.append(window)
            owners.append(i)
            if len(windows) == n_rows:
                yield np.stack(windows), owners
                windows, owners = [], []
    if windows:
        yield np.stack(windows), owners


@torch.inference_mode()
def classify_clips(
    model: AudioClassifier, clips: Iterable[Iterable[Window]], n_clips: int, device: torch.device, n_rows: int = 64
) -> ClipLogits:
    """Average the logits of every clip's windows; windows of several clips share a batch.

    The mode of the model (training or evaluation) is kept; `clips` may be a stream.
    """
    was_training = model.training
    model.eval()
    sums: dict[str, Tensor] = {}
    n_windows = torch.zeros(n_clips, dtype=torch.int64)
    for windows, owners in _batches(clips, n_rows):
        index = torch.tensor(owners)
        n_windows.index_add_(0, index, torch.ones_like(index))
        for task, logits in model(torch.from_numpy(windows).to(device)).items():
            total = sums.setdefault(task, torch.zeros(n_clips, logits.shape[1], dtype=torch.float64))
            total.index_add_(0, index, logits.double().cpu())
    model.train(was_training)
    return ClipLogits({task: total / n_windows[:, None].clamp(min=1) for task, total in sums.items()}, n_windows)


def _in_blocks(samples: Samples) -> Iterator[Window]:
    for start in range(0, len(samples), N_BLOCK):
        yield samples[start : start + N_BLOCK].astype(np.float32) / np.float32(32768)


def labelled_logits(
    model: AudioClassifier, corpora: Iterable[LabelledClips], n_window: int, device: torch.device
) -> dict[str, tuple[Tensor, Tensor]]:
    """Compute logits `(clip, class)` and class indices `(clip,)` of the labelled clips, per task that has any.

    The windows of a clip are computed once for all its tasks.
    """
    found = {}
    for clips in corpora:
        streams = (consecutive_windows(_in_blocks(samples), n_window, n_window) for samples in clips.samples)
        logits = classify_clips(model, streams, len(clips.samples), device).logits
        for task, of_clips in clips.labels.items():
            labels = torch.tensor(of_clips)
            if (known := labels != NO_LABEL).any():
                found[task] = logits[task][known], labels[known]
    return {task: found[task] for task in model.tasks if task in found}


def validation_accuracy(
    model: AudioClassifier, corpora: Iterable[LabelledClips], n_window: int, device: torch.device
) -> dict[str, float]:
    """Give share of clips whose class is found, per task; tasks without clips are left out."""
    return {
        task: (logits.argmax(1) == labels).double().mean().item()
        for task, (logits, labels) in labelled_logits(model, corpora, n_window, device).items()
    }


@dataclass(frozen=True)
class TaskScore:
    """How well one task is solved.

    `auc` is None unless two classes both occur, `ece_calibrated` (of the probabilities that `predict` gives) for a
    task without a temperature.
    """

    accuracy: float
    macro_f1: float
    auc: float | None
    ece: float
    ece_calibrated: float | None
    majority_accuracy: float
    n_files: int
    n_windows: int
    classes: tuple[str, ...]
    confusion: list[list[int]]  # rows are true classes, columns predicted ones
    majority_class: str = ""

    @property
    def beats_majority(self) -> bool:
        """Tell whether the accuracy is above that of always naming the most frequent class."""
        return self.accuracy > self.majority_accuracy

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        return asdict(self)


def score(
    logits: Tensor, labels: Tensor, n_windows: Tensor, classes: tuple[str, ...], temperature: float | None = None
) -> TaskScore:
    """Score clips.

    Args:
        classes: names of all classes, in the order of the logits.
        temperature: that the task was calibrated with, if it was.

    Shape:
        logits: `(clip, class)`. labels: `(clip,)`. n_windows: `(clip,)`.
    """
    from torchmetrics.functional import classification as metrics  # imports matplotlib: slow

    def ece(temperature: float) -> float:
        return expected_calibration_error(probabilities(logits.numpy(), temperature), labels.numpy())

    n = len(classes)
    auc = None
    if n == 2 and 0 < labels.sum() < len(labels):
        auc = metrics.binary_auroc(logits.softmax(1)[:, 1], labels).item()
    return TaskScore(
        accuracy=(logits.argmax(1) == labels).double().mean().item(),
        macro_f1=metrics.multiclass_f1_score(logits.argmax(1), labels, num_classes=n, average="macro").item(),
        auc=auc,
        ece=ece(1.0),
        ece_calibrated=None if temperature is None else ece(temperature),
        majority_accuracy=labels.bincount().max().item() / len(labels),
        n_files=len(labels),
        n_windows=int(n_windows.sum()),
        classes=classes,
        confusion=metrics.multiclass_confusion_matrix(logits.argmax(1), labels, num_classes=n).tolist(),
        majority_class=classes[int(labels.bincount().argmax())],
    )
