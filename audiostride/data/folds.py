"""Folds of a manifest in place of its splits: one is for test, one for valid, the others are train."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from audiostride.data.manifest import FOLD_COLUMN, Manifest, sort_classes
from audiostride.errors import UserError


def fold_names(manifest: Manifest) -> tuple[str, ...]:
    """List the folds of a manifest, numerically if all are numbers.

    Raises:
        UserError: no column `fold`, or rows without a value in it.
    """
    without = [clip.path for clip in manifest.clips if clip.fold is None]
    if len(without) == len(manifest.clips):
        raise UserError(f"{manifest.path}:1: no column {FOLD_COLUMN!r} with values, expected the fold of every row")
    if without:
        raise UserError(
            f"{manifest.path}: {len(without)} of {len(manifest.clips)} rows have no {FOLD_COLUMN}, "
            f"the first is {without[0]}"
        )
    return sort_classes({clip.fold for clip in manifest.clips if clip.fold is not None})


def split_by_fold(manifest: Manifest, test_fold: str, valid_fold: str | None = None) -> Manifest:
    """Give the manifest with the split of every clip by its fold; its column `split` counts no more.

    Args:
        manifest: has a fold for every row.
        test_fold: whose clips are test.
        valid_fold: whose clips are valid; without one there are none, and all others are train.

    Raises:
        UserError: no folds, or none of that name.
    """
    known = fold_names(manifest)
    for key, fold in (("test_fold", test_fold), ("valid_fold", valid_fold)):
        if fold is not None and fold not in known:
            raise UserError(
                f"data.{key}: {fold!r} is no {FOLD_COLUMN} of {manifest.path}, which has {', '.join(known)}"
            )
    splits = dict.fromkeys(known, "train") | ({} if valid_fold is None else {valid_fold: "valid"}) | {test_fold: "test"}
    clips = tuple(replace(clip, split=splits[clip.fold or ""]) for clip in manifest.clips)
    return replace(manifest, clips=clips)


def common_folds(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """List the folds of manifests, which are to have the same ones.

    Raises:
        UserError: a manifest without folds, or with others than the first.
    """
    folds: dict[Path, tuple[str, ...]] = {manifest.path: fold_names(manifest) for manifest in manifests}
    (first, names), *others = folds.items()
    for path, other in others:
        if other != names:
            raise UserError(f"{path}: its folds are {', '.join(other)}, those of {first} are {', '.join(names)}")
    return names
