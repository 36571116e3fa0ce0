"""Shares and means that may have nothing to divide by."""

from collections.abc import Sequence


def ratio(part: float, whole: float) -> float | None:
    """Divide; None where there is nothing to divide by.

    >>> ratio(1, 4), ratio(0, 0)
    (0.25, None)
    """
    return part / whole if whole else None


def mean_of(values: Sequence[float | None]) -> float | None:
    """Average what is not None; None where nothing is left.

    >>> mean_of([1.0, None, 2.0]), mean_of([None])
    (1.5, None)
    """
    found = [value for value in values if value is not None]
    return ratio(sum(found), len(found))
