"""Join the parts of a prediction into the folder that a prediction in one go would have filled, byte for byte."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from audiostride.errors import UserError, listing
from audiostride.prediction.event_log import read_events
from audiostride.prediction.folder import sole_writer, write_failed
from audiostride.prediction.hours import count_hours
from audiostride.prediction.hours_files import write_hours
from audiostride.prediction.journal import Entry, Journal, Table, settings_of
from audiostride.prediction.outputs import result_paths, table_paths
from audiostride.prediction.parts import Part
from audiostride.prediction.selection import Selection
from audiostride.prediction.state import State
from audiostride.prediction.tables import COLUMNS, CsvTables, JsonTables, check_format, write_parquet

PART_FOLDER = re.compile(r"\.predict-([1-9][0-9]*)-of-([1-9][0-9]*)")
BUILDING = ".gather"  # where the folder is built, before what is in it is moved to its place


@dataclass(frozen=True)
class Gathered:
    """What was joined: the number of parts and of recordings, and recordings that cannot be used, with the reason.

    `lacks_picture` tells whether the picture of hours was not drawn, for want of matplotlib.
    """

    n_parts: int
    n_recordings: int
    failed: dict[Path, str]
    lacks_picture: bool = False


class _Source:
    """A part with its journals and the files that they speak of."""

    def __init__(self, name: str, state: State, part: Part) -> None:
        self.name, self.state, self.part = name, state, part
        self.predicted_with, self.written_with = settings_of(state.predicted), settings_of(state.written)

    def open(self, stack: ExitStack) -> None:
        """Open journals and files, until the stack is closed."""
        predicted = stack.enter_context(closing(Journal(self.state.predicted, self.predicted_with)))
        written = stack.enter_context(closing(Journal(self.state.written, self.written_with)))
        tables = table_paths(self.state, check_format(self.written_with["--format"]))
        self.logits = _Ranges([self.state.logits], [b""], predicted.entries, stack)
        heads = [_head(self.written_with, name).encode() for name in tables]
        self.tables = _Ranges([*tables.values(), self.state.events], [*heads, b""], written.entries, stack)


class _Ranges:
    """Files that hold the results of one recording after the other."""

    def __init__(
        self, paths: Sequence[Path], heads: Sequence[bytes], entries: Sequence[Entry], stack: ExitStack
    ) -> None:
        self.files: list[IO[bytes]] = [stack.enter_context(path.open("rb")) for path in paths]
        before = tuple(map(len, heads))
        self.of_recording: dict[str, tuple[Entry, tuple[int, ...]]] = {}
        for entry in entries:
            self.of_recording[entry.path] = entry, before
            before = entry.ends

    def read(self, path: str) -> tuple[Entry, list[bytes]]:
        """Give what the journal says of a recording, and its bytes in every file.

        Raises:
            UserError: a file is shorter than the journal says.
        """
        entry, begins = self.of_recording[path]
        contents = []
        for file, begin, end in zip(self.files, begins, entry.ends, strict=True):
            file.seek(begin)
            contents.append(file.read(end - begin))
            if len(contents[-1]) < end - begin:
                raise UserError(f"{file.name}: shorter than when it was written; predict this part with --overwrite")
        return entry, contents


def _head(written_with: Mapping[str, Any], table: str) -> str:
    nothing = Selection({}, {}, {})
    return (JsonTables if written_with["--format"] == "jsonl" else CsvTables)(nothing).head(table)


def _find_sources(out: Path) -> list[_Source]:
    """Find the parts in a folder.

    Raises:
        UserError: none, some of another number of parts, or parts that are missing or not finished.
    """
    found = [match for path in (out.iterdir() if out.is_dir() else ()) if (match := PART_FOLDER.fullmatch(path.name))]
    if not found:
        raise UserError(f"{out}: no parts, expected a folder that `audiostride predict --shard I/N` wrote to")
    numbers = sorted({int(match[2]) for match in found})
    if len(numbers) > 1:
        names = sorted(f"part {match[1]} of {match[2]}" for match in found)
        raise UserError(
            f"{out}: parts of different numbers of parts; remove those that do not belong:\n{listing(names)}"
        )
    there, (n,) = {int(match[1]) for match in found}, numbers
    sources, problems = [], []
    for i in range(1, n + 1):
        name, state = f"part {i} of {n}", State(out, f"-{i}-of-{n}")
        part = Part.read(state.part)
        if part is not None:
            sources.append(_Source(name, state, part))
        else:
            problems.append(f"{name}: {'not finished, run its command again' if i in there else 'missing'}")
    if problems:
        raise UserError(f"{out}: not all parts are there:\n{listing(problems)}")
    return sources


def _check_alike(out: Path, sources: Sequence[_Source]) -> None:
    """Raise UserError where parts were predicted from other recordings, with another model or other settings."""
    first, problems = sources[0], []
    for source in sources[1:]:
        differing = [] if source.part.all_recordings == first.part.all_recordings else ["the recordings given"]
        for now, before in (
            (source.predicted_with, first.predicted_with),
            (source.written_with, first.written_with),
        ):
            differing += [name for name in dict.fromkeys((*before, *now)) if before.get(name) != now.get(name)]
        if differing:
            problems.append(f"{source.name}: {', '.join(dict.fromkeys(differing))}")
    if problems:
        raise UserError(f"{out}: parts that differ from {first.name}:\n{listing(problems)}")


def _recordings(sources: Sequence[_Source]) -> Iterator[tuple[_Source, str]]:
    """Give the recordings of all parts in the order in which one prediction goes through them."""
    for i in range(max(len(source.part.recordings) for source in sources)):
        for source in sources:
            if i < len(source.part.recordings):
                yield source, source.part.recordings[i]


def _join(sources: Sequence[_Source], state: State) -> int:
    """Write tables, logits and journals of all parts; the number of recordings."""
    first, n_recordings = sources[0], 0
    tables = table_paths(state, check_format(first.written_with["--format"]))
    heads = {name: _head(first.written_with, name) for name in tables}
    with ExitStack() as stack:
        for source in sources:
            source.open(stack)
        state.folder.mkdir(parents=True)
        logits = stack.enter_context(closing(Table(state.logits, 0, "")))
        joined = [stack.enter_context(closing(Table(path, 0, heads[name]))) for name, path in tables.items()]
        joined.append(stack.enter_context(closing(Table(state.events, 0, ""))))
        predicted = stack.enter_context(closing(Journal(state.predicted, first.predicted_with)))
        written = stack.enter_context(closing(Journal(state.written, first.written_with)))
        for source, path in _recordings(sources):
            if path in source.part.failed:
                continue
            if path not in source.logits.of_recording or path not in source.tables.of_recording:
                raise UserError(f"{source.name}: not finished, it lacks {path!r}; run its command again")
            entry, (rows,) = source.logits.read(path)
            logits.write(rows)
            predicted.add(replace(entry, ends=(logits.end,)))
            entry, contents = source.tables.read(path)
            if entry.file is not None and not (source.state.out / entry.file).is_file():
                raise UserError(f"{source.name}: the file {entry.file} is missing; predict it with --overwrite")
            for table, content in zip(joined, contents, strict=True):
                table.write(content)
            written.add(replace(entry, ends=tuple(table.end for table in joined)))
            n_recordings += 1
        predicted.commit([logits])
        written.commit(joined)
    return n_recordings


def _finish(sources: Sequence[_Source], state: State) -> tuple[dict[Path, str], bool]:
    """Write what is made of all tables at the end; recordings that failed, and whether matplotlib is missing."""
    first = sources[0]
    form = check_format(first.written_with["--format"])
    if form == "parquet":
        for name, path in result_paths(state, form).items():
            write_parquet(table_paths(state, form)[name], path, COLUMNS[name])
    with closing(Journal(state.written, first.written_with)) as written:
        entries = written.entries
    hours = count_hours(read_events(state.events, entries), first.part.sample_rate, first.part.classes)
    lacks_picture = hours is not None and write_hours(state, hours, safe=first.written_with["--safe-cells"])
    failed = {
        Path(path): source.part.failed[path] for source, path in _recordings(sources) if path in source.part.failed
    }
    write_failed(state.out / "failed.csv", failed)
    return failed, lacks_picture


def gather_parts(out: Path, *, overwrite: bool = False) -> Gathered:
    """Join the parts that predictions of `I/N` of the recordings left in a folder; they stay.

    The folder then holds, beside the parts, what one prediction of all recordings would have written, byte for byte:
    tables, hours, `failed.csv`, and what it keeps to go on from. Clips stay those of the parts.

    Args:
        out: folder that all parts were written to.
        overwrite: replace what was joined, or predicted in one go, before.

    Raises:
        UserError: parts are missing, not finished or different, each named; or there are results already.
    """
    sources = _find_sources(out)
    _check_alike(out, sources)
    target, building = State(out, ""), out / BUILDING
    with ExitStack() as stack:
        for source in sources:
            stack.enter_context(sole_writer(source.state.folder, "gather"))
        stack.enter_context(sole_writer(target.folder, "gather"))
        shutil.rmtree(building, ignore_errors=True)
        old = _results(target)
        if not overwrite and (there := [path for path in old if path.exists()]):
            raise UserError(f"{there[0]}: exists already (--overwrite replaces it)")
        try:
            n_recordings = _join(sources, State(building, ""))
            failed, lacks_picture = _finish(sources, State(building, ""))
            for path in old:
                path.unlink(missing_ok=True)
            _move(building, out)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return Gathered(len(sources), n_recordings, failed, lacks_picture)


def _results(state: State) -> list[Path]:
    """List what a prediction in one go writes, files of events left out, the journals first."""
    folders, endings = (state.out, state.folder), ("csv", "jsonl", "parquet")
    tables = [folder / f"{name}.{ending}" for folder in folders for name in COLUMNS for ending in endings]
    hours = [state.hours_written, state.hours_table, state.hours_picture]
    return [state.predicted, state.written, *tables, *hours, state.logits, state.events, state.out / "failed.csv"]


def _move(building: Path, out: Path) -> None:
    """Move every file to its place, the journals last: while they are not there nothing counts."""
    journals = [State(building, "").written, State(building, "").predicted]
    files = [path for path in sorted(building.rglob("*")) if path.is_file() and path not in journals]
    for path in (*files, *journals):
        path.replace(out / path.relative_to(building))
