"""Predict recordings into a folder, from where an earlier process got to."""

import hashlib
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from audiostride.data.recordings import common_folder
from audiostride.errors import UserError
from audiostride.files import csv_text, write_text_atomic
from audiostride.prediction.events import EventMerger
from audiostride.prediction.journal import Entry, Journal, Table, journalled_files
from audiostride.prediction.model import WindowModel
from audiostride.prediction.stream import FileFailed, FileResult, WindowResult, predict_files
from audiostride.prediction.tables import (
    EVENT_FORMATS,
    FILE_COLUMNS,
    WINDOW_COLUMNS,
    CsvTables,
    Format,
    JsonTables,
    Selection,
    audacity_text,
    path_text,
    raven_text,
    window_events,
    write_parquet,
)

JOURNAL = "journal.jsonl"
COMMIT_S = 1.0  # of work that a killed process loses at most, beside the recording at hand
MAX_NAME = 200  # bytes of a recording's name, to which endings are added; file systems allow 255
LAYOUT = 1  # of what is written


@dataclass(frozen=True)
class Settings:
    """What decides the results, beside the model and the recordings."""

    format: Format
    tasks: tuple[str, ...]
    n_window: int
    n_hop: int
    top_k: int
    threshold: float
    shard: tuple[int, int] = (1, 1)  # which, counted from 1, of how many

    @property
    def tag(self) -> str:
        """What the names of the outputs end with."""
        i, n = self.shard
        return "" if n == 1 else f"-{i}-of-{n}"


@dataclass(frozen=True)
class Outcome:
    """What was done: recordings predicted before, predicted now, and those that cannot be used with the reason."""

    n_before: int
    n_done: int
    failed: dict[Path, str]


@dataclass(frozen=True)
class Progress:
    """So many recordings of all are through."""

    n_done: int
    n_all: int


def _fingerprint(model: WindowModel, settings: Settings, root: str) -> dict[str, Any]:
    """What a folder's results are of; in words of the command line, for messages."""
    with model.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "layout": LAYOUT,
        "model": digest,
        "temperatures": {task: model.temperatures[task] for task in settings.tasks},
        "--format": settings.format,
        "--task": list(settings.tasks),
        "--window-s": settings.n_window / model.sample_rate,
        "--hop-s": settings.n_hop / model.sample_rate,
        "--top-k": settings.top_k,
        "--threshold": settings.threshold,
        # which the names of the files of events depend on
        "folder of all recordings": root if settings.format in EVENT_FORMATS else None,
    }


def of_shard(paths: Sequence[Path], shard: tuple[int, int]) -> list[Path]:
    """Every n-th path, from the i-th on."""
    i, n = shard
    return list(paths[i - 1 :: n])


@contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`, which ends with the process however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {folder.parent}: no folder that can be written to ({error.strerror})") from error
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError(f"--out {folder.parent}: another process is predicting into it") from error


class _Results:
    """The tables of a run and, for Raven and Audacity, a file of events per recording."""

    def __init__(self, out: Path, model: WindowModel, settings: Settings, root: str) -> None:
        self.out, self.settings, self.root, self.sample_rate = out, settings, root, model.sample_rate
        self.selection = Selection({t: model.classes[t] for t in settings.tasks}, settings.top_k, settings.threshold)
        self.text = (JsonTables if settings.format == "jsonl" else CsvTables)(self.selection)
        self.state = out / f".predict{settings.tag}"
        names = ["files"] if settings.format in EVENT_FORMATS else ["files", "windows"]
        place = self.state if settings.format == "parquet" else out
        self.paths = [place / f"{name}{settings.tag}.{self.text.ending}" for name in names]
        self.tables: list[Table] = []
        self.events = EventMerger()

    def open(self, ends: Sequence[int]) -> None:
        heads = self.text.heads()[: len(self.paths)]
        self.tables = [Table(p, n, head) for p, n, head in zip(self.paths, ends, heads, strict=True)]
        self.ends = tuple(table.end for table in self.tables)

    def window(self, result: WindowResult) -> None:
        if self.settings.format in EVENT_FORMATS:
            for event in window_events(result, self.selection):
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
        self.events = EventMerger()
        return name.as_posix()

    def take_back(self) -> None:
        """Forget the windows of a recording that turned out to be bad."""
        self.events = EventMerger()
        for table, end in zip(self.tables, self.ends, strict=True):
            table.take_back(end)

    def _event_file(self, path: Path) -> Path:
        """Where in the output folder the events of a recording go: as it lies in the folder that all share."""
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

    def finish(self, changed: bool) -> None:
        """Convert the tables where the format is another than theirs."""
        if self.settings.format == "parquet":
            for path, columns in zip(self.paths, (FILE_COLUMNS, WINDOW_COLUMNS), strict=True):
                target = self.out / f"{path.stem}.parquet"
                if changed or not target.exists():
                    write_parquet(path, target, columns)

    def close(self) -> None:
        for table in self.tables:
            table.close()


def _check_same(entries: Sequence[Entry], paths: Sequence[Path], out: Path) -> None:
    """Raise UserError unless what was predicted before is among `paths`, and as it was."""
    given = {str(path): path for path in paths}
    for entry in entries:
        if entry.path not in given:
            raise UserError(f"{out}: holds results of {entry.path!r}, which is not among the recordings given now")
        if _state(given[entry.path]) != (entry.size, entry.mtime_ns):
            raise UserError(f"{entry.path}: changed since it was predicted; --overwrite predicts everything anew")


def _state(path: Path) -> tuple[int, int]:
    """Size and time of the last change; of a file that is not there neither."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _remove_outputs(out: Path, state: Path, tag: str) -> None:
    """Delete what an earlier run wrote, its journal last."""
    for name in journalled_files(state / JOURNAL):
        (out / name).unlink(missing_ok=True)
    for name, ending in product(("files", "windows"), ("csv", "jsonl", "parquet")):
        for folder in (out, state):
            (folder / f"{name}{tag}.{ending}").unlink(missing_ok=True)
    (state / JOURNAL).unlink(missing_ok=True)


def predict_into(
    model: WindowModel, paths: Sequence[Path], out: Path, settings: Settings, n_threads: int, overwrite: bool = False
) -> Generator[Progress | Outcome]:
    """Predict recordings into the folder `out`, yielding how far it is, and the outcome at last.

    Whenever the process ends, the same call goes on where it was, and ends with the same bytes in the folder. What
    was predicted before is not predicted again; what could not be used is tried again.

    Args:
        paths: all recordings, of every shard, in the same order each time.
        n_threads: that decode.
        overwrite: begin anew.

    Raises:
        UserError: the folder holds results of other settings, another model or other recordings, or another process
            is at work on it.
    """
    root, mine = common_folder(paths), of_shard(paths, settings.shard)
    results = _Results(out, model, settings, root)
    with _sole_writer(results.state):
        if overwrite:
            _remove_outputs(out, results.state, settings.tag)
        if not (results.state / JOURNAL).exists():
            results.check_new()
        with closing(Journal(results.state / JOURNAL, _fingerprint(model, settings, root))) as journal:
            _check_same(journal.entries, mine, out)
            yield from _predict(model, mine, settings, n_threads, results, journal)


def _predict(
    model: WindowModel, paths: Sequence[Path], settings: Settings, n_threads: int, results: _Results, journal: Journal
) -> Generator[Progress | Outcome]:
    done = {entry.path for entry in journal.entries}
    left = [path for path in paths if str(path) not in done]
    states = {path: _state(path) for path in left}
    failed: dict[Path, str] = {}
    results.open(journal.entries[-1].ends if done else [0] * len(results.paths))
    committed, n_through = time.monotonic(), len(done)
    found = predict_files(model, left, settings.tasks, settings.n_window, settings.n_hop, n_threads)
    try:
        with closing(found):
            for result in found:
                if isinstance(result, WindowResult):
                    results.window(result)
                    continue
                n_through += 1
                if isinstance(result, FileFailed):
                    results.take_back()
                    failed[result.path] = result.reason
                else:
                    events = results.file(result)
                    journal.add(Entry(str(result.path), *states[result.path], results.ends, events))
                if time.monotonic() - committed > COMMIT_S:
                    journal.commit(results.tables)
                    committed = time.monotonic()
                yield Progress(n_through, len(paths))
    finally:
        journal.commit(results.tables)
        results.close()
    n_done = len(left) - len(failed)
    results.finish(changed=n_done > 0)
    _write_failed(results.out / f"failed{settings.tag}.csv", failed)
    yield Outcome(len(done), n_done, failed)


def _write_failed(path: Path, failed: dict[Path, str]) -> None:
    if failed:
        write_text_atomic(path, csv_text([("path", "reason"), *((path_text(p), r) for p, r in failed.items())]))
    else:
        path.unlink(missing_ok=True)
