"""What a command did, and whether a user may see that."""

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from unittest import mock

from audiostride.cli import main as cli

CODES = (0, 1, 2, 130)
TIMEOUT_S = 60
MAX_ERROR_LINES = 60  # of all problems of a recipe, or of a manifest, a line each
# what a terminal would obey, beside the ends of lines and tabs
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
NOISE = re.compile(r"Traceback \(most recent call last\)|\w+Warning: |^(\[src/|Note: |Warning: )", re.MULTILINE)
N_FRAMES = 4  # of a traceback that are shown


class Failed(AssertionError):  # noqa: N818  what a test says, no error of the program
    """The program did what no user should see."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    def check(self) -> None:
        """Raise Failed for a crash, noise, silence about a mistake, or raw control characters."""
        if self.code not in CODES:
            raise Failed(f"exit code {self.code}: {self.err[-2000:]}")
        text = self.out + self.err
        if found := NOISE.search(text):
            raise Failed(f"noise ({found.group()!r}), exit code {self.code}: {text[-3000:]}")
        if self.code and not text.strip():
            raise Failed(f"exit code {self.code} without a word")
        if self.err.count("\n") > MAX_ERROR_LINES:
            raise Failed(f"{self.err.count(chr(10))} lines of errors: {self.err[:500]}")
        if found := CONTROL.search(text):
            raise Failed(f"the control character {found.group()!r} reaches the terminal: {found.string!a:.500}")


@contextlib.contextmanager
def _standard_error_of_libraries() -> Iterator[IO[bytes]]:
    """Send to a file what C libraries print on standard error."""
    with tempfile.TemporaryFile() as file:
        terminal = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def call(*arguments: object) -> Outcome:
    """Call the program in this process; a crash has the exit code 70."""
    out, err = io.StringIO(), io.StringIO()
    with (
        _standard_error_of_libraries() as noise,
        mock.patch.object(sys, "argv", ["audiostride", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        except Exception:
            code = 70
            err.write(traceback.format_exc(-N_FRAMES))
        noise.seek(0)
        err.write(noise.read().decode(errors="replace"))
    return Outcome(code, out.getvalue(), err.getvalue())


def call_process(*arguments: object) -> Outcome:
    """Call the program in a process of its own, as a user does: what C libraries print is seen too."""
    command = [sys.executable, "-m", "audiostride.cli.main", *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"no end within {TIMEOUT_S} s") from error
    return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def check_probabilities(table: Path) -> int:
    """Count the rows of a table that `predict` wrote as CSV; raise Failed for a number that is no probability."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if not 0 <= float(row["probability"] or "nan") <= 1:
            raise Failed(f"{table.name}: {row}")
    return len(rows)


def check_json(text: str) -> None:
    """Raise Failed for JSON that other programs refuse, or in which a number is none."""

    def refuse(word: str) -> float:
        raise Failed(f"{word} in the JSON: {text[:500]}")

    try:
        json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise Failed(f"no JSON ({error}): {text[:500]}") from error
