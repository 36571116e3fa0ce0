"""DCASE 2018 task 3, bird audio detection: any of its three development sets."""

from pathlib import Path

from audiostride.data.manifest import Clip
from audiostride.datasets.splits import split_by_hash
from audiostride.datasets.tables import read_rows
from audiostride.errors import UserError

NAME = "bird detection data (freefield1010, warblrb10k, BirdVox-20k)"
LABELS = {"0": "no_bird", "1": "bird"}


def _tables(root: Path) -> list[Path]:
    """Give CSV files that begin with the columns of the challenge, in `root` or a folder of it."""
    found = []
    for path in sorted([*root.glob("*.csv"), *root.glob("*/*.csv")]):
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            if file.readline().strip().startswith("itemid,datasetid,hasbird"):
                found.append(path)
    return found


def has_birds(root: Path) -> bool:
    """Tell whether a table of the challenge lies in `root` or in a folder of it."""
    return bool(_tables(root))


def _recording(table: Path, item: str, subset: str) -> Path:
    places = [table.parent / "wav", table.parent / subset / "wav", table.parent / subset]
    return next((path for place in places if (path := place / f"{item}.wav").is_file()), places[0] / f"{item}.wav")


def read_birds(root: Path) -> list[Clip]:
    """Give the recordings of the development sets in `root`, `bird` or `no_bird` in the column `bird`.

    The sets have no split: a hash of the item id puts about 20 % into test and 10 % into valid.

    Raises:
        UserError: no metadata of the challenge in `root`, or a label that is neither 0 nor 1.

    Reference:
        Stowell et al., "Automatic acoustic detection of birds through deep learning: the first Bird Audio
        Detection challenge", 2018.
    """
    tables = _tables(root)
    if not tables:
        raise UserError(f"{root}: no CSV with the columns itemid,datasetid,hasbird; expected the {NAME}")
    clips = []
    for table in tables:
        for row in read_rows(table, ("itemid", "datasetid", "hasbird"), NAME):
            if row["hasbird"] not in LABELS:
                raise UserError(f"{table}: {row['itemid']}: hasbird is {row['hasbird']!r}, expected 0 or 1")
            path = _recording(table, row["itemid"], row["datasetid"])
            clips.append(Clip(path, split_by_hash(row["itemid"]), {"bird": LABELS[row["hasbird"]]}))
    return clips
