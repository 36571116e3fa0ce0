"""Which detections are cut out of their recordings to be listened to, and how the files are called."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiostride.errors import ArgumentError
from audiostride.prediction.events import Event
from audiostride.prediction.file_names import distinct_names
from audiostride.prediction.journal import Entry
from audiostride.prediction.tables import N_DIGITS

PAD_S = 0.5
PER_CLASS = 200
MAX_PAD_S = 60.0
MAX_PER_CLASS = 100_000
MAX_EVENT_S = 60.0  # of a longer event the beginning is cut out


@dataclass(frozen=True)
class ClipSettings:
    """Where clips go, and which.

    Attributes:
        folder: of the clips, a folder in it for every class.
        pad_s: seconds before and after a detection.
        per_class: clips of a class at most, those with the highest probabilities.

    Raises:
        ArgumentError: a value out of range.
    """

    folder: Path
    pad_s: float = PAD_S
    per_class: int = PER_CLASS

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 <= self.pad_s <= MAX_PAD_S:
            raise ArgumentError("clip_pad", f"{self.pad_s:g}", f"expected seconds, 0 to {MAX_PAD_S:g}")
        if not 1 <= self.per_class <= MAX_PER_CLASS:
            raise ArgumentError("clips_per_class", self.per_class, f"expected 1 to {MAX_PER_CLASS}")


@dataclass(frozen=True)
class Clip:
    """A part of a recording, and the state of the recording."""

    path: str
    size: int
    mtime_ns: int
    start_s: float
    end_s: float

    @property
    def content(self) -> list[Any]:
        """Say what is in the clip, as the record does."""
        return [self.path, self.size, self.mtime_ns, self.start_s, self.end_s]


def best_events(
    recordings: Iterable[tuple[Entry, list[Event]]], n: int
) -> dict[tuple[str, str], list[tuple[Entry, Event]]]:
    """Choose of every task and class the `n` events with the highest probabilities; of equal ones the first.

    Probabilities count as tables show them: the last digits of a number depend on the machine.
    """
    heaps: dict[tuple[str, str], list[tuple[float, int, Entry, Event]]] = defaultdict(list)
    n_events = 0
    for entry, events in recordings:
        for event in events:
            n_events += 1
            heap = heaps[event.task, event.name]
            item = round(event.probability, N_DIGITS), -n_events, entry, event
            (heapq.heappush if len(heap) < n else heapq.heappushpop)(heap, item)
    return {key: [(entry, event) for *_, entry, event in sorted(heap, reverse=True)] for key, heap in heaps.items()}


def name_clips(
    best: Mapping[tuple[str, str], Sequence[tuple[Entry, Event]]],
    classes: Mapping[str, Sequence[str]],
    paths: Sequence[Path],
    pad_s: float,
) -> dict[str, Clip]:
    """Give the clips of events by their place in the folder, `CLASS/PROBABILITY_RECORDING_STARTs.wav`.

    Args:
        best: events per task and class.
        classes: of every task; where two have the same name, their folders are marked.
        paths: all recordings; where two have the same name, theirs is marked.
        pad_s: seconds before and after an event.
    """
    folders = distinct_names({_key(task, name): name for task, names in classes.items() for name in names})
    names = distinct_names({str(path): path.stem for path in paths})
    clips: dict[str, Clip] = {}
    for (task, name), events in best.items():
        for entry, event in events:
            place = f"{event.probability:.3f}_{names[entry.path]}_{event.start_s:.3f}s.wav"
            end_s = min(event.end_s, event.start_s + MAX_EVENT_S) + pad_s
            start_s = max(0.0, event.start_s - pad_s)
            clips[f"{folders[_key(task, name)]}/{place}"] = Clip(entry.path, entry.size, entry.mtime_ns, start_s, end_s)
    return clips


def _key(task: str, name: str) -> str:
    return f"{task}\0{name}"


def check_apart(folder: Path, inputs: Iterable[str], recordings: Iterable[Path]) -> None:
    """Raise ArgumentError where the clips in `folder` would be recordings themselves when the command is repeated.

    Args:
        folder: of the clips.
        inputs: files, folders and patterns as given.
        recordings: what they stand for.
    """
    place = folder.resolve()
    for text in inputs:
        if Path(text).is_dir() and place.is_relative_to(Path(text).resolve()):
            raise ArgumentError(
                "clips", folder, f"within {text}, whose recordings are predicted; expected another folder"
            )
    for path in recordings:
        if path.resolve().is_relative_to(place):
            raise ArgumentError("clips", folder, f"holds {path}, which is to be predicted; expected another folder")
