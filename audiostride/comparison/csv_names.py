"""The files that a comparison is written to as CSV; known before anything is compared."""

from pathlib import Path

CSV_TABLES = ("runs", "accuracy", "cost", "strides", "differences")


def csv_path(path: Path, table: str) -> Path:
    """Name the file of one table beside that of everything.

    >>> csv_path(Path("all.csv"), "cost").name
    'all-cost.csv'
    """
    return path.with_name(f"{path.stem}-{table}{path.suffix}")
