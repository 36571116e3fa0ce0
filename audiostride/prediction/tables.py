"""Results as text: tables of files and windows, and lists of events for Raven and Audacity."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from audiostride.errors import ArgumentError
from audiostride.files import csv_text
from audiostride.prediction.events import Event
from audiostride.prediction.selection import Selection, Shown
from audiostride.prediction.stream import FileResult, WindowResult
from audiostride.vocabulary import Format

EVENT_FORMATS = ("raven", "audacity")
SPREADSHEET_FORMATS = ("csv", "raven", "audacity")  # what they hold beside events is a table in CSV
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
FILE_COLUMNS = ("path", "duration_s", "task", "rank", "class", "probability", "n_windows")
WINDOW_COLUMNS = ("path", "start_s", "end_s", "task", "rank", "class", "probability")
RAVEN_COLUMNS = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)"),
    *("Begin Path", "Task", "Class", "Probability"),
)
BREAKS = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


def check_format(name: str) -> Format:
    """Give the format called `name`.

    Raises:
        UserError: there is none, or what it needs is not installed.
    """
    for known in get_args(Format):
        if name == known:
            if known == "parquet" and find_spec("pyarrow") is None:
                raise ArgumentError("format", name, "needs pyarrow: pip install 'audiostride[parquet]'")
            return known  # type: ignore[no-any-return]
    raise ArgumentError("format", name, f"expected one of {', '.join(get_args(Format))}")


def path_text(path: Path) -> str:
    r"""Give a path in UTF-8; bytes of its name that are none are written as \xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def safe_cell(name: str) -> str:
    """Put an apostrophe before a name that a spreadsheet would take for a formula and run.

    >>> safe_cell("=1+2"), safe_cell("robin")
    ("'=1+2", 'robin')
    """
    return f"'{name}" if name.startswith(FORMULA_STARTS) else name


class CsvTables:
    """Files and windows as CSV, a row per class."""

    ending = "csv"

    def __init__(self, selection: Selection, *, safe: bool = False) -> None:
        self.selection = selection
        self.name = safe_cell if safe else str

    def heads(self) -> tuple[str, str]:
        """Write the lines that the tables of files and windows begin with."""
        return csv_text([FILE_COLUMNS]), csv_text([WINDOW_COLUMNS])

    def _class_fields(self, shown: Shown) -> tuple[object, ...]:
        return shown.rank, self.name(shown.name), f"{shown.probability:.6f}"

    def file(self, result: FileResult) -> str:
        """Write the rows of a recording."""
        path = self.name(path_text(result.path))
        return csv_text(
            [path, f"{result.duration_s:.3f}", task, *self._class_fields(shown), result.n_windows]
            for task, classes in self.selection.of(result.probabilities, best=True).items()
            for shown in classes
        )

    def window(self, result: WindowResult) -> str:
        """Write the rows of a window."""
        times = f"{result.start_s:.3f}", f"{result.end_s:.3f}"
        return csv_text(
            [self.name(path_text(result.path)), *times, task, *self._class_fields(shown)]
            for task, classes in self.selection.of(result.probabilities).items()
            for shown in classes
        )


class JsonTables:
    """Files and windows as JSON, an object per line."""

    ending = "jsonl"

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def heads(self) -> tuple[str, str]:
        """Write nothing: lines of JSON need no header."""
        return "", ""

    def file(self, result: FileResult) -> str:
        """Write the line of a recording."""
        tasks = self.selection.of(result.probabilities, best=True)
        times = {"duration_s": round(result.duration_s, 3), "n_windows": result.n_windows}
        return _json_line(result.path, times, tasks)

    def window(self, result: WindowResult) -> str:
        """Write the line of a window, if any class is shown."""
        tasks = {task: classes for task, classes in self.selection.of(result.probabilities).items() if classes}
        times = {"start_s": round(result.start_s, 3), "end_s": round(result.end_s, 3)}
        return _json_line(result.path, times, tasks) if tasks else ""


def _json_line(path: Path, times: dict[str, Any], tasks: Mapping[str, Sequence[Shown]]) -> str:
    classes = {
        task: [{"class": shown.name, "probability": round(shown.probability, 6)} for shown in of_task]
        for task, of_task in tasks.items()
    }
    return json.dumps({"path": path_text(path), **times, "tasks": classes}, ensure_ascii=False) + "\n"


def raven_text(path: Path, events: Iterable[Event], sample_rate: int) -> str:
    """Give a selection table of Raven, over all frequencies up to half of `sample_rate`."""
    rows: list[Sequence[object]] = [RAVEN_COLUMNS]
    for i, event in enumerate(events, 1):
        place = i, "Spectrogram 1", 1, f"{event.start_s:.3f}", f"{event.end_s:.3f}", "0.0", f"{sample_rate / 2:.1f}"
        rows.append([*place, path_text(path), event.task, event.name, f"{event.probability:.6f}"])
    return _tab_separated(rows)


def audacity_text(events: Iterable[Event], *, with_task: bool) -> str:
    """Give a label track of Audacity: class and probability, after the task if there are several."""
    return _tab_separated(
        (
            f"{event.start_s:.3f}",
            f"{event.end_s:.3f}",
            f"{event.task}: " * with_task + f"{event.name} {event.probability:.2f}",
        )
        for event in events
    )


def _tab_separated(rows: Iterable[Sequence[object]]) -> str:
    return "".join("\t".join(str(field).translate(BREAKS) for field in row) + "\n" for row in rows)


def write_parquet(table: Path, target: Path, columns: Sequence[str]) -> None:
    """Convert a table from CSV to Parquet, in constant memory; `target` is whole or not there."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    numbers = {"rank": pa.int32(), "n_windows": pa.int64(), **dict.fromkeys(_SECONDS, pa.float64())}
    schema = pa.schema([(name, numbers.get(name, pa.string())) for name in columns])
    partial = target.with_name(f".{target.name}.partial")
    with parquet.ParquetWriter(partial, schema) as writer:
        if table.stat().st_size > len(csv_text([columns]).encode()):
            parsing = csv.ParseOptions(newlines_in_values=True)
            converting = csv.ConvertOptions(column_types=schema, strings_can_be_null=False)
            with csv.open_csv(table, parse_options=parsing, convert_options=converting) as batches:
                for batch in batches:
                    writer.write_batch(batch)
    partial.replace(target)


_SECONDS = ("duration_s", "start_s", "end_s", "probability")
