"""What several runs reach together."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Values of several runs; the deviation is that of a sample, None for a single run."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Average the values."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Compute the sample standard deviation, None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def low(self) -> float:
        """Find the lowest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """Find the highest value."""
        return max(self.values)
