"""Files that are whole or not there."""

import os
from collections.abc import Callable
from pathlib import Path


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file aside, then move it to `path`: a reader sees the old one or the new."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        write(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """Write `text` in UTF-8, line ends as they are."""
    write_atomic(path, lambda partial: partial.write_text(text, encoding="utf-8", newline=""))
