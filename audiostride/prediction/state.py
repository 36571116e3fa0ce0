"""What a prediction keeps beside its results, in a hidden folder next to them."""

from collections.abc import Collection
from itertools import product
from pathlib import Path

from audiostride.prediction.journal import journalled_files, settings_of
from audiostride.prediction.tables import COLUMNS

TABLES_LAYOUT = 3  # of what is written from logits
TABLES_BEFORE = ("files", "windows")  # of older layouts


class State:
    """The files of the state of a prediction into a folder, and what to delete for another one.

    Args:
        out: the folder of the results.
        tag: what their names end with.
    """

    def __init__(self, out: Path, tag: str) -> None:
        self.out, self.tag = out, tag
        self.folder = out / f".predict{tag}"
        self.predicted = self.folder / "journal.jsonl"  # which recordings were predicted
        self.written = self.folder / "tables.jsonl"  # which recordings are in the tables
        self.logits = self.folder / "logits.f4"
        self.events = self.folder / "events.jsonl"
        self.part = self.folder / "part.json"  # is there once a part of the recordings is finished
        self.hours_written = self.folder / "hours"  # is there where the next two are of this prediction
        self.hours_table, self.hours_picture = out / f"hours{tag}.csv", out / f"hours{tag}.png"

    def known_tables(self) -> Collection[str]:
        """Name the tables in the output folder that an earlier call wrote."""
        is_new = settings_of(self.written).get("layout") == TABLES_LAYOUT or self.events.exists()
        return COLUMNS if is_new else TABLES_BEFORE

    def remove_tables(self, names: Collection[str]) -> None:
        """Delete the tables called `names` and what else an earlier call wrote, the journal of tables last."""
        if self.hours_written.exists():
            for path in (self.hours_table, self.hours_picture, self.hours_written):
                path.unlink(missing_ok=True)
        for name in journalled_files(self.written):
            (self.out / name).unlink(missing_ok=True)
        for name, ending in product(names, ("csv", "jsonl", "parquet")):
            for folder in (self.out, self.folder):
                (folder / f"{name}{self.tag}.{ending}").unlink(missing_ok=True)
        self.events.unlink(missing_ok=True)
        self.written.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Delete all that an earlier call left, the journal of what was predicted last."""
        self.part.unlink(missing_ok=True)
        for name in journalled_files(self.predicted):  # where layout 1 noted the files of events
            (self.out / name).unlink(missing_ok=True)
        self.remove_tables(COLUMNS)
        self.logits.unlink(missing_ok=True)
        self.predicted.unlink(missing_ok=True)
