"""Public data sets: the layout of each read into a manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audiostride.data.manifest import Clip, write_manifest
from audiostride.datasets.card import differences, load_card
from audiostride.datasets.demo import render_demo
from audiostride.datasets.speech_commands import read_speech_commands
from audiostride.errors import UserError

NAMES = ("speech_commands", "demo")


@dataclass(frozen=True)
class Prepared:
    """The manifests written, where the data differ from the data set's card, other manifests put aside."""

    manifests: dict[Path, Sequence[Clip]]
    differences: Sequence[str]
    replaced: Sequence[Path]


def prepare(name: str, root: Path, out: Path | None = None) -> Prepared:
    """Read the data set `name` in `root` and write its manifest.

    Args:
        name: one of `NAMES`; "demo" renders its recordings first.
        out: the manifest, by default `root/manifest.csv`; the demo has two, in `root`.

    Raises:
        UserError: an unknown name, or a folder without the layout of the data set.
    """
    if name == "demo":
        if out is not None:
            raise UserError("--out: the demo writes two manifests into its folder, notes.csv and birds.csv")
        manifests = {root / file: clips for file, clips in render_demo(root).items()}
        found: list[str] = []
    elif name == "speech_commands":
        if not root.is_dir():
            raise UserError(f"{root}: no such folder; expected the unpacked data set {name}")
        clips = read_speech_commands(root)
        manifests = {out or root / "manifest.csv": clips}
        found = differences(load_card(name), clips)
    else:
        raise UserError(f"{name}: no such data set, expected one of {', '.join(NAMES)}")
    replaced = [old for path, written in manifests.items() if (old := write_manifest(path, written))]
    return Prepared(dict(manifests), found, replaced)
