"""Which recording a table of annotations, or a row of one, belongs to."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath, PureWindowsPath

from audiostride.datasets.annotation_formats import table_names


class NoRecordingError(Exception):
    """No recording, or more than one, fits."""

    def __init__(self, text: str, *, is_ambiguous: bool) -> None:
        super().__init__(text)
        self.is_ambiguous = is_ambiguous


def _same_text(name: str) -> str:
    """Give a name in which letters with accents are written in one way: file systems differ in it."""
    return unicodedata.normalize("NFC", name)


def _n_shared(folders: Sequence[str], others: Sequence[str]) -> int:
    """Count the folders at the ends of two paths that have the same names."""
    n = 0
    while n < min(len(folders), len(others)) and _same_text(folders[-1 - n]) == _same_text(others[-1 - n]):
        n += 1
    return n


class Recordings:
    """The recordings below a folder, found by their names."""

    def __init__(self, root: Path, paths: Iterable[Path]) -> None:
        self.root = root
        self.of_name: dict[str, list[Path]] = defaultdict(list)
        self.of_stem: dict[str, list[Path]] = defaultdict(list)
        self.of_target: dict[Path, Path] = {}
        for path in paths:
            self.of_target.setdefault(path.resolve(), path)
            self.of_name[_same_text(path.name)].append(path)
            self.of_stem[_same_text(path.stem)].append(path)

    def _choose(self, found: Sequence[Path], table: Path, folders: Sequence[str], what: str) -> Path:
        """Choose the recording in the table's folder, else the one whose folders are most alike."""
        beside = [path for path in found if path.parent == table.parent] or found
        n_shared = [_n_shared(folders, path.parent.parts) for path in beside]
        best = [path for path, n in zip(beside, n_shared, strict=True) if n == max(n_shared)]
        if len(best) == 1:
            return best[0]
        names = ", ".join(path.relative_to(self.root).as_posix() for path in sorted(best)[:4])
        more = f" and {len(best) - 4} more" if len(best) > 4 else ""
        raise NoRecordingError(f"{what} may be each of {names}{more}", is_ambiguous=True)

    def once(self, path: Path) -> Path:
        """Give the one path of a recording that several lead to."""
        return self.of_target.setdefault(path.resolve(), path)

    def has_beside(self, table: Path) -> bool:
        """Tell whether a recording of the table's name lies beside it."""
        fitting = (path for name in table_names(table) for path in self._named(name))
        return any(path.parent == table.parent for path in fitting)

    def _named(self, name: str) -> list[Path]:
        key = _same_text(name)
        return self.of_name.get(key) or self.of_stem.get(key) or []

    def of_table(self, table: Path) -> Path:
        """Give the recording of a table whose rows name none: it has the table's name.

        Raises:
            NoRecordingError: there is none, or there are several.
        """
        *_, shortest = table_names(table)
        found = [path for name in table_names(table) for path in self._named(name)]
        beside = [path for path in found if path.parent == table.parent]
        if not (candidates := list(dict.fromkeys(beside or found))):
            raise NoRecordingError(f"no recording is called {shortest}", is_ambiguous=False)
        return self._choose(candidates, table, table.parent.parts, "its recording")

    def of_place(self, place: str, table: Path) -> Path:
        """Give the recording that a row names by a path, of this machine or another, or by its name alone.

        Raises:
            NoRecordingError: there is none, or there are several.
        """
        for path in (table.parent / place, self.root / place):
            if os.path.isfile(path):  # which is false as well for a name that is too long, or none
                return path
        *folders, name = PureWindowsPath(place).parts or (place,)  # takes both kinds of slashes
        if not (found := self.of_name.get(_same_text(name), [])):
            raise NoRecordingError(f"no recording {place}", is_ambiguous=False)
        return self._choose(found, table, folders or table.parent.parts, place)


def lies_where_named(path: Path, place: str, table: Path, root: Path) -> bool:
    """Tell whether a recording is where its table says or beside it, so that no other can be meant."""
    named = PurePath(place) if place else table
    return path.parent == table.parent or path in (table.parent / named, root / named)
