"""Where commands write: tables to standard output, messages to standard error; rich is imported when it is used."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiostride.errors import UserError
from audiostride.files import write_text_atomic

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


NO_LIMIT = 10_000  # columns
WIDEST = 100  # columns of text that is read; longer lines are hard to
N_FAILED_SHOWN = 20
UNSAFE = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)


def visible(text: str) -> str:
    r"""Escape what would command a terminal, or turn the order of its letters; other letters of any script stay.

    >>> visible("\x1b[31mred, grün 🐦")
    '\\x1b[31mred, grün 🐦'
    """
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@cache
def console(*, stderr: bool = False) -> "Console":
    """Give the one console of standard output, or of standard error."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False)


def on_terminal() -> bool:
    """Tell whether messages go to a terminal."""
    return sys.stderr.isatty()


def say(message: str) -> None:
    """Print a message for a person, never part of the output; paths in it are not wrapped or coloured."""
    print(visible(message), file=sys.stderr, flush=True)


def counted(n: int, noun: str) -> str:
    """Write a number with its noun.

    >>> counted(1, "recording"), counted(2, "recording")
    ('1 recording', '2 recordings')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def say_reasons(failed: Mapping[Path, str], rest: str = "") -> None:
    """List recordings with what is wrong with them, the first of many."""
    for path, reason in list(failed.items())[:N_FAILED_SHOWN]:
        say(f"  {str(path)!a}: {reason}" if not str(path).isprintable() else f"  {path}: {reason}")
    if len(failed) > N_FAILED_SHOWN:
        say(f"  and {len(failed) - N_FAILED_SHOWN} more{rest}")


def say_unusable(failed: Mapping[Path, str]) -> int:
    """List recordings that could not be predicted, and give the exit code: 1 if there are any."""
    if not failed:
        return 0
    say(f"{counted(len(failed), 'recording')} cannot be used:")
    say_reasons(failed, " in failed.csv")
    return 1


def say_no_picture() -> None:
    """Say that the picture of hours was not drawn, and what would draw it."""
    from audiostride.extras import requirement_command

    say(f"hours.png is not drawn, which needs matplotlib: {requirement_command('matplotlib')}")


def text_width() -> int:
    """Give the columns for text that is broken between words: those of the terminal, `WIDEST` at most."""
    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST)


def duration(seconds: float) -> str:
    """Write a time as hours, minutes and seconds.

    >>> duration(3661)
    '1:01:01'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def check_outputs(outputs: Iterable[tuple[str, str | Path | None]], *inputs: Path | None) -> None:
    """Raise UserError where files named in options cannot be written, before the work for them is done.

    Args:
        outputs: what the command line calls each, and the file, or None. One given as text, and not as a path, may be
            "-" for standard output.
        inputs: files that the command reads or writes too, and folders whose files are not to be replaced either.
    """
    taken = list(inputs)
    for option, target in outputs:
        if target is not None and target != "-":
            _check_output(option, Path(target), taken)
            taken.append(Path(target))


def _check_output(option: str, path: Path, inputs: Iterable[Path | None]) -> None:
    if str(path) == "-":
        raise UserError(f"{option} -: is not written to standard output, expected the name of a file")
    if not path.name or path.is_dir():
        raise UserError(f"{option} {str(path)!r}: a folder, expected the name of a file")
    if not path.parent.is_dir():
        raise UserError(f"{option} {path}: no such folder as {path.parent}")
    place = path.resolve()
    for taken in inputs:
        if taken is not None and (taken.resolve() == place or taken.resolve() in place.parents):
            raise UserError(
                f"{option} {path}: would replace {taken}, which the command reads or writes; expected another file"
            )


def write_json(target: str, content: Any) -> None:
    """Write JSON to a file and say so, or to standard output for "-"."""
    text = json.dumps(content, indent=2)
    if target == "-":
        print(text)
        return
    write_text_atomic(Path(target), text + "\n")
    say(f"--json: {target}")


def table(*columns: str, left: int = 1) -> "Table":
    """Begin a table whose first `left` columns hold text, the others numbers."""
    from audiostride.cli.tables import PlainTable

    return PlainTable(*columns, n_left=left)


def show(title: str, content: "Table") -> None:
    """Print a table under its title; neither is wrapped or cut, however narrow the terminal is."""
    print_line(f"\n{title}", style="bold")
    from rich.console import Console

    wide = Console(highlight=False, emoji=False, width=NO_LIMIT)
    wide.print(content, crop=False, width=content.__rich_measure__(wide, wide.options).maximum)


def print_line(text: str, style: str | None = None) -> None:
    """Print a line of output beside the tables."""
    console().print(visible(text), style=style, markup=False)


@contextmanager
def progress(what: str, *, in_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, all or 0) that shows a bar on a terminal, and a line at the end elsewhere."""
    if not on_terminal():
        end = f"{what}: {{1:,}} bytes" if in_bytes else f"{what}: {{0}} of {{1}}"
        yield lambda done, total: say(end.format(done, total)) if done == total else None
        return
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn(visible(what), markup=False), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, visible=False)  # until there is something to do
        yield lambda done, total: bar.update(task, completed=done, total=total or None, visible=True)
