"""Predict recordings into a folder, from where an earlier process got to."""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from audiostride.data.dates import recorded_at
from audiostride.data.recordings import common_folder
from audiostride.errors import ArgumentError, UserError
from audiostride.files import csv_text, path_text, write_text_atomic
from audiostride.prediction.clip_folder import ClipFolder, ClipsDone
from audiostride.prediction.clips import ClipSettings, best_events, name_clips
from audiostride.prediction.event_log import read_events
from audiostride.prediction.fingerprint import predicted_with, written_with
from audiostride.prediction.hours import count_hours
from audiostride.prediction.hours_files import check_hours_new, write_hours
from audiostride.prediction.journal import Entry, Journal, same_settings
from audiostride.prediction.model import WindowModel
from audiostride.prediction.outputs import Outputs, Settings
from audiostride.prediction.parts import Part, hash_paths
from audiostride.prediction.store import LogitStore
from audiostride.prediction.stream import FileFailed, WindowResult, predict_files

COMMIT_S = 1.0  # of work that a killed process loses at most, beside the recording at hand


@dataclass(frozen=True)
class Outcome:
    """What was done.

    Attributes:
        n_before: recordings predicted before.
        n_done: recordings predicted now.
        failed: recordings that cannot be used, with the reason.
        rewritten: whether tables of recordings predicted before were written now.
        clips: what was cut out of the recordings, if that was asked for.
        lacks_picture: whether the picture of hours was not drawn, for want of matplotlib.
    """

    n_before: int
    n_done: int
    failed: dict[Path, str]
    rewritten: bool = False
    clips: ClipsDone | None = None
    lacks_picture: bool = False


@dataclass(frozen=True)
class Progress:
    """So many recordings of all are through."""

    n_done: int
    n_all: int


def of_shard(paths: Sequence[Path], shard: tuple[int, int]) -> list[Path]:
    """Give every n-th path, from the i-th on."""
    i, n = shard
    return list(paths[i - 1 :: n])


@contextmanager
def sole_writer(folder: Path, argument: str = "out") -> Iterator[None]:
    """Hold the lock of `folder`, which ends with the process however it ends; `argument` named the folder above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(argument, folder.parent, f"no folder that can be written to ({error.strerror})") from error
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout as error:
        raise ArgumentError(argument, folder.parent, "another process is predicting into it") from error


def _check_same(entries: Sequence[Entry], paths: Sequence[Path], out: Path) -> None:
    """Raise UserError unless what was predicted before is among `paths`, and as it was."""
    given = {str(path): path for path in paths}
    for entry in entries:
        if entry.path not in given:
            raise UserError(f"{out}: holds results of {entry.path!r}, which is not among the recordings given now")
        if _state(given[entry.path]) != (entry.size, entry.mtime_ns):
            raise UserError(f"{entry.path}: changed since it was predicted; --overwrite predicts everything again")


def _state(path: Path) -> tuple[int, int]:
    """Give size and time of the last change; of a file that is not there neither."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _tables_journal(outputs: Outputs, settings: dict[str, Any]) -> Journal:
    """Open the journal of the tables; where they were written with other settings, begin them anew."""
    state = outputs.state
    if state.written.exists() and not same_settings(state.written, settings):
        known = state.known_tables()
        outputs.check_new(known)
        state.remove_tables(known)
    if not state.written.exists():
        outputs.check_new()
    return Journal(state.written, settings)


def predict_into(
    model: WindowModel,
    paths: Sequence[Path],
    out: Path,
    settings: Settings,
    n_threads: int,
    *,
    overwrite: bool = False,
    clips: ClipSettings | None = None,
) -> Generator[Progress | Outcome]:
    """Predict recordings into the folder `out`, yielding how far it is, and the outcome at last.

    Whenever the process ends, the same call goes on where it was, and ends with the same bytes in the folder. What
    was predicted before is not predicted again; what could not be used is tried again. With another format, `top_k`,
    `threshold` or `safe_cells` the tables are written anew from the logits that are kept.

    Args:
        paths: all recordings, of every shard, in the same order each time.
        n_threads: that decode.
        overwrite: begin anew.
        clips: whether to cut detections out of the recordings, and where to.

    Raises:
        UserError: the folder holds results of another model, other windows or other recordings, or another process
            is at work on it; or that of clips holds what is not of this prediction.
    """
    root, mine = common_folder(paths), of_shard(paths, settings.shard)
    outputs = Outputs(out, model, settings, root)
    state = outputs.state
    folder = None if clips is None else ClipFolder(clips, out, settings.tag)
    if folder is not None:
        folder.begin()
    with sole_writer(state.folder):
        state.part.unlink(missing_ok=True)
        is_dated = any(recorded_at(path) is not None for path in mine)
        if overwrite:
            state.remove_all()
        elif is_dated:
            check_hours_new(state)
        if not state.predicted.exists():
            if state.written.exists():
                state.remove_tables(state.known_tables())
            outputs.check_new()
        with closing(Journal(state.predicted, predicted_with(model, settings))) as predicted:
            _check_same(predicted.entries, mine, out)
            with closing(_tables_journal(outputs, written_with(model, settings, root))) as written:
                store = LogitStore(state.logits, model, settings.tasks, settings.n_window, settings.n_hop)
                work = _Work(model, mine, settings, n_threads, outputs, store, predicted, written)
                outcome = yield from _predict(work)
                if is_dated:
                    outcome = replace(outcome, lacks_picture=_write_hours(work))
                if settings.shard[1] > 1:
                    _write_part(work, paths, outcome)
                yield outcome if folder is None else replace(outcome, clips=_cut_clips(work, folder, paths))


