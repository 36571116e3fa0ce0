"""Annotated and predicted events of one class in one recording, paired one to one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audiostride.errors import ArgumentError

Spans = npt.NDArray[np.float64]  # (event, 2): start and end in seconds
Indices = npt.NDArray[np.intp]

TOLERANCE_S = 1e-6  # of times that are equal but for their decimals
MAX_COLLAR_S = 3600.0


@dataclass(frozen=True)
class Overlap:
    """Two events fit where their intersection is at least the share `min_iou` of their union.

    An annotated point has no length. It fits an event that it lies in.

    Raises:
        ArgumentError: a share that is not above 0, up to 1.
    """

    min_iou: float = 0.2

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 < self.min_iou <= 1:
            raise ArgumentError("min_iou", f"{self.min_iou:g}", "expected a share above 0, up to 1")

    @property
    def reach_s(self) -> float:
        """Say how far apart two events that fit may lie."""
        return 0.0

    def fits(self, annotated: Spans, predicted: Spans) -> npt.NDArray[np.bool_]:
        """Tell for every pair `(pair, 2)` whether its events fit, `(pair,)`."""
        starts, ends = np.maximum(annotated[:, 0], predicted[:, 0]), np.minimum(annotated[:, 1], predicted[:, 1])
        shared_s = ends - starts
        length_s = annotated[:, 1] - annotated[:, 0]
        union_s = length_s + predicted[:, 1] - predicted[:, 0] - shared_s
        overlaps = (shared_s > 0) & (shared_s + TOLERANCE_S >= self.min_iou * union_s)
        return np.where(length_s > 0, overlaps, shared_s >= -TOLERANCE_S)


@dataclass(frozen=True)
class Collar:
    """Two events fit where both their onsets and their offsets lie close to each other.

    Onsets may differ by `collar_s`, offsets by `collar_s` or by `offset_share` of the annotated event's length,
    whichever is more.

    Raises:
        ArgumentError: seconds or a share out of range.

    Reference:
        Mesaros, Heittola, Virtanen: Metrics for polyphonic sound event detection. Applied Sciences 6(6), 2016; the
        defaults are those of its implementation `sed_eval`.
    """

    collar_s: float = 0.2
    offset_share: float = 0.5

    def __post_init__(self) -> None:
        """Check seconds and share."""
        if not 0 <= self.collar_s <= MAX_COLLAR_S:
            raise ArgumentError("collar_s", f"{self.collar_s:g}", f"expected seconds, 0 to {MAX_COLLAR_S:g}")
        if not 0 <= self.offset_share <= 1:
            raise ArgumentError("offset_share", f"{self.offset_share:g}", "expected a share, 0 to 1")

    @property
    def reach_s(self) -> float:
        """Say how far apart two events that fit may lie."""
        return self.collar_s

    def fits(self, annotated: Spans, predicted: Spans) -> npt.NDArray[np.bool_]:
        """Tell for every pair `(pair, 2)` whether its events fit, `(pair,)`."""
        onset_s, offset_s = np.abs(annotated - predicted).T
        allowed_s = np.maximum(self.collar_s, self.offset_share * (annotated[:, 1] - annotated[:, 0]))
        fitting: npt.NDArray[np.bool_] = (onset_s <= self.collar_s + TOLERANCE_S) & (
            offset_s <= allowed_s + TOLERANCE_S
        )
        return fitting


Criterion = Overlap | Collar


def as_spans(events: npt.ArrayLike) -> Spans:
    """Give starts and ends in seconds as an array `(event, 2)`, also of none."""
    return np.asarray(events, np.float64).reshape(-1, 2)


def _near(annotated: Spans, predicted: Spans, reach_s: float) -> tuple[Indices, Indices]:
    """Give the pairs that may fit, since they overlap or lie within reach, without looking at all pairs."""
    order = np.argsort(predicted[:, 0], kind="stable")
    starts_s, latest_ends_s = predicted[order, 0], np.maximum.accumulate(predicted[order, 1])
    reach_s += 2 * TOLERANCE_S
    first = np.searchsorted(latest_ends_s, annotated[:, 0] - reach_s, "left")
    stop = np.searchsorted(starts_s, annotated[:, 1] + reach_s, "right")
    n_near = np.maximum(stop - first, 0)
    rows = np.repeat(np.arange(len(annotated)), n_near)
    places = np.arange(n_near.sum()) - np.repeat(n_near.cumsum() - n_near, n_near)
    return rows, order[np.repeat(first, n_near) + places]


def match(annotated: Spans, predicted: Spans, criterion: Criterion) -> Indices:
    """Pair events that fit, each with one other at most, so that there are as many pairs as there can be.

    Args:
        annotated: the events of one class in one recording.
        predicted: those that were detected.
        criterion: which two events fit.

    Returns:
        Indices `(pair, 2)` of annotated and predicted events.

    Shape:
        annotated, predicted: `(event, 2)`, start and end in seconds, in any order.

    Reference:
        The optimal assignment instead of a greedy one is that of Mesaros, Heittola, Virtanen (2016), section 3.

    >>> match(as_spans([(0, 1), (2, 3)]), as_spans([(2.2, 3.2), (5, 6)]), Overlap(0.5)).tolist()
    [[1, 0]]
    """
    from scipy.sparse import csr_matrix  # slow to import
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not len(annotated) or not len(predicted):
        return np.empty((0, 2), np.intp)
    rows, columns = _near(annotated, predicted, criterion.reach_s)
    fit = criterion.fits(annotated[rows], predicted[columns])
    edges = np.ones(fit.sum(), np.int8), (rows[fit], columns[fit])
    partner = maximum_bipartite_matching(csr_matrix(edges, shape=(len(annotated), len(predicted))), "column")
    paired = np.flatnonzero(partner >= 0)
    return np.stack([paired, partner[paired].astype(np.intp)], axis=1)
