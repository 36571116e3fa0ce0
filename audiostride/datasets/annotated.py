"""From annotated recordings to the windows of a manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audiostride.data.manifest import LABEL_SEPARATOR, SPLITS, Clip, relative
from audiostride.datasets.annotations import Annotated, Annotations
from audiostride.datasets.event_windows import MarkedSpan, MinOverlap, Window, cut_windows
from audiostride.datasets.grouped_splits import split_groups
from audiostride.errors import ArgumentError, DataError
from audiostride.vocabulary import LABELS_COLUMN

BY_RECORDING, BY_FOLDER = "recording", "folder"
SHORTEST_S = 1e-3
LONGEST_S = 3600.0


@dataclass(frozen=True)
class Cutting:
    """How windows are cut, labelled and split.

    Attributes:
        window_s: length of a window in seconds.
        hop_s: from one to the next; by default half a window.
        min_overlap: of a span, for its class.
        background: the class that means nothing.
        annotated_only: whether windows that no span touches are left out.
        split_by: what never crosses splits: `recording`, `folder`, or a column of the tables.
        shares: of the groups for train, valid and test.
        seed: of the splits.
    """

    window_s: float = 1.0
    hop_s: float | None = None
    min_overlap: MinOverlap = MinOverlap(share=0.5)  # noqa: RUF009 - frozen
    background: str | None = None
    annotated_only: bool = False
    split_by: str = BY_RECORDING
    shares: Sequence[float] = (0.7, 0.15, 0.15)
    seed: int = 0

    def check(self) -> None:
        """Raise ArgumentError for a value that cannot be."""
        for name, value in (("window_s", self.window_s), ("hop_s", self.hop_s)):
            if value is not None and not SHORTEST_S <= value <= LONGEST_S:
                raise ArgumentError(name, value, f"expected {SHORTEST_S:g} to {LONGEST_S:g} seconds")
        if self.background is not None and (LABEL_SEPARATOR in self.background or not self.background.strip()):
            raise ArgumentError("background", self.background, f"expected a class without {LABEL_SEPARATOR!r}")


@dataclass(frozen=True)
class CutRecordings:
    """Windows as clips of a manifest, what was decided about them, and spans that label none."""

    clips: Sequence[Clip]
    notes: Sequence[str]
    n_spans: int


def _group(recording: Annotated, annotations: Annotations, split_by: str) -> str:
    if split_by == BY_RECORDING:
        return relative(recording.path, annotations.root.absolute())
    if split_by == BY_FOLDER:
        return relative(recording.path.parent, annotations.root.absolute())
    assert recording.group is not None
    return recording.group


def _splits(annotations: Annotations, cutting: Cutting) -> tuple[list[str], list[str]]:
    """Give the split of every recording, and what is to be said of it."""
    if cutting.split_by not in (BY_RECORDING, BY_FOLDER):
        without = [recording for recording in annotations.recordings if not recording.group]
        if without:
            told = f"no such column, or nothing in it, for {len(without)} recording(s), the first is {without[0].path}"
            raise ArgumentError("split_by", cutting.split_by, f"{told}; expected recording, folder or a column")
    groups = [_group(recording, annotations, cutting.split_by) for recording in annotations.recordings]
    if cutting.split_by not in (BY_RECORDING, BY_FOLDER) and set(groups) <= set(SPLITS):
        return groups, [f"the column {cutting.split_by!r} holds splits, which are taken as they are"]
    of_group = split_groups(groups, cutting.shares, cutting.seed)
    used = {split for split, share in zip(SPLITS, cutting.shares, strict=True) if share > 0}
    lacking = [split for split in SPLITS if split in used - set(of_group.values())]
    what = {BY_RECORDING: "recording", BY_FOLDER: "folder"}.get(cutting.split_by, f"group by {cutting.split_by!r}")
    few = [f"{len(of_group)} {what}(s) are too few for all splits: none in {', '.join(lacking)}"] if lacking else []
    return [of_group[group] for group in groups], few


def _labels(window: Window, filler: str | None) -> Mapping[str, str]:
    classes = window.classes or ((filler,) if filler is not None and not window.is_marked else ())
    return {LABELS_COLUMN: LABEL_SEPARATOR.join(classes)} if classes else {}


def _background_notes(cutting: Cutting, *, is_marked: bool) -> list[str]:
    if cutting.background is None:
        return []
    if is_marked:
        return [f"{cutting.background}: labels its spans where no other class sounds; what is not marked stays empty"]
    return [f"{cutting.background}: no table marks it, so it labels the windows that no span touches"]


def _unused_note(unused: Sequence[tuple[Annotated, MarkedSpan]]) -> list[str]:
    if not unused:
        return []
    recording, (start_s, end_s, name) = unused[0]
    first = f"the first is {name} at {start_s:g} to {end_s:g} s of {recording.path}"
    return [f"{len(unused)} span(s) label no window, since the overlap is too short; {first}"]


def cut_recordings(annotations: Annotations, cutting: Cutting) -> CutRecordings:
    """Cut all recordings into windows.

    Raises:
        UserError: a mistake in a table, or a column to split by that the tables lack. DataError: no window is left.
    """
    cutting.check()
    annotations.check()
    splits, notes = _splits(annotations, cutting)
    is_marked = any(name == cutting.background for r in annotations.recordings for *_, name in r.spans)
    notes += _background_notes(cutting, is_marked=is_marked)
    filler = None if is_marked else cutting.background
    clips: list[Clip] = []
    unused: list[tuple[Annotated, MarkedSpan]] = []
    for recording, split in zip(annotations.recordings, splits, strict=True):
        windows, lost = cut_windows(
            recording.duration_s,
            recording.spans,
            window_s=cutting.window_s,
            hop_s=cutting.window_s / 2 if cutting.hop_s is None else cutting.hop_s,
            min_overlap=cutting.min_overlap,
            background=cutting.background,
        )
        unused += [(recording, span) for span in lost]
        clips += [
            Clip(recording.path, split, dict(_labels(window, filler)), window.start_s, window.duration_s)
            for window in windows
            if window.is_marked or not cutting.annotated_only
        ]
    if not clips:
        raise DataError(f"{annotations.root}: no window is left, nothing is marked in any recording")
    return CutRecordings(
        clips, notes + _unused_note(unused), sum(1 for r in annotations.recordings for *_, name in r.spans if name)
    )
