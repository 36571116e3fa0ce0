"""Recordings sorted into folders: one per class, or one per split and class."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audiostride.data.audio import find_recordings
from audiostride.data.manifest import Clip
from audiostride.datasets.splits import split_class
from audiostride.errors import UserError
from audiostride.vocabulary import LabelFrom

DATE = re.compile(r"(?:19|20)\d{6}")  # in the names that recorders give
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
    "eval": "test",
}


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))


def _has_table(paths: Sequence[Path]) -> bool:
    """Tell whether the first of recordings has a table of annotations beside it."""
    beside = paths[0].parent.iterdir()
    return any(path.name.startswith(f"{paths[0].stem}.") and path.suffix.lower() == ".txt" for path in beside)


def _site_named(of_class: Mapping[str, Sequence[Path]]) -> str | None:
    """Say why names of folders look like sites of recorders; None if they do not."""
    if len(of_class) < 2:
        return None
    below = [{path.parent.name for path in paths} - set(of_class) for paths in of_class.values()]
    shared = {name for name, n in Counter(name for names in below for name in names).items() if n > 1}
    if all(names & shared for names in below):
        return f"each of them holds folders of the same names ({', '.join(sorted(shared)[:4])})"
    if all(map(_has_table, of_class.values())):
        return "tables of annotations lie beside the recordings"
    dated = ((name.lower(), path.stem.lower()) for name, paths in of_class.items() for path in paths)
    if all(name in stem and DATE.search(stem.replace(name, "")) for name, stem in dated):
        return "each of them is in the names of its recordings, before or after a date"
    return None


def _check_classes(of_class: Mapping[str, Sequence[Path]]) -> None:
    """Raise UserError where the names of folders are sites and not classes, as far as names tell."""
    if (reason := _site_named(of_class)) is not None:
        names = ", ".join(sorted(of_class)[:4])
        raise UserError(
            f"{names}: are these sites or classes? {reason}; say --label-from folder to take them for classes, "
            "--label-from parent for the folder that each recording lies in, or use prepare annotations"
        )


def _split_classes(root: Path, clips: Sequence[Clip]) -> list[Clip]:
    names = [clip.path.relative_to(root).as_posix() for clip in clips]
    of_class: dict[str, list[str]] = {}
    for name, clip in zip(names, clips, strict=True):
        of_class.setdefault(clip.labels["label"], []).append(name)
    splits = {name: split for same in of_class.values() for name, split in split_class(same).items()}
    return [replace(clip, split=splits[name]) for name, clip in zip(names, clips, strict=True)]


def read_folder(root: Path, label_from: LabelFrom | None = None) -> list[Clip]:
    """Give the recordings in `root/CLASS/` or `root/SPLIT/CLASS/`, labelled in the column `label`.

    Splits may be called train, training; valid, validation, val, dev; test, testing, eval. Without them a hash of
    the path below `root` puts about 20 % into test and 10 % into valid, and of a class with three recordings or more
    at least one into each.

    Args:
        root: holds the folders.
        label_from: what names the class: the `folder` CLASS, however deep a recording lies in it, or the `parent`,
            the folder that the recording itself lies in. Without it CLASS, unless names tell that it is a site.

    Raises:
        UserError: no recordings in folders, folders of splits beside folders of classes, or folders whose names all
            seem to be sites.
    """
    folders = _folders(root)
    of_splits = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES]
    if of_splits and len(of_splits) < len(folders):
        other = next(folder for folder in folders if folder not in of_splits)
        raise UserError(f"{other}: a class beside {of_splits[0].name}; expected ROOT/CLASS or ROOT/SPLIT/CLASS")
    clips: list[Clip] = []
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for of_class in _folders(folder) if of_splits else [folder]:
            for path in find_recordings(of_class):
                split = SPLIT_NAMES[folder.name.lower()] if of_splits else ""
                label = path.parent.name if label_from == "parent" else of_class.name
                clips.append(Clip(path, split, {"label": label}))
                found.setdefault(of_class.name, []).append(path)
    if not clips:
        raise UserError(f"{root}: no recordings in folders; expected ROOT/CLASS/*.wav or ROOT/SPLIT/CLASS/*.wav")
    if label_from is None:
        _check_classes(found)
    return clips if of_splits else _split_classes(root, clips)
