"""Splits for data sets that come without one: by a hash, so that they never change."""

import hashlib
from collections.abc import Iterable
from math import ceil


def hash_fraction(text: str) -> float:
    """Give a number in [0, 1) that depends on `text` alone.

    >>> round(hash_fraction("102844b"), 3)
    0.011
    """
    return int(hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:13], 16) / 16**13


def split_by_hash(text: str, valid: float = 0.1, test: float = 0.2) -> str:
    """`train`, `valid` or `test`, for about those shares of all texts."""
    fraction = hash_fraction(text)
    if fraction < test:
        return "test"
    return "valid" if fraction < test + valid else "train"


def smallest_hashes(names: Iterable[str], share: float) -> set[str]:
    """Choose about `share` of distinct names, at least one where there are two."""
    ordered = sorted(set(names), key=hash_fraction)
    return set(ordered[: ceil(share * len(ordered)) if len(ordered) > 1 else 0])
