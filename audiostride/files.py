"""Files that are whole or not there."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file aside and move it to `path`: a reader sees the old one or the new.

    What is no regular file (a pipe, a device) is written to as it is; a link keeps pointing to its target.

    Raises:
        OSError: with the name of the file.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = path.resolve() if path.is_symlink() else path
    partial = path.parent / f".{path.name}.partial"
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:  # a second Ctrl-C among them
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def write_text_atomic(path: Path, text: str) -> None:
    """Write `text` in UTF-8, line ends as they are."""
    write_atomic(path, text.encode())


def path_text(path: Path | str) -> str:
    r"""Give a path as text that a file in UTF-8 can hold; bytes of its name that are not UTF-8 are written as \xff.

    >>> path_text(Path(os.fsdecode(b"lat\xe9.wav")))
    'lat\\xe9.wav'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    r"""Write rows as CSV with line feeds.

    A carriage return inside a cell is quoted, which Python's writer leaves out: a reader would take it for a line end.

    >>> csv_text([["a", 1], ["b\rc", 2]])
    'a,1\n"b\rc","2"\n'
    """
    file = io.StringIO()
    plain = csv.writer(file, lineterminator="\n")
    quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        (quoted if any("\r" in cell for cell in row if isinstance(cell, str)) else plain).writerow(row)
    return file.getvalue()
