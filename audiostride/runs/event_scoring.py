"""Evaluate a model on the annotated events of whole recordings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from audiostride.data.corpus import check_bad_files
from audiostride.datasets.annotations import Annotated
from audiostride.errors import DataError
from audiostride.evaluation.det_curves import DetCurve
from audiostride.evaluation.event_matching import Criterion, Overlap, as_spans
from audiostride.evaluation.event_scores import EventScore
from audiostride.prediction.decoding import Source
from audiostride.prediction.detector import Rules
from audiostride.prediction.selection import check_threshold, select
from audiostride.prediction.stream import FileFailed, FileResult, WindowResult, predict_sources, window_samples
from audiostride.prediction.track import Track
from audiostride.runs.event_data import EventData
from audiostride.runs.event_scorer import EventScorer, RecordingAxis, RecordingEvents
from audiostride.runs.scoring import N_DECODERS, Subject

LIMITS_PER_HOUR = (1.0, 10.0, 60.0, 100.0)  # false alarms at which miss rates are shown
BETWEEN_S = 1.0  # recordings on an axis, beside the reach of the criterion


@dataclass(frozen=True)
class EventSettings:
    """How events are found and matched.

    Attributes:
        criterion: which annotated and predicted events fit.
        rules: what makes a detection beside the threshold.
        threshold: of all classes; by default the model's own, else 0.5.
        window_s: seconds of a window, by default the model's.
        hop_s: seconds from one window to the next, by default half a window.
    """

    criterion: Criterion = field(default_factory=Overlap)
    rules: Rules = field(default_factory=Rules)
    threshold: float | None = None
    window_s: float | None = None
    hop_s: float | None = None

    def __post_init__(self) -> None:
        """Raise ArgumentError for a threshold that is no probability."""
        check_threshold(self.threshold)

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as JSON takes them; windows are in the result."""
        match = "iou" if isinstance(self.criterion, Overlap) else "collar"
        return {"match": match, **asdict(self.criterion), "threshold": self.threshold, **asdict(self.rules)}


@dataclass(frozen=True)
class EventResult:
    """What a model does with annotated events.

    Attributes:
        task: that was evaluated.
        score: at `thresholds`.
        thresholds: per class.
        own_thresholds: whether the model brought them, all or some.
        curve: of one threshold for all classes; None where nothing is annotated.
        curves: per class with annotated events, of a threshold of its own.
        recordings: the events themselves.
        notes: what was left out, a line each.
        settings: that the events were found and matched by.
        window_s, hop_s: of the windows.
    """

    task: str
    score: EventScore
    thresholds: Mapping[str, float]
    own_thresholds: bool
    curve: DetCurve | None
    curves: Mapping[str, DetCurve]
    recordings: Sequence[RecordingEvents]
    notes: Sequence[str]
    settings: EventSettings
    window_s: float
    hop_s: float

    def as_dict(self) -> dict[str, Any]:
        """Give everything but the events as JSON takes it."""
        score = self.score.as_dict()
        for name, of_class in score["classes"].items():
            of_class |= {"threshold": self.thresholds[name], **_curve_dict(self.curves.get(name))}
        return {
            "task": self.task,
            "settings": self.settings.as_dict(),
            "window_s": self.window_s,
            "hop_s": self.hop_s,
            "n_recordings": len(self.recordings),
            **score,
            "one_threshold": _curve_dict(self.curve),
            "notes": list(self.notes),
        }


def _curve_dict(curve: DetCurve | None) -> dict[str, Any]:
    """Give a curve, and its best points at some numbers of false alarms per hour."""
    if curve is None:
        return {"det": None, "at_false_alarms_per_hour": None}
    best = {f"{limit:g}": curve.best_at(limit).as_dict() for limit in LIMITS_PER_HOUR}
    return {"det": curve.as_dicts(), "at_false_alarms_per_hour": best}