@dataclass
class _Work:
    """What a call works with."""

    model: WindowModel
    paths: Sequence[Path]
    settings: Settings
    n_threads: int
    outputs: Outputs
    store: LogitStore
    predicted: Journal
    written: Journal

    def commit(self) -> None:
        """Bring logits to the disk and note them, then tables."""
        self.predicted.commit([self.store.table])
        self.written.commit(self.outputs.tables)


def _write_missing(work: _Work) -> bool:
    """Write the tables of recordings that were predicted before; whether there were any."""
    done = {entry.path for entry in work.written.entries}
    by_path, start = {str(path): path for path in work.paths}, 0
    for entry in work.predicted.entries:
        if entry.path not in done:
            for result in work.store.replay(by_path[entry.path], entry, start):
                if isinstance(result, WindowResult):
                    work.outputs.window(result)
                else:
                    events = work.outputs.file(result)
                    work.written.add(replace(entry, ends=work.outputs.ends, file=events))
        start = entry.ends[0]
    work.written.commit(work.outputs.tables)
    return len(done) < len(work.predicted.entries)


def _predict(work: _Work) -> Generator[Progress, None, Outcome]:
    entries, outputs, settings = work.predicted.entries, work.outputs, work.settings
    done = {entry.path for entry in entries}
    left = [path for path in work.paths if str(path) not in done]
    states = {path: _state(path) for path in left}
    failed: dict[Path, str] = {}
    work.store.open(entries[-1].ends[0] if entries else 0)
    outputs.open(work.written.entries[-1].ends if work.written.entries else ())
    committed, n_through, n_before = time.monotonic(), len(done), len(done)
    stored = work.store.table.end
    try:
        rewritten = _write_missing(work)
        results = predict_files(
            work.model,
            left,
            settings.tasks,
            n_window=settings.n_window,
            n_hop=settings.n_hop,
            n_threads=work.n_threads,
        )
        with closing(results):
            for result in results:
                if isinstance(result, WindowResult):
                    work.store.add(result.logits)
                    outputs.window(result)
                    continue
                n_through += 1
                if isinstance(result, FileFailed):
                    work.store.table.take_back(stored)
                    outputs.take_back()
                    failed[result.path] = result.reason
                else:
                    stored = work.store.table.end
                    n_samples = round(result.duration_s * work.model.sample_rate)
                    entry = Entry(str(result.path), *states[result.path], (stored,), n_samples=n_samples)
                    events = outputs.file(result)
                    work.predicted.add(entry)
                    work.written.add(replace(entry, ends=outputs.ends, file=events))
                if time.monotonic() - committed > COMMIT_S:
                    work.commit()
                    committed = time.monotonic()
                yield Progress(n_through, len(work.paths))
    finally:
        work.commit()
        work.store.table.close()
        outputs.close()
    n_done = len(left) - len(failed)
    outputs.finish()
    write_failed(outputs.out / f"failed{settings.tag}.csv", failed)
    return Outcome(n_before, n_done, failed, rewritten)


def _detectable(work: _Work) -> Iterator[tuple[str, str]]:
    """Give task and name of the classes that can be detected."""
    for task, thresholds in work.outputs.detected.thresholds.items():
        names = zip(work.model.classes[task], thresholds, strict=True)
        yield from ((task, name) for name, threshold in names if threshold < math.inf)


def _write_hours(work: _Work) -> bool:
    """Write how often each class is detected at each hour of the day; whether matplotlib is missing for the picture."""
    events = read_events(work.outputs.state.events, work.written.entries)
    hours = count_hours(events, work.model.sample_rate, _detectable(work))
    return hours is not None and write_hours(work.outputs.state, hours, safe=work.settings.safe_cells)


def _write_part(work: _Work, paths: Sequence[Path], outcome: Outcome) -> None:
    """Note that this part is finished, and what joining it with the others takes."""
    failed = {str(path): reason for path, reason in outcome.failed.items()}
    recordings, classes = tuple(map(str, work.paths)), tuple(_detectable(work))
    part = Part(hash_paths(paths), recordings, failed, work.model.sample_rate, classes)
    part.write(work.outputs.state.part)


def _cut_clips(work: _Work, folder: ClipFolder, paths: Sequence[Path]) -> ClipsDone:
    """Cut the best detections out of the recordings; names of clips are those among all recordings, of every shard."""
    best = best_events(read_events(work.outputs.state.events, work.written.entries), folder.settings.per_class)
    classes = {task: work.model.classes[task] for task in work.settings.tasks}
    return folder.fill(name_clips(best, classes, paths, folder.settings.pad_s))


def write_failed(path: Path, failed: dict[Path, str]) -> None:
    """Write recordings that cannot be used; no file where there are none."""
    if failed:
        write_text_atomic(path, csv_text([("path", "reason"), *((path_text(p), r) for p, r in failed.items())]))
    else:
        path.unlink(missing_ok=True)
