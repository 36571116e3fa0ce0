"""The files that a prediction writes: tables, and a file of events per recording."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiostride.errors import UserError
from audiostride.files import write_text_atomic
from audiostride.prediction.detector import Detector, Rules
from audiostride.prediction.events import EventMerger
from audiostride.prediction.journal import Table
from audiostride.prediction.model import WindowModel
from audiostride.prediction.selection import EVENT_THRESHOLD, Selection, select
from audiostride.prediction.stream import FileResult, WindowResult
from audiostride.prediction.tables import (
    EVENT_FORMATS,
    FILE_COLUMNS,
    SPREADSHEET_FORMATS,
    WINDOW_COLUMNS,
    CsvTables,
    JsonTables,
    audacity_text,
    path_text,
    raven_text,
    write_parquet,
)
from audiostride.vocabulary import Format

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
        """Choose the classes that are shown: by default all in tables, and detections in lists of events."""
        otherwise = EVENT_THRESHOLD if self.format in EVENT_FORMATS else 0.0
        return select(model, self.tasks, threshold=self.threshold, otherwise=otherwise, top_k=self.top_k)

    @property
    def tag(self) -> str:
        """Give what the names of the outputs end with."""
        i, n = self.shard
        return "" if n == 1 else f"-{i}-of-{n}"


class Outputs:
    """The tables of a prediction and, for Raven and Audacity, a file of events per recording."""

    def __init__(self, out: Path, model: WindowModel, settings: Settings, root: str) -> None:
        self.out, self.settings, self.root, self.sample_rate = out, settings, root, model.sample_rate
        self.selection = settings.selection(model)
        safe = settings.safe_cells and settings.format in SPREADSHEET_FORMATS
        self.text = JsonTables(self.selection) if settings.format == "jsonl" else CsvTables(self.selection, safe=safe)
        self.state = out / f".predict{settings.tag}"
        names = ["files"] if settings.format in EVENT_FORMATS else ["files", "windows"]
        place = self.state if settings.format == "parquet" else out
        self.paths = [place / f"{name}{settings.tag}.{self.text.ending}" for name in names]
        self.tables: list[Table] = []
        self._begin_recording()

    def _begin_recording(self) -> None:
        rules = self.settings.rules
        self.detector, self.events = Detector(self.selection, rules), EventMerger(rules.gap_s)

    def open(self, ends: Sequence[int]) -> None:
        """Open the tables behind what is kept of them."""
        heads = self.text.heads()[: len(self.paths)]
        self.tables = [Table(p, n, head) for p, n, head in zip(self.paths, ends, heads, strict=True)]
        self.ends = tuple(table.end for table in self.tables)

    def window(self, result: WindowResult) -> None:
        """Write a window."""
        if self.settings.format in EVENT_FORMATS:
            for event in self.detector.add(result):
                self.events.add(event)
        else:
            self.tables[1].write(self.text.window(result))

    def file(self, result: FileResult) -> str | None:
        """Complete a recording; the name of the file of its events."""
        self.tables[0].write(self.text.file(result))
        self.ends = tuple(table.end for table in self.tables)
        if self.settings.format not in EVENT_FORMATS:
            return None
        name = self._event_file(result.path)
        (self.out / name).parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(self.out / name, self._event_text(result.path))
        self._begin_recording()
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

    def _event_text(self, path: Path) -> str:
        events = self.events.events()
        if self.settings.format == "raven":
            return raven_text(path, events, self.sample_rate)
        return audacity_text(events, with_task=len(self.settings.tasks) > 1)

    def check_new(self) -> None:
        """Raise UserError where the folder holds outputs that no journal speaks of."""
        for path in self.paths:
            if path.exists():
                raise UserError(f"{path}: exists already, with no journal to go on from (--overwrite replaces it)")

    def finish(self, *, changed: bool) -> None:
        """Convert the tables where the format is another than theirs."""
        if self.settings.format == "parquet":
            for path, columns in zip(self.paths, (FILE_COLUMNS, WINDOW_COLUMNS), strict=True):
                target = self.out / f"{path.stem}.parquet"
                if changed or not target.exists():
                    write_parquet(path, target, columns)

    def close(self) -> None:
        """Close the tables."""
        for table in self.tables:
            table.close()
