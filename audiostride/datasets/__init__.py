"""Public data sets: the layout of each read into a manifest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiostride.data.manifest import Clip, write_manifest
from audiostride.datasets.background_noise import background_note, check_background, read_background
from audiostride.datasets.birds import read_birds
from audiostride.datasets.card import Card, differences, load_cards, recognise
from audiostride.datasets.demo import render_demo
from audiostride.datasets.folder import read_folder
from audiostride.datasets.folds import check_folds, read_esc50, read_urbansound8k
from audiostride.datasets.nsynth import read_nsynth
from audiostride.datasets.speech_commands import read_speech_commands
from audiostride.datasets.tut_scenes import read_tut_scenes
from audiostride.errors import ArgumentError, UserError
from audiostride.vocabulary import LabelFrom

READERS: Mapping[str, Callable[..., list[Clip]]] = {
    "speech_commands": read_speech_commands,
    "nsynth": read_nsynth,
    "tut_scenes_2018": read_tut_scenes,
    "bird_detection_2018": read_birds,
    "esc50": read_esc50,
    "urbansound8k": read_urbansound8k,
    "folder": read_folder,
}
NAMES = (*READERS, "annotations", "demo")


@dataclass(frozen=True)
class Prepared:
    """The manifests written, the data set's card, where the data differ from it, other manifests put aside, notes."""

    manifests: dict[Path, Sequence[Clip]]
    card: Card | None
    differences: Sequence[str]
    replaced: Sequence[Path]
    missing: Sequence[Path]  # recordings that the data set lists and that are not there
    notes: Sequence[str] = ()  # on what was decided


def _check_name(name: str) -> None:
    if name not in NAMES:
        raise UserError(f"{name}: no such data set, expected one of {', '.join(NAMES)}")


def find_card(name: str, version: str | None = None) -> Card:
    """Give the card of a version of the data set `name`, by default of the newest.

    Raises:
        UserError: an unknown name or version, or a data set without a card.
    """
    _check_name(name)
    cards = load_cards(name)
    if not cards:
        raise UserError(f"{name}: no data set with official archives")
    if version is None:
        return cards[0]
    if found := [card for card in cards if card.version == version]:
        return found[0]
    known = ", ".join(card.version for card in cards if card.version)
    raise ArgumentError("version", version, f"expected one of {known}" if known else f"{name} has no versions")


def prepare(
    name: str,
    root: Path,
    out: Path | None = None,
    version: str | None = None,
    *,
    label_from: LabelFrom | None = None,
    background: str | None = None,
    **folds: int,
) -> Prepared:
    """Read the data set `name` in `root` and write its manifest.

    Args:
        name: one of `NAMES`; "demo" renders its recordings first.
        out: the manifest, by default `root/manifest.csv`; the demo has two, in `root`.
        version: of the card to compare with, by default the version that the classes tell.
        label_from: of "folder": what names the class, `folder` or `parent`.
        background: of "speech_commands": the class of windows of 1 s of its noise, by default left out.
        folds: `valid_fold` and `test_fold` of a data set that comes in folds.

    Raises:
        UserError: an unknown name or version, a folder without the layout of the data set, an argument of another
            data set, or folds that it has not. DataError: noise that cannot be read.
    """
    _check_name(name)
    card = find_card(name, version) if version else None
    check_folds(name, **folds)
    if label_from is not None and name != "folder":
        raise ArgumentError("label_from", label_from, f"an option of prepare folder, not of {name}")
    if name == "annotations":
        raise UserError("annotations: windows are made by read_annotations and cut_recordings")
    check_background(name, background)
    if name == "demo":
        if out is not None:
            raise ArgumentError("out", out, "the demo writes two manifests into its folder, notes.csv and birds.csv")
        manifests: dict[Path, Sequence[Clip]] = {root / file: clips for file, clips in render_demo(root).items()}
    else:
        if not root.is_dir():
            raise UserError(f"{root}: no such folder; expected the unpacked data set {name}")
        clips = read_folder(root, label_from) if name == "folder" else READERS[name](root, **folds)
        manifests = {out or root / "manifest.csv": clips}
        if card is None and (cards := load_cards(name)):
            card = recognise(cards, clips)
    found = differences(card, clips) if card else []  # the card has no class of the background
    notes = []
    if background is not None:
        windows = read_background(root, background, {clip.labels["label"] for clip in clips})
        manifests = {path: [*written, *windows] for path, written in manifests.items()}
        notes = [background_note(windows)]
    replaced = [old for path, written in manifests.items() if (old := write_manifest(path, written))]
    paths = dict.fromkeys(clip.path for written in manifests.values() for clip in written)
    missing = [path for path in paths if not path.is_file()]
    return Prepared(manifests, card, found, replaced, missing, notes)
