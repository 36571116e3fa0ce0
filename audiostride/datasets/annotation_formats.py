r"""The rows of tables of annotations: Raven's selections, Audacity's labels, and CSV.

`crowsetta` reads the first two into pandas frames, by fixed columns, without the line that a mistake stands in.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiostride.data.manifest import MAX_S
from audiostride.datasets.encodings import LINE_END, EncodingError, decode

CSV_COLUMNS = ("path", "start_s", "end_s", "label")
RAVEN_BEGIN, RAVEN_END, RAVEN_OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
RAVEN_PLACES = ("Begin Path", "Begin File")  # where the recording is named, the more exact one first
RAVEN_CLASSES = ("Annotation", "Class", "Label", "Species", "Common Name", "Species Code", "Call Type")
RAVEN_ENDING = ".selections.txt"
DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")
AUDACITY_LINE = re.compile(r"[ ]*[-+]?[\d.,]+(?:e[-+]?\d+)?\t[ ]*[-+]?[\d.,]+(?:e[-+]?\d+)?(?:\t|$)", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a recording that a row marks; `end_s` is `start_s` for a point.

    Attributes:
        name: the class, empty if the row gives none.
        place: the recording as the row names it, empty if it does not.
        group: what the row has in the column to split by, None in a table without it.
        is_empty: the row says that nothing is marked in its recording.
    """

    line: int
    start_s: float
    end_s: float
    name: str
    place: str = ""
    group: str | None = None
    is_empty: bool = False


@dataclass
class Table:
    """What a table holds, with a line for every mistake and for all that was decided."""

    path: Path
    spans: list[Span] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, line: int, text: str) -> None:
        """Note a mistake in a line."""
        self.problems.append((line, text))

    def note(self, line: int, text: str) -> None:
        """Note what was decided at a line."""
        self.notes.append(f"{self.path}:{line}: {text}")

    def told(self) -> list[str]:
        """Give the mistakes with their lines, in order."""
        return [f"{self.path}:{line}: {text}" for line, text in sorted(self.problems)]


@dataclass(frozen=True)
class Columns:
    """Columns that the user names: of the classes in Raven's tables, and to split by."""

    label: str | None = None
    group: str | None = None


def _seconds(text: str, what: str) -> float:
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if 0 <= value <= MAX_S:
        return value
    problem = f"{what} is {text.strip()!r}, expected seconds"
    if DECIMAL_COMMA.fullmatch(text.strip()):
        raise ValueError(f"{problem} with a decimal point, not a comma")
    raise ValueError(f"{problem}, {'not negative' if value < 0 else f'0 to {MAX_S:g}'}")


def _times(start: str, end: str, names: tuple[str, str]) -> tuple[float, float]:
    start_s, end_s = _seconds(start, names[0]), _seconds(end, names[1])
    if end_s < start_s:
        raise ValueError(f"{names[1]} {end.strip()} lies before {names[0]} {start.strip()}")
    return start_s, end_s


def _audacity(table: Table, lines: Sequence[str]) -> None:
    after_label = False
    for number, line in enumerate(lines, 1):
        if line.startswith("\\"):  # the range of frequencies of the label above
            if not after_label:
                table.problem(number, "a range of frequencies without a label above it")
            after_label = False
            continue
        after_label = False
        if not line.strip():
            continue
        start, *rest = line.split("\t")
        if not rest:
            table.problem(number, "expected start, end and label between tabs")
            continue
        try:
            times = _times(start, rest[0], ("start", "end"))
        except ValueError as error:
            table.problem(number, str(error))
        else:
            table.spans.append(Span(number, *times, "\t".join(rest[1:]).strip()))
        after_label = True


def _raven_header(table: Table, header: Sequence[str], columns: Columns) -> str | None:
    """Give the column of the classes; None where one is missing, which is noted."""
    for name in (RAVEN_BEGIN, RAVEN_END):
        if name not in header:
            table.problem(1, f"no column {name!r}, expected those of Raven; the header has {', '.join(header)}")
            return None
    if len(set(header)) < len(header):
        table.problem(1, f"a column stands twice in the header: {', '.join(header)}")
        return None
    if columns.label is not None:
        if columns.label in header:
            return columns.label
        table.problem(1, f"no column {columns.label!r} (--label-column); the header has {', '.join(header)}")
        return None
    known = [name for wanted in RAVEN_CLASSES for name in header if name.lower() == wanted.lower()]
    if not known:
        expected = f"expected one of {', '.join(RAVEN_CLASSES)}, or --label-column"
        table.problem(1, f"no column of classes, {expected}; the header has {', '.join(header)}")
        return None
    if len(known) > 1:
        table.note(1, f"classes are read from {known[0]!r}, not from {', '.join(known[1:])} (--label-column chooses)")
    return known[0]


