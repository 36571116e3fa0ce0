"""`audiostride scan`: look through all recordings of a manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import check_outputs, print_line, progress, say, show, table, write_json
from audiostride.cli.options import JsonFile, ShowAll
from audiostride.errors import listing

if TYPE_CHECKING:
    from audiostride.data.scan import Scan

EXAMPLES = """
audiostride scan birds/manifest.csv
audiostride scan birds/manifest.csv --quarantine bad.csv
"""


N_CLASSES_SHOWN = 40  # of a label column; the JSON has all


def _as_json(scan: "Scan") -> dict[str, object]:
    durations = [recording.duration_s for recording in scan.recordings if recording.problem is None]
    return {
        "n_files": len(scan.recordings),
        "n_clips": len(scan.manifest.clips),
        "total_s": sum(durations),
        "shortest_s": min(durations, default=None),
        "longest_s": max(durations, default=None),
        "bad": [{"path": str(recording.path), "problem": recording.problem} for recording in scan.bad],
        "silent": [str(recording.path) for recording in scan.silent],
        "clipped": [{"path": str(r.path), "clipped_share": r.clipped_share} for r in scan.clipped],
        "duplicates": [[str(path) for path in paths] for paths in scan.duplicates],
        "balance": scan.balance,
        "class_counts": {
            name: {
                split: {
                    "n_windows": count.n_windows,
                    "hours": count.seconds / 3600,
                    "n_events": count.n_events,
                    "n_overlaps": count.n_overlaps,
                }
                for split, count in of_split.items()
            }
            for name, of_split in scan.class_counts.items()
        },
    }


def _show_classes(scan: "Scan", splits: Sequence[str]) -> None:
    """Show what there is of every class where a clip may have several."""
    from audiostride.data.class_counts import FEW, ClassCount, few_events
    from audiostride.data.manifest import SPLITS

    splits = sorted(splits, key=lambda split: (split not in SPLITS, SPLITS.index(split) if split in SPLITS else 0))
    for split in splits:
        shown = table("class", "windows", "hours", "events", "overlaps")
        for name, of_split in sorted(scan.class_counts.items(), key=lambda item: (not item[0], item[0])):
            count = of_split.get(split, ClassCount())
            hours = f"{count.seconds / 3600:.4f}"
            shown.add_row(name or "(none)", str(count.n_windows), hours, str(count.n_events), str(count.n_overlaps))
        show(f"classes of the split {split}", shown)
    print_line("an event is a run of windows that touch; overlaps have another class beside them", style="dim")
    if few := few_events(scan.class_counts, splits):
        say(f"fewer than {FEW} events of a class in a split:\n{listing(few)}")


def _show(scan: "Scan") -> None:
    from audiostride.vocabulary import LABELS_COLUMN

    durations = sorted(recording.duration_s for recording in scan.recordings if recording.problem is None)
    summary = table("what", "files")
    for what, n in (
        ("all", len(scan.recordings)),
        ("cannot be used", len(scan.bad)),
        ("silent", len(scan.silent)),
        ("clipped", len(scan.clipped)),
        ("in several splits with the same samples", sum(map(len, scan.duplicates))),
    ):
        summary.add_row(what, str(n))
    show(str(scan.manifest.path), summary)
    if durations:
        middle = durations[len(durations) // 2]
        print_line(
            f"durations {durations[0]:.2f} to {durations[-1]:.2f} s, median {middle:.2f} s, "
            f"in all {sum(durations) / 3600:.2f} h"
        )
    splits = list(dict.fromkeys(clip.split for clip in scan.manifest.clips))
    if 0 < len(scan.class_counts) <= N_CLASSES_SHOWN + 1:
        _show_classes(scan, splits)
    for column, classes in scan.balance.items():
        if column == LABELS_COLUMN and len(classes) <= N_CLASSES_SHOWN:
            continue
        if len(classes) > N_CLASSES_SHOWN:
            print_line(f"{column}: {len(classes)} classes, their counts in the JSON (--json FILE)")
            continue
        counts = table(column, *splits)
        for label, of_split in sorted(classes.items()):
            counts.add_row(label, *(str(of_split[split]) for split in splits))
        show("clips per class", counts)
    for title, lines in (
        ("cannot be used", [f"{recording.path}: {recording.problem}" for recording in scan.bad]),
        ("silent", [str(recording.path) for recording in scan.silent]),
        ("clipped", [f"{r.path}: {r.clipped_share:.1%} of the samples" for r in scan.clipped]),
        ("same samples in several splits", ["  ".join(map(str, paths)) for paths in scan.duplicates]),
    ):
        if lines:
            say(listing(lines, indent=f"{title}: "))


def command(
    *,
    manifest: Annotated[
        Path, typer.Argument(help="Manifest in CSV: a row for each clip, with path, split and labels.")
    ],
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder that the paths in the manifest are relative to.", show_default="that of the manifest"
        ),
    ] = None,
    json_file: JsonFile = None,
    quarantine: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write a list of the recordings that cannot be used, with the reasons."),
    ] = None,
    n_workers: Annotated[
        int | None,
        typer.Option(
            "--jobs", min=1, max=64, help="Processes that decode side by side.", show_default="one for each core"
        ),
    ] = None,
    show_all: ShowAll = False,
) -> None:
    """Decode every recording of a manifest, and count.

    It names what cannot be used, is silent or clipped, or lies in several splits, and counts the clips of every
    class. The exit code is 1 if something cannot be used.
    """
    from audiostride.data.manifest import read_manifest
    from audiostride.data.scan import scan_manifest, write_quarantine

    check_outputs([("--json", json_file), ("--quarantine", quarantine)], manifest)
    with progress("files") as on_progress:
        scan = scan_manifest(read_manifest(manifest, root), n_workers, on_progress)
    if quarantine is not None:
        write_quarantine(quarantine, scan)
    if json_file is not None:
        write_json(json_file, _as_json(scan))
    if json_file != "-":
        _show(scan)
    if scan.bad:
        raise typer.Exit(1)
