"""Annotated recordings: every table below a folder, and what it marks in which recording."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiostride.data.audio import BadAudioError, find_recordings, open_audio
from audiostride.data.manifest import LABEL_SEPARATOR
from audiostride.datasets.annotated_recordings import NoRecordingError, Recordings, lies_where_named
from audiostride.datasets.annotation_formats import RAVEN_ENDING, Columns, Span, Table, read_table
from audiostride.errors import ArgumentError, DataError, UserError, listing
from audiostride.vocabulary import FORMULA_STARTS

ENDINGS = (".txt", ".csv")
NO_CLASS = ""  # of spans whose class is ignored
SLACK_S = 1e-6  # of times that are equal but for their decimals


@dataclass
class Annotated:
    """A recording with its marked spans: start and end in seconds, and class, `NO_CLASS` of one that is ignored."""

    path: Path
    duration_s: float
    spans: list[tuple[float, float, str]] = field(default_factory=list)
    group: str | None = None
    tables: list[Path] = field(default_factory=list)


@dataclass
class Annotations:
    """What the tables below `root` say.

    Attributes:
        notes: what was left out or decided, lines under a title.
        problems: mistakes in tables, a line each; with any of them nothing can be made of the tables.
    """

    root: Path
    recordings: list[Annotated]
    tables: list[Path]
    notes: Mapping[str, Sequence[str]]
    problems: Sequence[str]
    n_wrong: int = 0  # tables with a mistake

    def check(self) -> None:
        """Raise UserError with all mistakes in the tables, DataError where nothing is left."""
        if self.problems:
            several = f"\nmistakes in {self.n_wrong} of {len(self.tables)} tables" if self.n_wrong > 1 else ""
            raise UserError(listing(self.problems, indent="") + several)
        if not self.tables:
            expected = (
                "expected .selections.txt of Raven, label tracks of Audacity or CSV with path,start_s,end_s,label"
            )
            raise UserError(f"{self.root}: no table of annotations; {expected}")
        if not self.recordings:
            raise DataError(f"{self.root}: no table belongs to a recording that can be used")


@dataclass(frozen=True)
class Naming:
    """What becomes of class names: first `renamed`, then spans of those in `ignored` label nothing."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    ignored: Collection[str] = ()

    def check(self, names: Collection[str]) -> None:
        """Raise UserError for a class to rename or to ignore that is not in the tables."""
        known = ", ".join(sorted(filter(None, names))[:20]) or "none"
        for name in self.renamed:
            if name not in names:
                raise ArgumentError(
                    "renamed", f"{name}={self.renamed[name]}", f"no such class; the tables have {known}"
                )
        for name in self.ignored:
            if name not in names and name not in self.renamed.values():
                raise ArgumentError("ignored", name, f"no such class; the tables have {known}")


def _one_table(path: Path, columns: Columns) -> Table:
    """Read the file that the user names as a table."""
    if not path.is_file():
        raise UserError(f"{path}: no such table of annotations")
    table = read_table(path, columns, expected=True) if path.suffix.lower() in ENDINGS else None
    if table is None:
        expected = "expected .selections.txt of Raven, a label track of Audacity, or CSV with path,start_s,end_s,label"
        raise UserError(f"{path}: no table of annotations; {expected}")
    return table


def _find_tables(root: Path, recordings: Recordings, columns: Columns) -> tuple[list[Table], list[Path]]:
    """Give the tables below a folder, and the files with their endings that are none."""
    tables, others = [], []
    for path in sorted(path for path in root.rglob("*") if path.suffix.lower() in ENDINGS):
        if path.name.startswith(".") or not path.is_file():
            continue
        expected = path.suffix.lower() == ".txt" and recordings.has_beside(path)
        table = read_table(path, columns, expected=expected or path.name.lower().endswith(RAVEN_ENDING))
        if table is None:
            others.append(path)
        else:
            tables.append(table)
    return tables, others


