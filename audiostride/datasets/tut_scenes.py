"""TUT Urban Acoustic Scenes 2018, development set: `meta.csv` and the lists of fold 1."""

from collections import defaultdict
from pathlib import Path

from audiostride.data.manifest import Clip
from audiostride.datasets.splits import smallest_hashes
from audiostride.datasets.tables import read_lines, read_rows
from audiostride.errors import UserError

NAME = "TUT Urban Acoustic Scenes 2018"
VALID_SHARE = 0.15  # of every scene's locations in the training fold


def _listed(path: Path) -> list[str]:
    return [line.split("\t")[0].strip() for line in read_lines(path, NAME)]


def read_tut_scenes(root: Path) -> list[Clip]:
    """Give the segments of the development set in `root`, labelled in the column `scene`.

    Test is the test list of fold 1. Of its training list, the locations with the smallest hashes, 15 % of every
    scene's, are split off as valid, so that no location is in two splits.

    Raises:
        UserError: not the layout of the data set.

    Reference:
        Mesaros, Heittola, Virtanen, "A multi-device dataset for urban acoustic scene classification", 2018.
    """
    rows = read_rows(root / "meta.csv", ("filename", "scene_label", "identifier"), NAME, delimiter="\t")
    of_file = {row["filename"]: row for row in rows}
    setup = root / "evaluation_setup"
    lists = {"train": _listed(setup / "fold1_train.txt"), "test": _listed(setup / "fold1_test.txt")}
    for split, names in lists.items():
        if unknown := [name for name in names if name not in of_file]:
            raise UserError(f"{setup / f'fold1_{split}.txt'}: {len(unknown)} file(s) not in meta.csv, as {unknown[0]}")
    locations = defaultdict(set)
    for name in lists["train"]:
        locations[of_file[name]["scene_label"]].add(of_file[name]["identifier"])
    held_out = {location for places in locations.values() for location in smallest_hashes(places, VALID_SHARE)}
    clips = []
    for split, names in lists.items():
        for name in names:
            row = of_file[name]
            part = "valid" if split == "train" and row["identifier"] in held_out else split
            clips.append(Clip(root / name, part, {"scene": row["scene_label"]}))
    return clips
