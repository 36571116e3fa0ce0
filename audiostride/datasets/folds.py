"""Data sets that come in numbered folds: ESC-50 and UrbanSound8K."""

from collections.abc import Sequence
from pathlib import Path

from audiostride.data.manifest import Clip
from audiostride.datasets.tables import read_rows
from audiostride.errors import ArgumentError, UserError

N_ESC50, N_URBANSOUND8K = 5, 10  # folds; by default the last is test, the one before it valid
N_FOLDS = {"esc50": N_ESC50, "urbansound8k": N_URBANSOUND8K}


def _split(fold: str, n_folds: int, valid_fold: int, test_fold: int, table: Path) -> str:
    if fold not in [str(number) for number in range(1, n_folds + 1)]:
        raise UserError(f"{table}: fold is {fold!r}, expected 1 to {n_folds}")
    return {str(test_fold): "test", str(valid_fold): "valid"}.get(fold, "train")


def check_folds(name: str, **folds: int) -> None:
    """Raise UserError for a `valid_fold` or `test_fold` that the data set `name` cannot have."""
    if not folds:
        return
    if name not in N_FOLDS:
        option, fold = next(iter(folds.items()))
        raise ArgumentError(option, fold, f"{name} does not come in folds")
    n_folds = N_FOLDS[name]
    for option, fold in folds.items():
        if not 1 <= fold <= n_folds:
            raise ArgumentError(option, fold, f"expected 1 to {n_folds}")
    chosen = {"valid_fold": n_folds - 1, "test_fold": n_folds} | folds
    if chosen["valid_fold"] == chosen["test_fold"]:
        listing = ", ".join(f"--{option.replace('_', '-')} {fold}" for option, fold in chosen.items())
        raise UserError(f"{listing}: expected two different folds")


def read_esc50(root: Path, valid_fold: int = N_ESC50 - 1, test_fold: int = N_ESC50) -> list[Clip]:
    """Give the recordings of ESC-50 in `root`, labelled in the column `sound`; the other three folds are train.

    Raises:
        UserError: not the layout of ESC-50, or a fold that is not in 1 to 5.

    Reference:
        Piczak, "ESC: Dataset for Environmental Sound Classification", 2015.
    """
    check_folds("esc50", valid_fold=valid_fold, test_fold=test_fold)
    table = root / "meta" / "esc50.csv"
    return [
        Clip(
            root / "audio" / row["filename"],
            _split(row["fold"], N_ESC50, valid_fold, test_fold, table),
            {"sound": row["category"]},
            fold=row["fold"],
        )
        for row in read_rows(table, ("filename", "fold", "category"), "ESC-50")
    ]


def read_urbansound8k(root: Path, valid_fold: int = N_URBANSOUND8K - 1, test_fold: int = N_URBANSOUND8K) -> list[Clip]:
    """Give the slices of UrbanSound8K in `root`, labelled in the column `sound`; the other eight folds are train.

    Raises:
        UserError: not the layout of UrbanSound8K, or a fold that is not in 1 to 10.

    Reference:
        Salamon, Jacoby, Bello, "A dataset and taxonomy for urban sound research", 2014.
    """
    check_folds("urbansound8k", valid_fold=valid_fold, test_fold=test_fold)
    table = root / "metadata" / "UrbanSound8K.csv"
    columns: Sequence[str] = ("slice_file_name", "fold", "class")
    return [
        Clip(
            root / "audio" / f"fold{row['fold']}" / row["slice_file_name"],
            _split(row["fold"], N_URBANSOUND8K, valid_fold, test_fold, table),
            {"sound": row["class"]},
            fold=row["fold"],
        )
        for row in read_rows(table, columns, "UrbanSound8K")
    ]
