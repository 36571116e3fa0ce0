"""Whether two classifiers differ by more than the choice of test clips explains."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

N_RESAMPLES = 2000


@dataclass(frozen=True)
class Difference:
    """A difference of means, the first minus the second, and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def within_spread(self) -> bool:
        """Tell whether the interval holds 0."""
        return self.low <= 0 <= self.high


def paired_bootstrap(
    first: npt.ArrayLike, second: npt.ArrayLike, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Difference:
    """Give percentile interval of the difference of two means over the same clips, drawn anew with replacement.

    Args:
        first: a value of every clip, such as the share of runs that classify it right.
        second: those of the same clips in the same order.
        n_resamples: how often the clips are drawn.
        seed: of the draws; the same one gives the same interval.

    Shape:
        first, second: `(clip,)`.

    Raises:
        ValueError: no clips, or not as many in both.

    Reference:
        Efron, Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.

    >>> paired_bootstrap([1, 1, 1], [0, 0, 0])
    Difference(mean=1.0, low=1.0, high=1.0)
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(f"first and second must hold one value per clip, got the shapes {a.shape} and {b.shape}")
    differences, rng = a - b, np.random.default_rng(seed)
    # one draw at a time: all of them at once are gigabytes for a large test split
    means = [differences[rng.integers(0, len(a), len(a))].mean() for _ in range(n_resamples)]
    low, high = np.quantile(means, (0.025, 0.975))
    return Difference(float(differences.mean()), float(low), float(high))
