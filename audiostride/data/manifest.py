"""The manifest: a CSV of recordings, their split and their labels."""

import csv
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiostride.errors import DataError, UserError, listing
from audiostride.files import csv_text, write_atomic
from audiostride.vocabulary import LABELS_COLUMN

FOLD_COLUMN = "fold"
FIXED_COLUMNS = ("path", "split", "start_s", "duration_s", FOLD_COLUMN)
MAX_S = 1e9  # of a start or a duration
LABEL_SEPARATOR = ";"  # between the classes in the column `labels`
WINDOW_COLUMNS = ("path", "start_s", "duration_s", "split", LABELS_COLUMN)
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Clip:
    """A recording or a segment of one; `labels` by column, empty ones left out; `fold` of a data set that has some."""

    path: Path
    split: str
    labels: dict[str, str] = field(default_factory=dict)
    start_s: float = 0.0
    duration_s: float | None = None
    fold: str | None = None


@dataclass(frozen=True)
class Manifest:
    """The clips of a manifest file and the names of its label columns."""

    path: Path
    clips: tuple[Clip, ...]
    label_columns: tuple[str, ...]


def sort_classes(names: Collection[str]) -> tuple[str, ...]:
    """Sort the names of classes, numerically if all are numbers."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def split_labels(text: str) -> tuple[str, ...]:
    """Give the classes in a cell of the column `labels`.

    >>> split_labels("cat;crow"), split_labels("")
    (('cat', 'crow'), ())
    """
    return tuple(name for name in text.split(LABEL_SEPARATOR) if name)


def _seconds(text: str | None, default: float | None, minimum: float) -> float | None:
    if not text:
        return default
    value = float(text)
    if not minimum <= value <= MAX_S:
        raise ValueError
    return value


def _read_row(row: dict[str, str], root: Path, columns: Sequence[str]) -> Clip:
    if None in row or None in row.values():
        raise ValueError(f"expected {len(columns)} fields, one per column of the header")
    if not row["path"]:
        raise ValueError("path is empty")
    if "\0" in row["path"]:
        raise ValueError("path holds a NUL, which no name of a file can")
    if not row["split"]:
        raise ValueError("split is empty, expected a name such as train, valid or test")
    seconds: dict[str, float | None] = {}
    for name, default, minimum in (("start_s", 0.0, 0.0), ("duration_s", None, 1e-6)):
        try:
            seconds[name] = _seconds(row.get(name), default, minimum)
        except ValueError:
            raise ValueError(f"{name} is {row[name]!r}, expected seconds, {minimum:g} or more") from None
    labels = {name: row[name] for name in columns if name not in FIXED_COLUMNS and row[name]}
    fold = row.get(FOLD_COLUMN) or None
    return Clip(root / row["path"], row["split"], labels, seconds["start_s"] or 0.0, seconds["duration_s"], fold)


def read_manifest(path: Path, root: Path | None = None) -> Manifest:
    """Read a manifest; the paths in it are relative to `root`, by default the manifest's folder.

    Columns: `path`, `split`, optional `start_s`, `duration_s` and `fold`; every other one is a label column.

    Raises:
        UserError: no such file, a column missing, no rows, or bad rows (all listed with their line).
    """
    root = path.parent if root is None else root
    if not path.is_file():
        raise UserError(f"{path}: no such manifest (looked for from the current folder)")
    clips, problems = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            for name in ("path", "split"):
                if name not in columns:
                    raise UserError(f"{path}:1: no column {name!r}; the header has {', '.join(columns) or 'nothing'}")
            if len(set(columns)) < len(columns):
                raise UserError(f"{path}:1: a column stands twice in the header: {', '.join(columns)}")
            for row in reader:
                try:
                    clips.append(_read_row(row, root, columns))
                except ValueError as error:
                    problems.append(f"{path}:{reader.line_num}: {error}")
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    if problems:
        raise UserError(listing(problems, indent=""))
    if not clips:
        raise UserError(f"{path}: holds no clips")
    return Manifest(path, tuple(clips), tuple(name for name in columns if name not in FIXED_COLUMNS))


def write_manifest(path: Path, clips: Iterable[Clip], root: Path | None = None) -> Path | None:
    """Write clips as a manifest, their paths relative to `root` (by default the manifest's folder).

    Returns:
        Where a file that stood there with another content, perhaps edited by hand, was moved to; else None.
    """
    clips = list(clips)
    names = sorted({name for clip in clips for name in clip.labels})
    timed = any(clip.start_s or clip.duration_s is not None for clip in clips)
    folds = (FOLD_COLUMN,) if any(clip.fold is not None for clip in clips) else ()
    return _write(path, clips, root, ("path", "split", *folds, *names, *(("start_s", "duration_s") if timed else ())))


def write_windows(path: Path, clips: Iterable[Clip], root: Path | None = None) -> Path | None:
    """Write windows as `write_manifest` does clips: `WINDOW_COLUMNS` whatever labels they have, then other columns."""
    clips = list(clips)
    others = sorted({name for clip in clips for name in clip.labels} - {LABELS_COLUMN})
    return _write(path, clips, root, (*WINDOW_COLUMNS, *others))


def _write(path: Path, clips: Sequence[Clip], root: Path | None, columns: Sequence[str]) -> Path | None:
    root = (path.parent if root is None else root).absolute()
    paths = {clip_path: relative(clip_path, root) for clip_path in {clip.path for clip in clips}}
    rows: list[list[object]] = [list(columns)]
    for clip in clips:
        duration_s = "" if clip.duration_s is None else clip.duration_s
        cells = {"path": paths[clip.path], "split": clip.split, "start_s": clip.start_s, "duration_s": duration_s}
        cells |= {FOLD_COLUMN: clip.fold} if clip.fold is not None else {}
        rows.append([cells[name] if name in cells else clip.labels.get(name, "") for name in columns])
    text = csv_text(rows)
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        line = text[: error.start].rpartition("\n")[2] + text[error.start :].partition("\n")[0]
        raise DataError(f"{path}: a name that is not UTF-8 in {line!a}; rename it") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    old = None
    if path.is_file() and path.read_bytes() != content:
        old = path.replace(path.with_name(f"{path.name}.old"))
    write_atomic(path, content)
    return old


def relative(path: Path, root: Path) -> str:
    """`path` as seen from `root`; absolute where it lies outside."""
    path = path.absolute()
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def require_files(clips: Iterable[Clip], max_missing: int = 0) -> list[Path]:
    """Give the files that are not there; DataError that counts and lists them if they are more than allowed."""
    paths = list(dict.fromkeys(clip.path for clip in clips))
    missing = [path for path in paths if not os.path.isfile(path)]  # one with a name that is too long, too
    if len(missing) > max_missing:
        text = listing([str(path) for path in missing])
        allowed = f", data.max_bad_files allows {max_missing}" if max_missing else ""
        raise DataError(f"{len(missing)} of {len(paths)} recordings are missing{allowed}:\n{text}")
    return missing
