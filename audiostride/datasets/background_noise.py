"""The long recordings of noise in Speech Commands, cut into windows of a class of their own."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from audiostride.data.audio import find_recordings
from audiostride.data.manifest import SPLITS, Clip
from audiostride.data.scan import Recording, scan_file
from audiostride.datasets.grouped_splits import share_out
from audiostride.errors import ArgumentError, DataError, listing

FOLDER = "_background_noise_"
WINDOW_S = 1.0
SHARES = (0.8, 0.1, 0.1)  # of the windows of every recording, in the order of time


def check_background(data_set: str, name: str | None) -> None:
    """Raise ArgumentError for a class of the background that is given for a data set without one."""
    if name is not None and data_set not in ("speech_commands", "annotations"):
        told = f"an option of prepare speech_commands and annotations, not of {data_set}"
        raise ArgumentError("background", name, told)


def read_background(root: Path, name: str, words: Iterable[str]) -> list[Clip]:
    """Cut the recordings in `root/_background_noise_` into windows of 1 s, labelled `name` in the column `label`.

    There are few recordings, so every one is in all splits: its first windows are for train, the next ones for valid,
    the last ones for test, in the shares 80, 10 and 10 %. Each split gets one at least, if there are three. Windows do
    not overlap, so no sample is in two splits. What is left at the end of a recording, less than a window, is dropped.

    Args:
        root: the unpacked Speech Commands.
        name: the class.
        words: the other classes.

    Raises:
        ArgumentError: an empty name or that of a word, no such folder, or no recording of a second in it.
        DataError: recordings that cannot be read, each with the reason.
    """
    if not name.strip() or name in words:
        told = "a word of the data set" if name.strip() else "an empty name"
        raise ArgumentError("background", name, f"{told}; expected a class of its own")
    folder = root / FOLDER
    if not folder.is_dir():
        raise ArgumentError("background", name, f"{folder}: no such folder; expected recordings of noise in it")
    recordings = [scan_file(path) for path in find_recordings(folder)]
    if bad := [f"{recording.path}: {recording.problem}" for recording in recordings if recording.problem]:
        raise DataError(listing(bad, indent=""))
    clips = [clip for recording in recordings for clip in _windows(recording, name)]
    if not clips:
        raise ArgumentError("background", name, f"{folder}: no recording of {WINDOW_S:g} s or more in it")
    return clips


def _windows(recording: Recording, name: str) -> Iterator[Clip]:
    counts = share_out(int(recording.duration_s / WINDOW_S), SHARES)
    splits = [split for split, n in zip(SPLITS, counts, strict=True) for _ in range(n)]
    for i, split in enumerate(splits):
        yield Clip(recording.path, split, {"label": name}, i * WINDOW_S, WINDOW_S)


def background_note(clips: Iterable[Clip]) -> str:
    """Say what the windows of the background are and how they are split."""
    clips = list(clips)
    counts = ", ".join(f"{sum(clip.split == split for clip in clips)} {split}" for split in SPLITS)
    return (
        f"{clips[0].labels['label']}: {len(clips)} windows of {WINDOW_S:g} s from {len({clip.path for clip in clips})} "
        f"recording(s) in {FOLDER} ({counts}), split by time: of every recording about "
        f"the first {SHARES[0]:.0%} are for train, then {SHARES[1]:.0%} for valid and {SHARES[2]:.0%} for test"
    )