class _Reader:
    """Joins tables and recordings, and notes what does not fit."""

    def __init__(self, root: Path, recordings: Recordings, naming: Naming) -> None:
        self.root, self.recordings, self.naming = root, recordings, naming
        self.annotated: dict[Path, Annotated | None] = {}  # None: cannot be used
        self.problems: list[str] = []
        self.notes: dict[str, list[str]] = defaultdict(list)
        self.names: set[str] = set()
        self.strange: set[str] = set()
        self.groups: dict[Path, tuple[str, str]] = {}
        self.seen: dict[Path, set[tuple[float, float, str]]] = defaultdict(set)

    def read(self, table: Table) -> None:
        """Take over what a table marks."""
        self.notes["decided while reading"] += table.notes
        places: dict[str, Path | None] = {}
        if not table.spans and (not table.problems or self.recordings.has_beside(table.path)):
            self._find(Span(1, 0.0, 0.0, ""), table)  # nothing is marked in its recording
        for span in table.spans:
            if span.place not in places:
                places[span.place] = self._find(span, table)
            if (path := places[span.place]) is not None and (annotated := self.annotated[path]) is not None:
                self._group(span, table, annotated)
                if not span.is_empty:
                    self._add(span, table, annotated)
        self.problems += table.told()

    def _find(self, span: Span, source: Table) -> Path | None:
        table = source.path
        try:
            path = self.recordings.of_place(span.place, table) if span.place else self.recordings.of_table(table)
        except NoRecordingError as error:
            if error.is_ambiguous:
                source.problem(span.line, str(error))
            else:
                self.notes["tables or rows without a recording, left out"].append(f"{table}:{span.line}: {error}")
            return None
        if not lies_where_named(path, span.place, table, self.root):
            self.notes["recordings found elsewhere"].append(f"{table}:{span.line}: taken to be of {path}")
        path = self.recordings.once(path)
        if path not in self.annotated:
            self.annotated[path] = self._open(path)
        if (annotated := self.annotated[path]) is not None and table not in annotated.tables:
            if annotated.tables:
                told = f"a further table of {path}, beside {annotated.tables[0]}; the spans of all count"
                self.notes["several tables for one recording"].append(f"{table}:{span.line}: {told}")
            annotated.tables.append(table)
        return path

    def _open(self, path: Path) -> Annotated | None:
        try:
            with open_audio(path) as file:
                return Annotated(path, file.frames / file.samplerate)
        except BadAudioError as error:
            self.notes["recordings that cannot be used, left out"].append(f"{path}: {error}")
            return None

    def _group(self, span: Span, table: Table, annotated: Annotated) -> None:
        if span.group is None:
            return
        group = span.group.strip()
        if annotated.group is None:
            annotated.group, self.groups[annotated.path] = group, (group, f"{table.path}:{span.line}")
        elif annotated.group != group:
            old, where = self.groups[annotated.path]
            told = f"the column to split by has {group!r} for {annotated.path.name}, but {old!r} at {where}"
            table.problem(span.line, told)

    def _add(self, span: Span, table: Table, annotated: Annotated) -> None:
        where = f"{table.path}:{span.line}"
        self.names.add(span.name)
        name = self.naming.renamed.get(span.name, span.name)
        is_ignored = name in self.naming.ignored
        if not is_ignored and (problem := self._name_problem(name)):
            table.problem(span.line, problem)
            return
        if not is_ignored:
            self._tell_strange(name, where)
        end, duration_s = span.end_s, annotated.duration_s
        if span.start_s > duration_s - (SLACK_S if end > span.start_s else -SLACK_S):
            told = f"begins at {span.start_s:g} s, {annotated.path.name} ends at {duration_s:.3f} s"
            table.problem(span.line, told)
            return
        if end > duration_s + SLACK_S:
            told = f"ends at {end:g} s, {annotated.path.name} at {duration_s:.3f} s; cut there"
            self.notes["spans beyond the end of their recording"].append(f"{where}: {told}")
        marked = span.start_s, min(end, duration_s), NO_CLASS if is_ignored else name
        if marked in self.seen[annotated.path]:  # the other view of a selection, or another channel
            return
        self.seen[annotated.path].add(marked)
        annotated.spans.append(marked)

    def _name_problem(self, name: str) -> str | None:
        if not name:
            return "no class; give one, or name those without by --map =CLASS, or leave them out by --ignore ''"
        if LABEL_SEPARATOR in name:
            held = f"class {name!r} holds {LABEL_SEPARATOR!r}, which stands between classes"
            return f"{held}; --map {name!r}=OTHER renames it"
        return None

    def _tell_strange(self, name: str, where: str) -> None:
        if name in self.strange:
            return
        if name.startswith(FORMULA_STARTS) or not name.isprintable():
            self.strange.add(name)
            what = "a spreadsheet takes for a formula" if name.isprintable() else "holds control characters"
            self.notes["names of classes kept as they are"].append(f"{where}: {name!r} {what}")


def read_annotations(
    root: Path,
    naming: Naming | None = None,
    columns: Columns | None = None,
    *,
    out: Path | None = None,
    only: Path | None = None,
) -> Annotations:
    """Read all tables below a folder, or one of them, and find the recordings that they speak of.

    Args:
        root: holds recordings and tables, in folders or not.
        naming: which classes are renamed or left out.
        columns: of the classes and of the groups, where the user names them.
        out: the manifest to write, which is no table.
        only: the one table to read; the other files are then not looked at.

    Raises:
        UserError: no such folder or table, or a class to rename or ignore that no table has.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected recordings and their tables of annotations")
    naming = naming or Naming()
    paths = find_recordings(root)
    recordings = Recordings(root, paths)
    columns = columns or Columns()
    tables, others = _find_tables(root, recordings, columns) if only is None else ([_one_table(only, columns)], [])
    if out is not None and out.resolve() in {table.path.resolve() for table in tables}:
        raise ArgumentError("out", out, "would replace a table of annotations, expected another file")
    reader = _Reader(root, recordings, naming)
    for table in tables:
        reader.read(table)
    if not reader.problems:
        naming.check(reader.names)
    others = [path for path in others if out is None or path.resolve() != out.resolve()]
    untold = [str(path) for path in paths if only is None and recordings.once(path) not in reader.annotated]
    notes = {
        **reader.notes,
        "recordings without a table, left out (an empty one says that nothing is marked)": untold,
        "files that are no tables of annotations, left out": [str(path) for path in others],
    }
    usable = sorted((a for a in reader.annotated.values() if a is not None), key=lambda a: a.path)
    notes = {title: lines for title, lines in notes.items() if lines}
    n_wrong = sum(bool(table.problems) for table in tables)
    return Annotations(root, usable, [table.path for table in tables], notes, reader.problems, n_wrong)
