"""The recordings that a list of files, folders and patterns stands for."""

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from audiostride.data.audio import count_others, named_as_recordings
from audiostride.errors import UserError


def _matches(text: str) -> list[Path]:
    """Give what `text` names; it is taken as a pattern only where nothing is called so."""
    found = [text] if os.path.lexists(text) else sorted(glob.glob(text, recursive=True))
    paths: list[Path] = []
    for path in map(Path, found):
        paths += named_as_recordings(path) if path.is_dir() else [path]
    if not paths:
        what = "a folder without recordings" if os.path.isdir(text) else "no such file, folder or match"
        raise UserError(f"{text}: {what}")
    return paths


def find_inputs(texts: Iterable[str]) -> list[Path]:
    """Give every recording once, sorted by path; of several paths to the same file the first.

    Args:
        texts: files (taken whatever their name), folders (all below them that is named as a recording) and patterns,
            `**` for any folders.

    Raises:
        UserError: one that matches nothing.
    """
    of_place: dict[str, Path] = {}
    for path in sorted({path for text in texts for path in _matches(text)}):
        of_place.setdefault(os.path.realpath(path), path)
    return list(of_place.values())


def count_left_out(texts: Iterable[str]) -> int:
    """Count the files in the folders among `texts` that `find_inputs` leaves out, since no recording is named so."""
    return sum(count_others(Path(text)) for text in texts if os.path.isdir(text))


def common_folder(paths: Sequence[Path]) -> str:
    """Give the deepest folder that holds all `paths`, absolute."""
    return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
