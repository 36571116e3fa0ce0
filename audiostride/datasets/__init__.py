"""Public data sets: the layout of each read into a manifest."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiostride.data.manifest import Clip, write_manifest
from audiostride.datasets.birds import read_birds
from audiostride.datasets.card import CARDS, differences, load_card
from audiostride.datasets.demo import render_demo
from audiostride.datasets.folder import read_folder
from audiostride.datasets.folds import read_esc50, read_urbansound8k
from audiostride.datasets.nsynth import read_nsynth
from audiostride.datasets.speech_commands import read_speech_commands
from audiostride.datasets.tut_scenes import read_tut_scenes
from audiostride.errors import UserError

READERS: Mapping[str, Callable[..., list[Clip]]] = {
    "speech_commands": read_speech_commands,
    "nsynth": read_nsynth,
    "tut_scenes_2018": read_tut_scenes,
    "bird_detection_2018": read_birds,
    "esc50": read_esc50,
    "urbansound8k": read_urbansound8k,
    "folder": read_folder,
}
NAMES = (*READERS, "demo")


@dataclass(frozen=True)
class Prepared:
    """The manifests written, where the data differ from the data set's card, other manifests put aside."""

    manifests: dict[Path, Sequence[Clip]]
    differences: Sequence[str]
    replaced: Sequence[Path]


def prepare(name: str, root: Path, out: Path | None = None, **folds: int) -> Prepared:
    """Read the data set `name` in `root` and write its manifest.

    Args:
        name: one of `NAMES`; "demo" renders its recordings first.
        out: the manifest, by default `root/manifest.csv`; the demo has two, in `root`.
        folds: `valid_fold` and `test_fold` of a data set that comes in folds.

    Raises:
        UserError: an unknown name, a folder without the layout of the data set, or folds that it has not.
    """
    if name not in NAMES:
        raise UserError(f"{name}: no such data set, expected one of {', '.join(NAMES)}")
    known = inspect.signature(READERS[name]).parameters if name in READERS else {}
    if unknown := sorted(set(folds) - set(known)):
        raise UserError(f"--{unknown[0].replace('_', '-')}: {name} does not come in folds")
    found: list[str] = []
    if name == "demo":
        if out is not None:
            raise UserError("--out: the demo writes two manifests into its folder, notes.csv and birds.csv")
        manifests = {root / file: clips for file, clips in render_demo(root).items()}
    else:
        if not root.is_dir():
            raise UserError(f"{root}: no such folder; expected the unpacked data set {name}")
        clips = READERS[name](root, **folds)
        manifests = {out or root / "manifest.csv": clips}
        if (CARDS / f"{name}.yaml").is_file():
            found = differences(load_card(name), clips)
    replaced = [old for path, written in manifests.items() if (old := write_manifest(path, written))]
    return Prepared(dict(manifests), found, replaced)
