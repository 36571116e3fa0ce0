"""Results as text: tables of files, windows and detections, and lists of events for Raven and Audacity."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from audiostride.data.dates import recorded_at
from audiostride.errors import ArgumentError
from audiostride.extras import install_command
from audiostride.files import csv_text, path_text
from audiostride.prediction.events import Event
from audiostride.prediction.selection import Selection, Shown
from audiostride.prediction.stream import FileResult, WindowResult
from audiostride.prediction.summary import ClassSummary, Summary
from audiostride.vocabulary import FORMULA_STARTS, Format

EVENT_FORMATS = ("raven", "audacity")
SPREADSHEET_FORMATS = ("csv", "raven", "audacity")  # what they hold beside events is a table in CSV
N_DIGITS = 6  # of a probability
FILE_COLUMNS = (
    *("path", "duration_s", "task", "rank", "class", "probability", "n_windows"),
    *("maximum", "n_events", "first_s", "last_s"),
)
WINDOW_COLUMNS = ("path", "start_s", "end_s", "task", "rank", "class", "probability")
DETECTION_COLUMNS = ("path", "start_s", "end_s", "time", "task", "class", "probability")
COLUMNS = {"files": FILE_COLUMNS, "windows": WINDOW_COLUMNS, "detections": DETECTION_COLUMNS}
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
                raise ArgumentError("format", name, f"needs pyarrow: {install_command('parquet')}")
            return known  # type: ignore[no-any-return]
    raise ArgumentError("format", name, f"expected one of {', '.join(get_args(Format))}")


def safe_cell(name: str) -> str:
    """Put an apostrophe before a name that a spreadsheet would take for a formula and run.

    >>> safe_cell("=1+2"), safe_cell("robin")
    ("'=1+2", 'robin')
    """
    return f"'{name}" if name.startswith(FORMULA_STARTS) else name


def time_text(path: Path, start_s: float) -> str | None:
    """Give the date and time of a moment of a recording in ISO 8601, if the name of the recording holds one.

    >>> time_text(Path("20240501_235958.wav"), 2.5)
    '2024-05-02T00:00:00.500'
    """
    begin = recorded_at(path)
    return None if begin is None else (begin + timedelta(seconds=round(start_s, 3))).isoformat(timespec="milliseconds")


class CsvTables:
    """Files and windows as CSV, a row per class; detections, a row per event."""

    def __init__(self, selection: Selection, *, safe: bool = False) -> None:
        self.selection = selection
        self.name = safe_cell if safe else str

    def head(self, table: str) -> str:
        """Write the line that a table begins with: `files`, `windows` or `detections`."""
        return csv_text([COLUMNS[table]])

    def _class_fields(self, shown: Shown) -> tuple[object, ...]:
        return shown.rank, self.name(shown.name), f"{shown.probability:.{N_DIGITS}f}"

    def _summary_fields(self, of_class: ClassSummary) -> tuple[object, ...]:
        times = ("" if time is None else f"{time:.3f}" for time in (of_class.first_s, of_class.last_s))
        return f"{of_class.maximum:.{N_DIGITS}f}", of_class.n_events, *times

    def file(self, result: FileResult, summary: Summary) -> str:
        """Write the rows of a recording."""
        start = self.name(path_text(result.path)), f"{result.duration_s:.3f}"
        return csv_text(
            [
                *(*start, task, *self._class_fields(shown), result.n_windows),
                *self._summary_fields(summary.of(task, shown.name)),
            ]
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

    def detections(self, path: Path, events: Iterable[Event]) -> str:
        """Write the rows of the events of a recording."""
        return csv_text(
            [
                *(self.name(path_text(path)), f"{event.start_s:.3f}", f"{event.end_s:.3f}"),
                *(time_text(path, event.start_s) or "", event.task, self.name(event.name)),
                f"{event.probability:.{N_DIGITS}f}",
            ]
            for event in events
        )


class JsonTables:
    """Files, windows and detections as JSON, an object per line."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def head(self, table: str) -> str:
        """Write nothing: lines of JSON need no header."""
        return ""

    def file(self, result: FileResult, summary: Summary) -> str:
        """Write the line of a recording."""

        def fields(task: str, shown: Shown) -> dict[str, Any]:
            return _class_fields(task, shown) | _summary_fields(summary.of(task, shown.name))

        tasks = self.selection.of(result.probabilities, best=True)
        times = {"duration_s": round(result.duration_s, 3), "n_windows": result.n_windows}
        return _json_line(result.path, times, tasks, fields)

    def window(self, result: WindowResult) -> str:
        """Write the line of a window, if any class is shown."""
        tasks = {task: classes for task, classes in self.selection.of(result.probabilities).items() if classes}
        times = {"start_s": round(result.start_s, 3), "end_s": round(result.end_s, 3)}
        return _json_line(result.path, times, tasks, _class_fields) if tasks else ""

    def detections(self, path: Path, events: Iterable[Event]) -> str:
        """Write the lines of the events of a recording."""
        return "".join(
            _json_text(
                {
                    "path": path_text(path),
                    "start_s": round(event.start_s, 3),
                    "end_s": round(event.end_s, 3),
                    "time": time_text(path, event.start_s),
                    "task": event.task,
                    "class": event.name,
                    "probability": round(event.probability, N_DIGITS),
                }
            )
            for event in events
        )


def _class_fields(_task: str, shown: Shown) -> dict[str, Any]:
    return {"class": shown.name, "probability": round(shown.probability, N_DIGITS)}


def _summary_fields(of_class: ClassSummary) -> dict[str, Any]:
    times = {"first_s": of_class.first_s, "last_s": of_class.last_s}
    rounded = {name: time if time is None else round(time, 3) for name, time in times.items()}
    return {"maximum": round(of_class.maximum, N_DIGITS), "n_events": of_class.n_events, **rounded}


def _json_line(
    path: Path,
    times: dict[str, Any],
    tasks: Mapping[str, Sequence[Shown]],
    fields: Callable[[str, Shown], dict[str, Any]],
) -> str:
    classes = {task: [fields(task, shown) for shown in of_task] for task, of_task in tasks.items()}
    return _json_text({"path": path_text(path), **times, "tasks": classes})


def _json_text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"


def raven_text(path: Path, events: Iterable[Event], sample_rate: int) -> str:
    """Give a selection table of Raven, over all frequencies up to half of `sample_rate`."""
    rows: list[Sequence[object]] = [RAVEN_COLUMNS]
    for i, event in enumerate(events, 1):
        place = i, "Spectrogram 1", 1, f"{event.start_s:.3f}", f"{event.end_s:.3f}", "0.0", f"{sample_rate / 2:.1f}"
        rows.append([*place, path_text(path), event.task, event.name, f"{event.probability:.{N_DIGITS}f}"])
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

    counts = {"rank": pa.int32(), "n_windows": pa.int64(), "n_events": pa.int64()}
    numbers = {**counts, **dict.fromkeys(_REALS, pa.float64())}
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


_REALS = ("duration_s", "start_s", "end_s", "first_s", "last_s", "probability", "maximum")
