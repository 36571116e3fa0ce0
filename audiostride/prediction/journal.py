"""Tables that grow recording by recording, and the journal that says up to where they count."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from audiostride.errors import UserError
from audiostride.files import write_text_atomic


@dataclass(frozen=True)
class Entry:
    """A recording whose results are complete: which one it was, and where every table ended after it."""

    path: str
    size: int
    mtime_ns: int
    ends: tuple[int, ...]  # bytes
    file: str | None = None  # of its own, in the output folder
    n_samples: int = 0  # at the rate of the model


class Table:
    """A file that grows at its end and can be taken back to where it was."""

    def __init__(self, path: Path, n_kept: int, head: str) -> None:
        """Open `path` with its first `n_kept` bytes; with none of them, begin it with `head`.

        Raises:
            UserError: it holds less.
        """
        if n_kept and (not path.exists() or path.stat().st_size < n_kept):
            raise UserError(
                f"{path}: missing, or shorter than when it was written; --overwrite predicts everything again"
            )
        self._file: IO[bytes] = path.open("r+b" if n_kept else "wb")
        self._file.truncate(n_kept)
        self._file.seek(n_kept)
        self.end = n_kept
        if not n_kept:
            self.write(head)

    def write(self, content: str | bytes) -> None:
        """Append text or bytes."""
        self.end += self._file.write(content.encode() if isinstance(content, str) else content)

    def take_back(self, end: int) -> None:
        """Forget what came after the first `end` bytes."""
        if end < self.end:
            self._file.flush()
            self._file.truncate(end)
            self._file.seek(end)
            self.end = end

    def sync(self) -> None:
        """Bring what was written to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Journal:
    """One line of settings, then one per recording; a line cut short by the end of a process does not count.

    A line is written after the tables it speaks of are on the disk, so whatever the moment a process ends, the tables
    up to the last whole line are complete.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Open a journal, or begin one.

        Raises:
            UserError: it was begun with other settings, or is damaged.
        """
        self.path = path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomic(path, json.dumps(settings) + "\n")
        lines = path.read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        try:
            before: dict[str, Any] = dict(json.loads(whole[0]))
            self.entries = [_entry(line) for line in whole[1:]]
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise UserError(f"{path}: damaged; --overwrite predicts everything again") from error
        if before != settings:
            raise UserError(f"{path.parents[1]}: begun with other settings; {_difference(before, settings)}")
        self._waiting: list[Entry] = []
        self._file = path.open("r+b")
        self._file.truncate(sum(map(len, whole)))
        self._file.seek(0, os.SEEK_END)

    def add(self, entry: Entry) -> None:
        """Note a recording, at the next `commit`."""
        self._waiting.append(entry)

    def commit(self, tables: Sequence[Table]) -> None:
        """Bring tables to the disk, then what was noted of them."""
        if not self._waiting:
            return
        for table in tables:
            table.sync()
        self._file.write("".join(json.dumps(asdict(entry)) + "\n" for entry in self._waiting).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.entries += self._waiting
        self._waiting.clear()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _entry(line: bytes) -> Entry:
    content = json.loads(line)
    return Entry(**content | {"ends": tuple(content["ends"])})


def settings_of(path: Path) -> dict[str, Any]:
    """Read the settings that a journal was begun with; none of one that is damaged or not there."""
    try:
        with path.open("rb") as file:
            return dict(json.loads(file.readline()))
    except (OSError, ValueError, TypeError):
        return {}


def same_settings(path: Path, settings: Mapping[str, Any]) -> bool:
    """Tell whether a journal was begun with these settings; one that is damaged was not."""
    before: object = settings_of(path)
    return bool(before == json.loads(json.dumps(settings)))


def journalled_files(path: Path) -> list[str]:
    """Give the files of its own that every recording in a journal has; none of lines that cannot be read."""
    names = []
    for line in path.read_bytes().splitlines()[1:] if path.exists() else ():
        with suppress(ValueError, TypeError, KeyError):
            names.append(_entry(line).file)
    return [name for name in names if name is not None]


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in now if before.get(name) != now[name]]
    differing = ", ".join(f"{name}: {before.get(name)} there, {now[name]} now" for name in names)
    return f"{differing or 'by another version'} (choose another --out, or --overwrite)"
