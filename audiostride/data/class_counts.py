"""How much there is of every class in a manifest of windows with any number of classes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiostride.data.manifest import Clip, Manifest, split_labels
from audiostride.vocabulary import LABELS_COLUMN

NO_CLASS = ""  # of windows without any
FEW = 20  # events of a class in a split, below which its scores say little
N_NAMED = 5
TOLERANCE_S = 1e-6


@dataclass
class ClassCount:
    """Of one class in one split; an event is a run of windows that touch or overlap, whose time counts once."""

    n_windows: int = 0
    n_overlaps: int = 0  # windows with another class beside it
    n_events: int = 0
    seconds: float = 0.0


Counts = Mapping[str, Mapping[str, ClassCount]]  # by class and split


def _add_runs(count: ClassCount, times: Sequence[tuple[float, float]]) -> None:
    end = float("-inf")
    for start_s, end_s in sorted(times):
        if start_s > end + TOLERANCE_S:
            count.n_events += 1
        count.seconds += max(0.0, end_s - max(start_s, end))
        end = max(end, end_s)


def _duration_s(clip: Clip, durations: Mapping[Path, float]) -> float:
    rest = durations.get(clip.path, 0.0) - clip.start_s  # 0 for what cannot be used
    return max(0.0, rest if clip.duration_s is None else min(clip.duration_s, rest))


def count_classes(manifest: Manifest, durations: Mapping[Path, float]) -> Counts:
    """Count windows, overlaps, events and seconds per class and split; `NO_CLASS` for windows without any.

    Args:
        manifest: without a column `labels` there is nothing to count.
        durations: of the recordings in seconds.
    """
    if LABELS_COLUMN not in manifest.label_columns:
        return {}
    counts: dict[str, dict[str, ClassCount]] = defaultdict(lambda: defaultdict(ClassCount))
    times: dict[tuple[str, str, Path], list[tuple[float, float]]] = defaultdict(list)
    for clip in manifest.clips:
        names = split_labels(clip.labels.get(LABELS_COLUMN, "")) or (NO_CLASS,)
        for name in names:
            count = counts[name][clip.split]
            count.n_windows += 1
            count.n_overlaps += len(names) > 1
            end_s = clip.start_s + _duration_s(clip, durations)
            times[name, clip.split, clip.path].append((clip.start_s, end_s))
    for (name, split, _), of_recording in times.items():
        _add_runs(counts[name][split], of_recording)
    return counts


def few_events(counts: Counts, splits: Sequence[str]) -> list[str]:
    """Name the classes that have fewer than `FEW` events in a split, the rarest first, a line per split."""
    lines = []
    for split in splits:
        n_events = {name: of_split.get(split, ClassCount()).n_events for name, of_split in counts.items() if name}
        few = sorted((n, name) for name, n in n_events.items() if n < FEW)
        named = ", ".join(f"{name} {n}" for n, name in few[:N_NAMED])
        more = f" and {len(few) - N_NAMED} more" if len(few) > N_NAMED else ""
        if few:
            lines.append(f"{split}: {len(few)} of {len(n_events)} classes: {named}{more}")
    return lines
