"""An uploaded file to the answer that its sender gets."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiostride.data.audio import BadAudioError, Waveform, open_audio, read_blocks
from audiostride.errors import ArgumentError
from audiostride.prediction.decoding import Window, windows_with_ends
from audiostride.prediction.detector import Detector, Rules
from audiostride.prediction.events import Event, EventMerger
from audiostride.prediction.model import WindowModel
from audiostride.prediction.selection import TOP_K, Selection, Shown, select
from audiostride.prediction.stream import FileSum, WindowResult, why_too_short, window_samples
from audiostride.serving.batching import Batcher, Job
from audiostride.serving.slots import Slots
from audiostride.serving.spectrogram import Spectrogram
from audiostride.vocabulary import MIN_RATE_HZ

MAX_WINDOWS = 20_000  # of a request; 10 minutes every 30 ms
MAX_SCORES = 500_000  # of windows: some 25 MB of JSON
MAX_RATE_HZ = 1_000_000
LONGEST_S = 1e9  # what libsndfile takes for unknown is longer


class TooLongError(Exception):
    """A recording that lasts longer than allowed."""


class AnswerError(Exception):
    """A question that has no answer, or one that would be too large."""


@dataclass(frozen=True)
class Question:
    """What a request asks for.

    Attributes:
        top_k: most probable classes per task.
        hop_s: seconds from one window to the next, by default half a window.
        spectrogram: whether to return a picture as well.
    """

    top_k: int = TOP_K
    hop_s: float | None = None
    spectrogram: bool = False


def answer(
    path: Path,
    question: Question,
    *,
    model: WindowModel,
    detections: Selection,
    batcher: Batcher,
    job: Job,
    max_s: float,
    places: Slots,
) -> dict[str, Any]:
    """Predict a recording of at most `max_s` seconds.

    Args:
        path: of the recording.
        question: what to tell about it.
        model: that predicts.
        detections: which classes of a window are detections.
        batcher: through which the windows go.
        job: whose time they take.
        max_s: longest duration.
        places: for the windows of all requests.

    Raises:
        BadAudioError: it cannot be used. TooLongError: by its header, or while it is decoded. AnswerError: its hop is
            less than a sample, or it would be too large. TimeoutError: no time is left for the job. HTTPException:
            503, there is no place.
    """
    job.check()
    duration_s = check_duration(path, max_s)
    try:
        _, n_hop = window_samples(model, None, question.hop_s)
    except ArgumentError as error:
        raise AnswerError(str(error)) from error
    n_windows = duration_s * model.sample_rate / n_hop
    check_size(n_windows, question.top_k, model)
    with places.take(math.ceil(n_windows)):
        return _predict(
            path,
            question,
            model=model,
            detections=detections,
            batcher=batcher,
            job=job,
            max_s=max_s,
            duration_s=duration_s,
            n_hop=n_hop,
        )


def _predict(
    path: Path,
    question: Question,
    *,
    model: WindowModel,
    detections: Selection,
    batcher: Batcher,
    job: Job,
    max_s: float,
    duration_s: float,
    n_hop: int,
) -> dict[str, Any]:
    rate = model.sample_rate
    picture = Spectrogram(round(duration_s * rate), rate) if question.spectrogram else None
    blocks = _watched(path, rate, job, max_s, picture)
    n_samples, waiting = 0, []
    for part in windows_with_ends(blocks, model.n_window, n_hop):
        if (reason := why_too_short(model, part.stop if isinstance(part, Window) else part.n_samples)) is not None:
            raise BadAudioError(reason)
        if isinstance(part, Window):
            waiting.append((part.start, part.stop, batcher.submit(part.samples, job)))
        else:
            n_samples = part.n_samples
    total = FileSum(model, tuple(model.classes))
    windows: dict[str, list[dict[str, Any]]] = {task: [] for task in model.classes}
    listed = select(model, tuple(model.classes), threshold=0.0, top_k=question.top_k)
    detector, merger = Detector(detections, Rules()), EventMerger()
    for start, stop, logits in waiting:
        result = WindowResult(path, start / rate, stop / rate, total.add(batcher.wait(logits, job)))
        for event in detector.add(result):
            merger.add(event)
        for task, shown in listed.of(result.probabilities).items():
            windows[task].append({"start_s": result.start_s, "end_s": result.end_s, "classes": as_json(shown)})
    of_file, events = listed.of(total.probabilities()), merger.events()
    tasks = {
        task: {
            "classes": as_json(of_file[task]),
            "detections": [_event_json(event) for event in events if event.task == task],
            "windows": windows[task],
        }
        for task in model.classes
    }
    content = {"duration_s": n_samples / rate, "tasks": tasks}
    return content if picture is None else {**content, "spectrogram": picture.finish()}


def check_duration(path: Path, max_s: float) -> float:
    """Read the duration of a recording in seconds from its header.

    Raises:
        TooLongError: it lasts longer than `max_s`. BadAudioError: it cannot be used.
    """
    with open_audio(path) as file:
        if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
            raise BadAudioError(f"{file.samplerate} Hz, the server takes {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")
        duration_s: float = file.frames / file.samplerate
    if duration_s > LONGEST_S:
        raise BadAudioError("its header does not say how long it lasts")
    if duration_s > max_s:
        raise TooLongError(f"lasts {duration_s:.1f} s, the server takes up to {max_s:g} s")
    return duration_s


def check_size(n_windows: float, top_k: int, model: WindowModel) -> None:
    """Raise AnswerError where `n_windows` are too many, or their scores."""
    if n_windows > MAX_WINDOWS:
        raise AnswerError(f"more than {MAX_WINDOWS} windows; expected a larger hop_s")
    if n_windows * sum(min(top_k, len(names)) for names in model.classes.values()) > MAX_SCORES:
        raise AnswerError(
            f"more than {MAX_SCORES} probabilities of windows; expected a larger hop_s or a smaller top_k"
        )


def as_json(shown: Sequence[Shown]) -> list[dict[str, Any]]:
    """List classes, the most probable first.

    >>> as_json([Shown(1, "owl", 0.7)])
    [{'name': 'owl', 'probability': 0.7}]
    """
    return [{"name": each.name, "probability": round(each.probability, 6)} for each in shown]


def _event_json(event: Event) -> dict[str, Any]:
    times = {"start_s": event.start_s, "end_s": event.end_s}
    return {"name": event.name, **times, "probability": round(event.probability, 6)}


def _watched(path: Path, rate: int, job: Job, max_s: float, picture: Spectrogram | None) -> Iterator[Waveform]:
    """Yield a recording as long as there is time, and no more than `max_s` seconds whatever its header says."""
    n_read = 0
    try:
        for block in read_blocks(path, rate):
            job.check()
            n_read += len(block)
            if n_read > (max_s + 1) * rate:
                raise TooLongError(f"is longer than {max_s:g} s, the most that the server takes")
            if picture is not None:
                picture.add(block)
            yield block
    except (RuntimeError, ValueError) as error:  # whatever a strange file does to a decoder
        raise BadAudioError(f"cannot be decoded ({error})") from error
