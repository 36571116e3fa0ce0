"""`audiostride prepare annotations`: annotated recordings in, a manifest of windows out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import print_line, say, show, table
from audiostride.errors import ArgumentError, listing

if TYPE_CHECKING:
    from audiostride.data.manifest import Clip
    from audiostride.datasets.annotations import Annotations

WindowS = Annotated[
    float | None,
    typer.Option(
        help="Length of a window in seconds, for annotations. The last window of a recording ends with it.",
        show_default="1",
    ),
]
HopS = Annotated[
    float | None,
    typer.Option(
        help="Seconds from the start of a window to that of the next, for annotations.", show_default="half the window"
    ),
]
MinOverlap = Annotated[
    str | None,
    typer.Option(
        metavar="S|PERCENT",
        help="How much of a span and a window must overlap for the window to get the span's class, for annotations: "
        "seconds (0.25s), percent (50%) of the window or of the span, or both (0.25s,50%); whichever of these is met "
        "first is enough. A point label has no length: the window that it lies in gets its class.",
        show_default="50%",
    ),
]
Renamed = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OLD=NEW", help="Rename a class of annotations; may be repeated."),
]
Ignored = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="CLASS",
        help="Let spans of this class (as renamed) label nothing, for annotations; may be repeated.",
    ),
]
Background = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS",
        help="Class that means nothing, for annotations. It stands in labels only where no other class does: of the "
        "spans that the tables mark so, or if no table has it, of the windows that no span touches. Without it what is "
        "not marked has no label and is negative. For speech_commands it is the class of windows of 1 s of the few "
        "recordings in _background_noise_, which are left out without it; each is split by time, 80 % for train, then "
        "10 % for valid and 10 % for test.",
    ),
]
AnnotatedOnly = Annotated[
    bool,
    typer.Option("--annotated-only", help="Leave out the windows that no span touches, for annotations."),
]
SplitBy = Annotated[
    str | None,
    typer.Option(
        metavar="recording|folder|COLUMN",
        help="What never crosses splits beside a recording, for annotations: its folder, or what a column of CSV or "
        "Raven tables holds. A column that holds train, valid and test alone is the split itself.",
        show_default="recording",
    ),
]
Shares = Annotated[
    str | None,
    typer.Option(
        metavar="TRAIN,VALID,TEST",
        help="Shares of the recordings, folders or groups in each split, for annotations.",
        show_default="0.7,0.15,0.15",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Seed of the splits, for annotations; another seed gives other splits.", show_default="0"),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column of the classes in Raven's tables, for annotations.",
        show_default="Annotation, Class, Label, Species ...",
    ),
]


def check_unused(options: Mapping[str, object], problem: str) -> None:
    """Raise ArgumentError, which says what the problem is, for an option that is given and has no use."""
    for name, value in options.items():
        if value is not None and value != []:
            raise ArgumentError(name, value[0] if isinstance(value, list) else value, problem)


def parse_renamed(texts: Sequence[str]) -> dict[str, str]:
    """Read `OLD=NEW` for every class to rename.

    >>> parse_renamed(["crw=crow"])
    {'crw': 'crow'}
    """
    names: dict[str, str] = {}
    for text in texts:
        old, sign, new = (part.strip() for part in text.rpartition("="))
        if not sign or not new or old in names:
            raise ArgumentError("renamed", text, "expected OLD=NEW, each old class once")
        names[old] = new
    return names


def _show(manifest: Path, clips: Sequence["Clip"]) -> None:
    from audiostride.data.manifest import SPLITS, split_labels
    from audiostride.vocabulary import LABELS_COLUMN

    splits = [split for split in SPLITS if any(clip.split == split for clip in clips)]
    counts: Counter[tuple[str, str]] = Counter()
    for clip in clips:
        counts.update((name, clip.split) for name in split_labels(clip.labels.get(LABELS_COLUMN, "")) or ("",))
    shown = table("class", *splits)
    for name in sorted({name for name, _ in counts if name}):
        shown.add_row(name, *(str(counts[name, split]) for split in splits))
    shown.add_row("(none)", *(str(counts["", split]) for split in splits))
    show(f"windows of {manifest.name}", shown)
    print_line(f"{len(clips)} windows of {len({clip.path for clip in clips})} recordings")


def say_notes(annotations: "Annotations") -> None:
    """Say what does not fit in the tables, and what was decided."""
    for title, lines in annotations.notes.items():
        say(f"{title}: {len(lines)}\n{listing(lines)}")


def prepare_annotations(root: Path, out: Path | None, options: Mapping[str, object]) -> None:
    """Read tables and recordings below `root`, say what does not fit, and write the manifest of their windows.

    Args:
        root: holds recordings and tables.
        out: the manifest, by default `root/manifest.csv`.
        options: as the command has them; None and empty ones are left at their defaults.
    """
    from audiostride.data.manifest import write_windows
    from audiostride.datasets.annotated import Cutting, cut_recordings
    from audiostride.datasets.annotation_formats import Columns
    from audiostride.datasets.annotations import Naming, read_annotations
    from audiostride.datasets.event_windows import MinOverlap
    from audiostride.datasets.grouped_splits import parse_shares

    given = {name: value for name, value in options.items() if value not in (None, [])}
    naming = Naming(parse_renamed(given.pop("renamed", [])), given.pop("ignored", []))  # type: ignore[arg-type]
    label = given.pop("label_column", None)
    for name, parse in (("min_overlap", MinOverlap.parse), ("shares", parse_shares)):
        if name in given:
            given[name] = parse(str(given[name]))
    cutting = Cutting(**given)  # type: ignore[arg-type]
    cutting.check()
    group = None if cutting.split_by in ("recording", "folder") else cutting.split_by
    manifest = out or root / "manifest.csv"
    annotations = read_annotations(root, naming, Columns(label, group), out=manifest)  # type: ignore[arg-type]
    say_notes(annotations)
    cut = cut_recordings(annotations, cutting)
    old = write_windows(manifest, cut.clips)
    _show(manifest, cut.clips)
    say(f"{cut.n_spans} spans in {len(annotations.tables)} tables of {len(annotations.recordings)} recordings")
    for note in cut.notes:
        say(note)
    say(f"wrote {manifest}")
    if old:
        say(f"the manifest that was there is kept as {old}")
