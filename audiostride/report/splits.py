"""The recordings of a manifest as a report counts them: clips per class and split, hours."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audiostride.data.audio import BadAudioError, open_audio
from audiostride.data.manifest import SPLITS, Clip, Manifest
from audiostride.data.targets import has_label, names_of
from audiostride.vocabulary import Kind


@dataclass(frozen=True)
class Split:
    """Clips of a split that have a label; `n_unread` of them are not there to tell their length."""

    name: str
    n_clips: int
    hours: float
    n_unread: int
    n_of_class: dict[str, int]


def _seconds_of_file(path: Path) -> float | None:
    try:
        with open_audio(path) as file:
            return float(file.frames / file.samplerate)
    except (BadAudioError, OSError):
        return None


def _seconds(clip: Clip, of_file: dict[Path, float | None]) -> float | None:
    """Give length of a clip by the header of its file, which is asked once."""
    if clip.path not in of_file:
        of_file[clip.path] = _seconds_of_file(clip.path)
    whole = of_file[clip.path]
    if whole is None:
        return None
    rest = max(0.0, whole - clip.start_s)
    return rest if clip.duration_s is None else min(rest, clip.duration_s)


def _split(name: str, column: str, kind: Kind, clips: Iterable[Clip], of_file: dict[Path, float | None]) -> Split:
    labelled = [clip for clip in clips if clip.split == name and has_label(clip, column, kind)]
    seconds = [_seconds(clip, of_file) for clip in labelled]
    read = [s for s in seconds if s is not None]
    counts = Counter(of_clip for clip in labelled for of_clip in names_of(clip, column, kind))
    return Split(name, len(labelled), sum(read) / 3600, len(seconds) - len(read), dict(counts))


def count_splits(manifest: Manifest, column: str, kind: Kind = "single") -> list[Split]:
    """Give every split with clips that `column` labels: train, valid and test first."""
    names = {clip.split for clip in manifest.clips if has_label(clip, column, kind)}
    ordered = sorted(names, key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name))
    of_file: dict[Path, float | None] = {}
    return [_split(name, column, kind, manifest.clips, of_file) for name in ordered]
