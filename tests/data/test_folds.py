"""Folds in place of splits: which clip is where, and what is told where a manifest has none."""

from pathlib import Path

import pytest

from audiostride.data.folds import common_folds, fold_names, split_by_fold
from audiostride.data.manifest import Clip, Manifest, read_manifest, write_manifest
from audiostride.errors import UserError


def manifest(*folds: str | None, path: str = "m.csv") -> Manifest:
    clips = tuple(Clip(Path(f"{i}.wav"), "test", {"label": "a"}, fold=fold) for i, fold in enumerate(folds))
    return Manifest(Path(path), clips, ("label",))


def splits(split: Manifest) -> list[str]:
    return [clip.split for clip in split.clips]


def test_a_fold_makes_a_round_trip_and_is_no_label(tmp_path: Path) -> None:
    clips = (Clip(tmp_path / "a.wav", "train", {"label": "cat"}, fold="2"), Clip(tmp_path / "b.wav", "train"))
    write_manifest(tmp_path / "m.csv", clips)
    assert (tmp_path / "m.csv").read_text().splitlines() == [
        "path,split,fold,label",
        "a.wav,train,2,cat",
        "b.wav,train,,",
    ]
    read = read_manifest(tmp_path / "m.csv")
    assert read.clips == clips
    assert read.label_columns == ("label",)


def test_folds_are_in_the_order_of_their_numbers() -> None:
    assert fold_names(manifest("10", "2", "1", "2")) == ("1", "2", "10")


def test_folds_count_and_the_column_split_does_not() -> None:
    folded = manifest("1", "2", "3", "2")
    assert splits(split_by_fold(folded, "2", "3")) == ["train", "test", "valid", "test"]
    assert splits(split_by_fold(folded, "1")) == ["test", "train", "train", "train"]
    assert splits(folded) == ["test"] * 4


def test_a_manifest_without_folds_is_told() -> None:
    with pytest.raises(UserError, match=r"m\.csv:1: no column 'fold' with values"):
        fold_names(manifest(None, None))


def test_rows_without_a_fold_are_told() -> None:
    with pytest.raises(UserError, match=r"m\.csv: 2 of 3 rows have no fold, the first is 1\.wav"):
        split_by_fold(manifest("1", None, None), "1")


@pytest.mark.parametrize(("folds", "key"), [(("4", None), "test_fold"), (("1", "4"), "valid_fold")])
def test_a_fold_that_is_not_there_is_told(folds: tuple[str, str | None], key: str) -> None:
    with pytest.raises(UserError, match=rf"data\.{key}: '4' is no fold of m\.csv, which has 1, 2, 3"):
        split_by_fold(manifest("1", "2", "3"), *folds)


def test_manifests_with_other_folds_are_told() -> None:
    assert common_folds([manifest("1", "2"), manifest("2", "2", "1", path="n.csv")]) == ("1", "2")
    with pytest.raises(UserError, match=r"n\.csv: its folds are 1, 3, those of m\.csv are 1, 2"):
        common_folds([manifest("1", "2"), manifest("1", "3", path="n.csv")])
