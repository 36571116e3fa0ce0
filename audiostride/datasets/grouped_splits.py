"""Splits of whole groups of recordings, in given shares."""

from collections.abc import Iterable, Mapping, Sequence

from audiostride.data.manifest import SPLITS
from audiostride.datasets.splits import hash_fraction
from audiostride.errors import ArgumentError


def parse_shares(text: str) -> tuple[float, ...]:
    """Read the shares of train, valid and test.

    Raises:
        ArgumentError: not three numbers of at least 0 whose sum is 1.

    >>> parse_shares("0.7,0.15,0.15")
    (0.7, 0.15, 0.15)
    """
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != len(SPLITS) or not all(share >= 0 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise ArgumentError("shares", text, "expected three numbers of train, valid and test with the sum 1")
    return shares


def share_out(n_items: int, shares: Sequence[float]) -> list[int]:
    """Share out items: by the largest remainders, and one to every split that has a share, if there are enough.

    >>> share_out(8, (0.8, 0.1, 0.1)), share_out(3, (0.8, 0.1, 0.1))
    ([6, 1, 1], [1, 1, 1])
    """
    counts = [int(share * n_items) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - shares[i] * n_items)
    for i in by_remainder[: n_items - sum(counts)]:
        counts[i] += 1
    for i, share in enumerate(shares):
        if share > 0 and counts[i] == 0 and max(counts) > 1:
            counts[counts.index(max(counts))] -= 1
            counts[i] = 1
    return counts


def split_groups(names: Iterable[str], shares: Sequence[float], seed: int = 0) -> Mapping[str, str]:
    """Give the split of every group: which ones go where depends on their names and the seed alone.

    Args:
        names: of the groups.
        shares: of the groups that go to train, valid and test.
        seed: another one gives other splits.
    """
    ordered = sorted(set(names), key=lambda name: (hash_fraction(f"{seed}/{name}"), name))
    of_place = [split for split, n in zip(SPLITS, share_out(len(ordered), shares), strict=True) for _ in range(n)]
    return dict(zip(ordered, of_place, strict=True))
