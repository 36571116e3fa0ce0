"""The files that a prediction writes: tables, and a file of events per recording."""

import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiostride.errors import UserError
from audiostride.files import path_text, write_text_atomic
from audiostride.prediction.detector import Rules
from audiostride.prediction.event_log import event_lines
from audiostride.prediction.events import Event
from audiostride.prediction.journal import Table
from audiostride.prediction.model import WindowModel
from audiostride.prediction.selection import Selection, select
from audiostride.prediction.state import State
from audiostride.prediction.stream import FileResult, WindowResult
from audiostride.prediction.summary import Summarizer
from audiostride.prediction.tables import (
    COLUMNS,
    EVENT_FORMATS,
    SPREADSHEET_FORMATS,
    CsvTables,
    JsonTables,
    audacity_text,
    raven_text,
    write_parquet,
)
from audiostride.vocabulary import EVENT_THRESHOLD, Format

MAX_NAME = 200  # bytes of a recording's name, to which endings are added; file systems allow 255


@dataclass(frozen=True)
class Settings:
    """What decides the results, beside the model and the recordings."""

    format: Format
    tasks: tuple[str, ...]
    n_window: int
    n_hop: int
    top_k: int | None = None
    threshold: float | None = None  # by default the model's own
    shard: tuple[int, int] = (1, 1)  # which, counted from 1, of how many
    safe_cells: bool = True
    rules: Rules = field(default_factory=Rules)

    def selection(self, model: WindowModel) -> Selection:
        """Choose the classes that tables show: by default all, and beside lists of events what is detected."""
        otherwise = EVENT_THRESHOLD if self.format in EVENT_FORMATS else 0.0
        return select(model, self.tasks, threshold=self.threshold, otherwise=otherwise, top_k=self.top_k)

    def detected(self, model: WindowModel) -> Selection:
        """Choose the classes that are detected in a window."""
        return select(model, self.tasks, threshold=self.threshold, top_k=self.top_k)

    @property
    def tag(self) -> str:
        """Give what the names of the outputs end with."""
        i, n = self.shard
        return "" if n == 1 else f"-{i}-of-{n}"


def table_paths(state: State, form: Format) -> dict[str, Path]:
    """Locate the tables that grow, by name; those that become Parquet do so beside the state."""
    names = [name for name in COLUMNS if name != "windows" or form not in EVENT_FORMATS]
    place, ending = state.folder if form == "parquet" else state.out, "jsonl" if form == "jsonl" else "csv"
    return {name: place / f"{name}{state.tag}.{ending}" for name in names}


def result_paths(state: State, form: Format) -> dict[str, Path]:
    """Locate the tables that the user reads, by name."""
    paths = {name: state.out / path.name for name, path in table_paths(state, form).items()}
    return {name: path.with_suffix(".parquet") for name, path in paths.items()} if form == "parquet" else paths


class Outputs:
    """The tables of a prediction, its events and, for Raven and Audacity, a file of them per recording."""

    def __init__(self, out: Path, model: WindowModel, settings: Settings, root: str) -> None:
        self.out, self.settings, self.root, self.sample_rate = out, settings, root, model.sample_rate
        selection, self.detected = settings.selection(model), settings.detected(model)
        safe = settings.safe_cells and settings.format in SPREADSHEET_FORMATS
        self.text = JsonTables(selection) if settings.format == "jsonl" else CsvTables(selection, safe=safe)
        self.state = State(out, settings.tag)
        self.table_paths = table_paths(self.state, settings.format)
        self.results = result_paths(self.state, settings.format)
        self.names = list(self.table_paths)
        self.tables: list[Table] = []
        self._begin_recording()

    def _begin_recording(self) -> None:
        self.summarizer = Summarizer(self.detected, self.settings.rules)

    def open(self, ends: Sequence[int]) -> None:
        """Open the tables behind what is kept of them."""
        ends = ends or [0] * (len(self.names) + 1)
        heads = [self.text.head(name) for name in self.names]
        paths = [*self.table_paths.values(), self.state.events]
        self.tables = [Table(p, n, head) for p, n, head in zip(paths, ends, [*heads, ""], strict=True)]
        self.ends = tuple(table.end for table in self.tables)

    def window(self, result: WindowResult) -> None:
        """Write a window."""
        self.summarizer.add(result)
        if "windows" in self.names:
            self._table("windows").write(self.text.window(result))

    def _table(self, name: str) -> Table:
        return self.tables[self.names.index(name)]

    def file(self, result: FileResult) -> str | None:
        """Complete a recording; the name of the file of its events."""
        summary = self.summarizer.summary()
        self._begin_recording()
        self._forget_converted()
        self._table("files").write(self.text.file(result, summary))
        self._table("detections").write(self.text.detections(result.path, summary.events))
        self.tables[-1].write(event_lines(summary.events))
        self.ends = tuple(table.end for table in self.tables)
        if self.settings.format not in EVENT_FORMATS:
            return None
        name = self._event_file(result.path)
        (self.out / name).parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(self.out / name, self._event_text(result.path, summary.events))
        return name.as_posix()

    def take_back(self) -> None:
        """Forget the windows of a recording that turned out to be bad."""
        self._begin_recording()
        for table, end in zip(self.tables, self.ends, strict=True):
            table.take_back(end)

    def _event_file(self, path: Path) -> Path:
        """Say where in the output folder the events of a recording go: as it lies in the folder that all share."""
        place = Path(path_text(Path(os.path.relpath(path, self.root))))
        name = place.name
        if len(name.encode()) > MAX_NAME:
            name = f"{name[: MAX_NAME // 8]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return place.with_name(name + (".selections.txt" if self.settings.format == "raven" else ".labels.txt"))

    def _event_text(self, path: Path, events: Sequence[Event]) -> str:
        if self.settings.format == "raven":
            return raven_text(path, events, self.sample_rate)
        return audacity_text(events, with_task=len(self.settings.tasks) > 1)

    def check_new(self, known: Collection[str] = ()) -> None:
        """Raise UserError where the folder holds a table that no journal speaks of; one speaks of those `known`."""
        for name, path in self.results.items():
            if name not in known and path.exists():
                raise UserError(f"{path}: exists already, with no journal to resume from (--overwrite replaces it)")

    def _forget_converted(self) -> None:
        """Delete tables in another format than that in which they grow, which are out of date now."""
        if self.settings.format == "parquet":
            for path in self.results.values():
                path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Convert the tables where the format is another than that in which they grow."""
        if self.settings.format == "parquet":
            for name, path in self.results.items():
                if not path.exists():
                    write_parquet(self.table_paths[name], path, COLUMNS[name])

    def close(self) -> None:
        """Close the tables."""
        for table in self.tables:
            table.close()