def _raven_span(number: int, row: dict[str, str], label: str, group: str | None) -> Span:
    start_s, end_s = _times(row[RAVEN_BEGIN], row[RAVEN_END], (RAVEN_BEGIN, RAVEN_END))
    if row.get(RAVEN_OFFSET, "").strip():  # of a stream of recordings: within the one that is named
        offset_s = _seconds(row[RAVEN_OFFSET], RAVEN_OFFSET)
        start_s, end_s = offset_s, offset_s + (end_s - start_s)
    place = next((text for name in RAVEN_PLACES if (text := row.get(name, "").strip())), "")
    return Span(number, start_s, end_s, row[label].strip(), place, row.get(group) if group else None)


def _raven(table: Table, lines: Sequence[str], columns: Columns) -> None:
    header = [name.strip() for name in lines[0].split("\t")] if lines else []
    label = _raven_header(table, header, columns)
    if label is None:
        return
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != len(header):
            table.problem(number, f"{len(cells)} fields, expected {len(header)}, one per column of the header")
            continue
        try:
            table.spans.append(_raven_span(number, dict(zip(header, cells, strict=True)), label, columns.group))
        except ValueError as error:
            table.problem(number, str(error))
    places = {span.place.rpartition("/")[2].rpartition("\\")[2] for span in table.spans}
    if len(places) > 1 and RAVEN_OFFSET not in header:
        told = f"{len(places)} recordings are named and there is no column {RAVEN_OFFSET!r}"
        table.note(1, f"{told}: times are taken to begin anew in each")


def _csv_span(number: int, row: dict[str, str], group: str | None) -> Span:
    if not (place := row["path"].strip()):
        raise ValueError("path is empty")
    of_group = row.get(group) if group else None
    if not any(row[name].strip() for name in CSV_COLUMNS[1:]):
        return Span(number, 0.0, 0.0, "", place, of_group, is_empty=True)
    times = _times(row["start_s"], row["end_s"], ("start_s", "end_s"))
    return Span(number, *times, row["label"].strip(), place, of_group)


def _csv(table: Table, text: str, columns: Columns) -> None:
    reader = csv.reader(io.StringIO(text, newline=None), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        if missing := [name for name in CSV_COLUMNS if name not in header]:
            table.problem(1, f"no column {missing[0]!r}, expected {','.join(CSV_COLUMNS)}")
            return
        if len(set(header)) < len(header):
            table.problem(1, f"a column stands twice in the header: {', '.join(header)}")
            return
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                told = f"{len(cells)} fields, expected {len(header)}, one per column of the header"
                table.problem(reader.line_num, told)
                continue
            try:
                row = dict(zip(header, cells, strict=True))
                table.spans.append(_csv_span(reader.line_num, row, columns.group))
            except ValueError as error:
                table.problem(reader.line_num, str(error))
    except csv.Error as error:
        table.problem(reader.line_num, f"not a row of CSV ({error})")


def _is_csv_table(header: str) -> bool:
    """Tell a table of annotations, whole or not, from a manifest and from any other CSV."""
    names = {name.strip().strip('"') for name in re.split("[,;\t]", header)}
    return "end_s" in names or ("split" not in names and "path" in names and bool(names & {"start_s", "label"}))


def _format(path: Path, text: str, *, expected: bool) -> str | None:
    """Name the format of a table; None for what is none."""
    head = LINE_END.split(text, maxsplit=1)[0]
    if path.suffix.lower() == ".csv":
        return "csv" if _is_csv_table(head) else None
    if path.name.lower().endswith(RAVEN_ENDING) or RAVEN_BEGIN in head or RAVEN_END in head:
        return "raven"
    if AUDACITY_LINE.search(text) or (expected and not text.strip()):
        return "audacity"
    return "unknown" if expected else None


def read_table(path: Path, columns: Columns, *, expected: bool) -> Table | None:
    """Read a table in any of the three formats.

    Args:
        path: a `.txt` or `.csv`.
        columns: those that the user names.
        expected: whether its name says that it must be a table, as one beside a recording of the same name.

    Returns:
        The table; None for a file that is none.
    """
    table, content = Table(path), path.read_bytes()
    try:
        text = decode(content)
    except EncodingError as error:
        if _format(path, content.replace(b"\0", b"").decode("latin-1"), expected=expected) is None:
            return None
        table.problem(error.line, str(error))
        return table
    kind = _format(path, text, expected=expected)
    if kind is None:
        return None
    if kind == "csv":
        _csv(table, text, columns)
    elif kind == "raven":
        _raven(table, LINE_END.split(text), columns)
    elif kind == "audacity":
        _audacity(table, LINE_END.split(text))
    else:
        table.problem(1, "neither Raven's header nor a label of Audacity (start, end and label between tabs)")
    return table


def table_names(path: Path) -> Iterator[str]:
    """Give the names that the recording of a table may have, with its ending or without, the longest first.

    >>> list(table_names(Path("a.wav.Table.1.selections.txt")))
    ['a.wav.Table.1.selections', 'a.wav.Table.1', 'a.wav']
    """
    name = path.name
    for ending in (r"\.(txt|csv)", r"\.(selections|labels)", r"\.Table\.\d+"):
        shorter = re.sub(ending + "$", "", name, flags=re.I)
        if shorter != name:
            yield shorter
        name = shorter
