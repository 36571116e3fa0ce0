"""Splits for data sets that come without one: by a hash, so that they never change."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from math import ceil

from audiostride.data.manifest import SPLITS

VALID_SHARE, TEST_SHARE = 0.1, 0.2


def hash_fraction(text: str) -> float:
    """Give a number in [0, 1) that depends on `text` alone.

    >>> round(hash_fraction("102844b"), 3)
    0.011
    """
    return int(hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:13], 16) / 16**13


def split_by_hash(text: str) -> str:
    """Give `test` for about a fifth of all texts, `valid` for a tenth, `train` for the others."""
    fraction = hash_fraction(text)
    if fraction < TEST_SHARE:
        return "test"
    return "valid" if fraction < TEST_SHARE + VALID_SHARE else "train"


def split_class(names: Iterable[str]) -> dict[str, str]:
    """Split the recordings of one class by their hashes; of three or more at least one is in each split.

    A split that the hashes leave empty takes the recording of the smallest hash from the largest split.

    >>> sorted(split_class(["1.wav", "2.wav", "3.wav"]).values())
    ['test', 'train', 'valid']
    """
    splits = {name: split_by_hash(name) for name in sorted(set(names), key=hash_fraction)}
    for split in SPLITS if len(splits) >= len(SPLITS) else ():
        if split not in splits.values():
            (largest, _), *_ = Counter(splits.values()).most_common(1)
            splits[next(name for name in splits if splits[name] == largest)] = split
    return splits


def smallest_hashes(names: Iterable[str], share: float) -> set[str]:
    """Choose about `share` of distinct names, at least one where there are two."""
    ordered = sorted(set(names), key=hash_fraction)
    return set(ordered[: ceil(share * len(ordered)) if len(ordered) > 1 else 0])
