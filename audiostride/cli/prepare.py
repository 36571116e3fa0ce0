"""`audiostride prepare`: a data set's folder in, a manifest out."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli import prepare_annotations as annotations
from audiostride.cli.console import check_outputs, counted, progress, say, show, table
from audiostride.cli.options import ShowAll
from audiostride.vocabulary import LabelFrom

if TYPE_CHECKING:
    from audiostride.data.manifest import Clip


EXAMPLES = """
audiostride prepare demo data/demo
audiostride prepare folder birds
audiostride prepare annotations season --window-s 3
audiostride prepare esc50 --download data/esc50
"""


N_NAMED = 20  # classes in a line


def _say_classes(manifests: "Mapping[Path, Sequence[Clip]]", label_from: str | None) -> None:
    names = sorted({name for clips in manifests.values() for clip in clips for name in clip.labels.values()})
    what = "the folders that recordings lie in" if label_from == "parent" else "the folders of classes"
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    say(f"taken for classes, {what}: {', '.join(names[:N_NAMED])}{more}")


def command(
    *,
    name: Annotated[
        str,
        typer.Argument(
            help="speech_commands, nsynth, tut_scenes_2018, bird_detection_2018, esc50, urbansound8k, "
            "folder (ROOT/CLASS or ROOT/SPLIT/CLASS), annotations (recordings with selection tables of Raven, label "
            "tracks of Audacity, or CSV with path,start_s,end_s,label), or demo (a corpus rendered into ROOT)."
        ),
    ],
    root: Annotated[Path, typer.Argument(help="Folder of the unpacked data set. With --download, where to put it.")],
    download: Annotated[
        bool,
        typer.Option(
            "--download",
            help="First fetch the official archives into ROOT/.archives, check and unpack them. "
            "After an interruption, run the same command again: it goes on.",
        ),
    ] = False,
    version: Annotated[
        str | None,
        typer.Option(
            help="Version of speech_commands: v0.01 or v0.02.",
            show_default="that of the words found; to download, the newest",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Manifest to write.", show_default="ROOT/manifest.csv")] = None,
    valid_fold: Annotated[
        int | None,
        typer.Option(help="Fold for the split valid, of esc50 and urbansound8k.", show_default="the last but one"),
    ] = None,
    test_fold: Annotated[
        int | None, typer.Option(help="Fold for the split test, of esc50 and urbansound8k.", show_default="the last")
    ] = None,
    label_from: Annotated[
        LabelFrom | None,
        typer.Option(
            help="What names the class, for folder: the folder CLASS in ROOT (or in its split), or the parent folder "
            "that each recording lies in.",
            show_default="folder, unless names look like sites",
        ),
    ] = None,
    window_s: annotations.WindowS = None,
    hop_s: annotations.HopS = None,
    min_overlap: annotations.MinOverlap = None,
    renamed: annotations.Renamed = None,
    ignored: annotations.Ignored = None,
    background: annotations.Background = None,
    annotated_only: annotations.AnnotatedOnly = False,
    split_by: annotations.SplitBy = None,
    shares: annotations.Shares = None,
    seed: annotations.Seed = None,
    label_column: annotations.LabelColumn = None,
    show_all: ShowAll = False,
) -> None:
    """Write the manifest of recordings: path, split and labels.

    It knows the layouts of public data sets, folders with a folder for each class, and annotated recordings.
    """
    from audiostride.data.audio import count_others
    from audiostride.data.manifest import SPLITS
    from audiostride.datasets import find_card, prepare
    from audiostride.datasets.background_noise import check_background
    from audiostride.datasets.folds import check_folds

    check_outputs([("--out", out)])
    of_annotations = {
        "window_s": window_s,
        "hop_s": hop_s,
        "min_overlap": min_overlap,
        "renamed": renamed,
        "ignored": ignored,
        "background": background,
        "annotated_only": annotated_only or None,
        "split_by": split_by,
        "shares": shares,
        "seed": seed,
        "label_column": label_column,
    }
    folds = {"valid_fold": valid_fold, "test_fold": test_fold}
    given = {key: fold for key, fold in folds.items() if fold is not None}
    check_folds(name, **given)
    if name == "annotations" and not download and version is None and label_from is None:
        annotations.prepare_annotations(root, out, of_annotations)
        return
    check_background(name, background)
    if name == "speech_commands":
        del of_annotations["background"]
    annotations.check_unused(of_annotations, f"an option of prepare annotations, not of {name}")
    if download:
        from audiostride.datasets.download import download as download_archives

        unchecked = download_archives(find_card(name, version), root, partial(progress, in_bytes=True))
        for archive, checksum in unchecked.items():
            say(f"{archive}: no checksum is published; the downloaded file has {checksum}")
    prepared = prepare(name, root, out, version, label_from=label_from, background=background, **given)
    if name == "folder":
        _say_classes(prepared.manifests, label_from)
        if n_others := count_others(root):
            say(f"left out, not named like recordings: {counted(n_others, 'file')}")
    for manifest, clips in prepared.manifests.items():
        splits = [split for split in SPLITS if any(clip.split == split for clip in clips)]
        counts = table("label", "classes", *splits)
        for label in sorted({label for clip in clips for label in clip.labels}):
            labelled = [clip for clip in clips if label in clip.labels]
            n_classes = len({clip.labels[label] for clip in labelled})
            counts.add_row(label, str(n_classes), *(str(sum(c.split == split for c in labelled)) for split in splits))
        show(manifest.name, counts)
        say(f"wrote {manifest}")
        if "valid" not in splits:
            say(f"{manifest.name}: no clip in the split valid, so training cannot choose its best checkpoint")
    for note in prepared.notes:
        say(note)
    for old in prepared.replaced:
        say(f"the manifest that was there is kept as {old}")
    if prepared.missing:
        say(f"{len(prepared.missing)} recordings are missing, the first is {prepared.missing[0]}")
    if prepared.card:
        say(f"compared with the published counts of {prepared.card.title}")
    for difference in prepared.differences:
        say(f"differs from the published counts: {difference}")
    if prepared.differences:
        say("the manifest is complete for what is there; these differences matter for the published protocol alone")
