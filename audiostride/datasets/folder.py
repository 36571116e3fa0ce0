"""Recordings sorted into folders: one per class, or one per split and class."""

from pathlib import Path

from audiostride.data.audio import find_recordings
from audiostride.data.manifest import Clip
from audiostride.datasets.splits import split_by_hash
from audiostride.errors import UserError

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


def read_folder(root: Path) -> list[Clip]:
    """Give the recordings in `root/CLASS/` or `root/SPLIT/CLASS/`, labelled in the column `label`.

    Splits may be called train, training; valid, validation, val, dev; test, testing, eval. Without them a hash of
    the path below `root` puts about 20 % into test and 10 % into valid.

    Raises:
        UserError: no recordings in folders, or folders of splits beside folders of classes.
    """
    folders = _folders(root)
    of_splits = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES]
    if of_splits and len(of_splits) < len(folders):
        other = next(folder for folder in folders if folder not in of_splits)
        raise UserError(f"{other}: a class beside {of_splits[0].name}; expected ROOT/CLASS or ROOT/SPLIT/CLASS")
    clips = []
    for folder in folders:
        for of_class in _folders(folder) if of_splits else [folder]:
            for path in find_recordings(of_class):
                hashed = split_by_hash(path.relative_to(root).as_posix())
                split = SPLIT_NAMES[folder.name.lower()] if of_splits else hashed
                clips.append(Clip(path, split, {"label": of_class.name}))
    if not clips:
        raise UserError(f"{root}: no recordings in folders; expected ROOT/CLASS/*.wav or ROOT/SPLIT/CLASS/*.wav")
    return clips