def _predict(
    subject: Subject,
    data: EventData,
    n_window: int,
    n_hop: int,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[list[Track], list[float], dict[int, str]]:
    """Give the windows and the length of every recording that can be used, and by index why others cannot."""
    sources = [Source(recording.path) for recording in data.recordings]
    tracks: list[Track] = []
    durations_s: list[float] = []
    reasons: dict[int, str] = {}
    windows: list[tuple[float, float]] = []
    values = []
    results = predict_sources(
        subject.model, sources, (data.task,), n_window=n_window, n_hop=n_hop, n_threads=N_DECODERS
    )
    for result in results:
        if isinstance(result, WindowResult):
            windows.append((result.start_s, result.end_s))
            values.append(result.probabilities[data.task])
            continue
        if isinstance(result, FileResult):
            starts_s, ends_s = as_spans(windows).T
            shape = -1, len(subject.model.classes[data.task])
            tracks.append(Track(np.zeros(len(windows), np.intp), starts_s, ends_s, np.array(values).reshape(shape)))
            durations_s.append(result.duration_s)
        elif isinstance(result, FileFailed):
            reasons[len(tracks) + len(reasons)] = result.reason
        windows, values = [], []
        if on_progress is not None:
            on_progress(len(tracks) + len(reasons), len(sources))
    return tracks, durations_s, reasons


def _short_note(recordings: Sequence[Annotated], criterion: Criterion, window_s: float) -> list[str]:
    """Say how many annotated events are too short for any event of whole windows to fit."""
    if not isinstance(criterion, Overlap):
        return []
    lengths_s = [end_s - start_s for recording in recordings for start_s, end_s, _ in recording.spans]
    least_s = criterion.min_iou * window_s
    n_short = sum(0 < length_s < least_s for length_s in lengths_s)
    if not n_short:
        return []
    why = f"shorter than {criterion.min_iou:g} of a window of {window_s:g} s, and cannot be hits"
    return [f"{n_short} of {len(lengths_s)} annotated events are {why}: shorten the window or the overlap"]


def score_events(
    subject: Subject,
    data: EventData,
    settings: EventSettings | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> EventResult:
    """Predict whole recordings, merge windows to events, and match these with the annotated ones.

    The probabilities of windows are computed once. At the thresholds of the classes they give the score, and at many
    thresholds the curves.

    Args:
        subject: a run or an exported model.
        data: what `choose_events` gives.
        settings: how events are found and matched.
        on_progress: called with the recordings done and in all.

    Raises:
        UserError: a value out of range.
        DataError: more recordings are unusable than the recipe allows, or none is left.
    """
    settings = settings or EventSettings()
    model = subject.model
    n_window, n_hop = window_samples(model, settings.window_s, settings.hop_s)
    window_s, hop_s = n_window / model.sample_rate, n_hop / model.sample_rate
    names = model.classes[data.task]
    least = select(model, (data.task,), threshold=settings.threshold).thresholds[data.task].tolist()
    thresholds = {name: value for name, value in zip(names, least, strict=True) if name in data.classes}
    tracks, durations_s, reasons = _predict(subject, data, n_window, n_hop, on_progress)
    bad = [f"{data.recordings[i].path}: {reason}" for i, reason in reasons.items()]
    note = check_bad_files(bad, subject.recipe.data.max_bad_files)
    if not tracks:
        raise DataError("no annotated recording can be used")
    kept = [recording for i, recording in enumerate(data.recordings) if i not in reasons]
    axis = RecordingAxis(kept, durations_s, BETWEEN_S + settings.criterion.reach_s)
    columns = {name: names.index(name) for name in data.classes}
    track = Track.joined(tracks, axis.offsets_s)
    scorer = EventScorer(columns, axis, track, settings.criterion, settings.rules)
    return EventResult(
        task=data.task,
        score=scorer.score(thresholds),
        thresholds=thresholds,
        own_thresholds=settings.threshold is None and bool(model.traits[data.task].thresholds),
        curve=scorer.curve(thresholds),
        curves=scorer.curves(thresholds),
        recordings=scorer.recordings(thresholds),
        notes=[*data.notes, *filter(None, [note]), *_short_note(kept, settings.criterion, window_s)],
        settings=settings,
        window_s=window_s,
        hop_s=hop_s,
    )
