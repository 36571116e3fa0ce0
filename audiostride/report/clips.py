"""The clips that a model gets most wrong: where in them, how that looks and sounds."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
import soxr
import torch
from torch import Tensor

from audiostride.data.audio import BadAudioError, Waveform, read_blocks
from audiostride.data.manifest import Clip, relative
from audiostride.errors import DataError
from audiostride.evaluation.probabilities import probabilities
from audiostride.prediction.decoding import Source
from audiostride.prediction.stream import FileFailed, WindowResult, predict_sources
from audiostride.report.figures import Picture, data_uri, spectrogram
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.model import RunModel
from audiostride.runs.scoring import Prediction, RunScore
from audiostride.training.losses import TaskLoss

N_WORST = 8  # of every task, and
N_WORST_IN_ALL = 40  # of a report, which keeps it below 5 MB
EXCERPT_S = 5.0
PLAYER_RATE_HZ = 16000
PLAYER_PEAK = 0.8


@dataclass(frozen=True)
class WorstClip:
    """A clip with a high loss, and an excerpt around the window with the highest.

    `path` is relative to the manifest's folder where it lies in it. `probability` is that of the predicted class,
    `label_probability` that of the true one. Of a multi-label task they are those of the likeliest class and of the
    least likely true one, None without a true one. Both are calibrated where the run is. Seconds count from the start
    of the recording. `audio` is an MP3 as a data URI, None where libsndfile writes none.
    """

    path: str
    label: str
    predicted: str
    probability: float
    label_probability: float | None
    window_s: tuple[float, float]
    excerpt_s: tuple[float, float]
    spectrogram: Picture
    audio: str | None


def can_write_mp3() -> bool:
    """Tell whether libsndfile was built with an encoder of MP3, the one compressed format that every browser plays."""
    return "MP3" in sf.available_formats()


def worst_indices(result: RunScore, task: str, n_worst: int) -> list[int]:
    """Give the clips of a task with the highest loss of their averaged logits, the highest first."""
    loss = TaskLoss().values(result.logits[task], result.labels[task])
    return loss.argsort(descending=True, stable=True)[:n_worst].tolist()


def worst_window(model: RunModel, task: str, clip: Clip, label: Tensor) -> int:
    """Find the number of the window of `clip` with the highest loss.

    Args:
        model: that predicts.
        task: whose loss.
        clip: to look through.
        label: of the clip: a class index, or `(class,)`, 0 and 1.

    Raises:
        BadAudioError: the recording cannot be used.
    """
    source = Source(clip.path, clip.start_s, clip.duration_s)
    logits = []
    for result in predict_sources(model, [source], (task,), n_window=model.n_window, n_hop=model.n_window, n_threads=1):
        if isinstance(result, FileFailed):
            raise BadAudioError(result.reason)
        if isinstance(result, WindowResult):
            logits.append(torch.from_numpy(result.logits[task]))
    losses = TaskLoss().values(torch.stack(logits), label.expand(len(logits), *label.shape))
    return int(losses.argmax())


def encode_mp3(waveform: Waveform, sample_rate: int) -> str:
    """Give MP3 as a data URI, brought to a level that is heard."""
    peak = max(float(np.abs(waveform).max()), 1e-6)
    played = soxr.resample(waveform * np.float32(PLAYER_PEAK / peak), sample_rate, PLAYER_RATE_HZ)
    file = io.BytesIO()
    sf.write(file, played, PLAYER_RATE_HZ, format="MP3", subtype="MPEG_LAYER_III")
    return data_uri("audio/mpeg", file.getvalue())


def band_hz(checkpoint: Checkpoint) -> Sequence[float]:
    """Give centre of every mel band."""
    import librosa  # slow to import

    frontend = checkpoint.recipe.frontend
    edges = librosa.mel_frequencies(
        frontend.n_mels + 2, fmin=frontend.f_min, fmax=frontend.f_max, htk=frontend.mel_scale == "htk"
    )
    centres: list[float] = edges[1:-1].tolist()
    return centres


def excerpt(clip: Clip, window_s: tuple[float, float]) -> tuple[float, float]:
    """Choose the start and the greatest length of what is shown: around the window, or its beginning if it is long."""
    start = max(clip.start_s, min(window_s[0], (window_s[0] + window_s[1] - EXCERPT_S) / 2))
    left = EXCERPT_S if clip.duration_s is None else clip.start_s + clip.duration_s - start
    return start, min(EXCERPT_S, left)


class Heard(NamedTuple):
    """A part of a recording as a report draws it and plays it.

    Shape:
        waveform: `(time,)`, a frame at least. log_mel: `(mel, time)`.
    """

    waveform: Waveform
    log_mel: Waveform
    duration_s: float  # of what the recording holds


@torch.inference_mode()
def hear(checkpoint: Checkpoint, path: Path, start_s: float, length_s: float) -> Heard:
    """Read a part of a recording, and give it to the front end of a model.

    Args:
        checkpoint: of the model.
        path: of the recording.
        start_s: where the part begins.
        length_s: how long it is at most.

    Raises:
        BadAudioError: the recording cannot be used.
    """
    frontend = checkpoint.model.frontend
    waveform = np.concatenate(list(read_blocks(path, frontend.sample_rate, start_s, length_s)))
    duration_s = len(waveform) / frontend.sample_rate
    waveform = np.pad(waveform, (0, max(0, frontend.hop_length - len(waveform))))
    log_mel = frontend(torch.from_numpy(waveform)[None].to(frontend.filters.device))[0, 0].cpu().numpy()
    return Heard(waveform, log_mel, duration_s)


def _label_probability(logits: Tensor, label: Tensor, temperature: float) -> float | None:
    """Give the probability of the true class, of several that of the least likely one."""
    if label.ndim == 0:
        return float(probabilities(logits.numpy(), temperature)[label])
    of_true = probabilities(logits[label.bool()].numpy(), temperature, "multilabel")
    return float(of_true.min()) if label.any() else None


def _worst_clip(
    checkpoint: Checkpoint, model: RunModel, prediction: Prediction, logits: Tensor, label: Tensor, *, root: Path
) -> WorstClip:
    clip = prediction.clip
    length_s = model.n_window / model.sample_rate
    begin_s = clip.start_s + length_s * worst_window(model, prediction.task, clip, label)
    window_s = begin_s, begin_s + length_s
    start_s, at_most_s = excerpt(clip, window_s)
    waveform, log_mel, duration_s = hear(checkpoint, clip.path, start_s, at_most_s)
    what = f"Log-mel spectrogram of a recording of {prediction.label}, classified as {prediction.predicted}"
    return WorstClip(
        path=relative(clip.path, root),
        label=prediction.label,
        predicted=prediction.predicted,
        probability=prediction.probability,
        label_probability=_label_probability(logits, label, checkpoint.temperature(prediction.task) or 1.0),
        window_s=window_s,
        excerpt_s=(start_s, start_s + duration_s),
        spectrogram=spectrogram(
            log_mel, band_hz(checkpoint), start_s=start_s, duration_s=duration_s, window_s=window_s, alt=what
        ),
        audio=encode_mp3(waveform, model.sample_rate) if can_write_mp3() else None,
    )


def worst_clips(checkpoint: Checkpoint, result: RunScore, task: str, root: Path) -> list[WorstClip]:
    """Collect the `N_WORST` clips of a task with the highest loss, fewer if there are many tasks.

    Raises:
        DataError: a recording is gone since it was scored.
    """
    n_worst = max(1, min(N_WORST, N_WORST_IN_ALL // len(result.scores)))
    predictions = [prediction for prediction in result.predictions if prediction.task == task]
    logits, labels = result.logits[task], result.labels[task]
    model, clips = RunModel(checkpoint), []
    for i in worst_indices(result, task, n_worst):
        try:
            clips.append(_worst_clip(checkpoint, model, predictions[i], logits[i], labels[i], root=root))
        except BadAudioError as error:  # it was good a moment ago
            raise DataError(f"{predictions[i].clip.path}: {error}") from error
    return clips
