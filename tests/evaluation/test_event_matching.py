"""Annotated and predicted events, paired one to one: cases counted by hand, and what holds of any events."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostride.errors import ArgumentError
from audiostride.evaluation.event_matching import Collar, Criterion, Overlap, as_spans, match

Times = list[tuple[float, float]]


def pairs(annotated: Times, predicted: Times, criterion: Criterion) -> list[tuple[int, int]]:
    return sorted(map(tuple, match(as_spans(annotated), as_spans(predicted), criterion).tolist()))


@pytest.mark.parametrize(
    ("annotated", "predicted", "min_iou", "expected"),
    [
        ([(0, 1)], [(0, 1)], 1.0, [(0, 0)]),
        ([(0, 1)], [(0.5, 1.5)], 1 / 3, [(0, 0)]),  # 0.5 of 1.5
        ([(0, 1)], [(0.5, 1.5)], 0.34, []),
        ([(0, 1)], [(1, 2)], 0.01, []),  # they touch, and share nothing
        ([(0, 1)], [(3, 4)], 0.01, []),
        ([(0, 10)], [(4, 6)], 0.2, [(0, 0)]),  # within it: 2 of 10
        ([(4, 6)], [(0, 10)], 0.2, [(0, 0)]),
        ([(4, 5.9)], [(0, 10)], 0.2, []),
    ],
)
def test_iou_of_two_events(annotated: Times, predicted: Times, min_iou: float, expected: list[tuple[int, int]]) -> None:
    assert pairs(annotated, predicted, Overlap(min_iou)) == expected


def test_one_prediction_over_two_annotations_is_one_hit() -> None:
    assert len(pairs([(0, 1), (1.2, 2.2)], [(0, 2.2)], Overlap(0.2))) == 1


def test_two_predictions_in_one_annotation_are_one_hit() -> None:
    assert len(pairs([(0, 2)], [(0, 0.9), (1, 2)], Overlap(0.2))) == 1


def test_overlapping_annotations_are_each_matched() -> None:
    assert pairs([(0, 2), (1, 3)], [(1.2, 3.2), (0, 1.8)], Overlap(0.5)) == [(0, 1), (1, 0)]


def test_a_pair_gives_way_to_two() -> None:
    """The first prediction fits the second annotation best, which has another one; the first annotation has not."""
    annotated, predicted = [(0.0, 2.0), (1.0, 3.0)], [(0.9, 2.9), (2.0, 4.0)]
    assert pairs(annotated, predicted, Overlap(0.3)) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("point_s", "n_pairs"), [(0.9, 0), (1.0, 1), (1.5, 1), (2.0, 1), (2.1, 0)])
def test_a_point_fits_an_event_that_it_lies_in(point_s: float, n_pairs: int) -> None:
    assert len(pairs([(point_s, point_s)], [(1, 2)], Overlap(0.9))) == n_pairs


def test_two_points_in_one_event_are_one_hit() -> None:
    assert len(pairs([(1.2, 1.2), (1.4, 1.4)], [(1, 2)], Overlap())) == 1


@pytest.mark.parametrize(
    ("predicted", "n_pairs"),
    [
        ((1.2, 2.0), 1),  # the onset by the collar
        ((1.21, 2.0), 0),
        ((0.8, 2.0), 1),
        ((0.79, 2.0), 0),
        ((1.0, 2.5), 1),  # the offset by half of the second
        ((1.0, 2.51), 0),
        ((1.0, 1.5), 1),
        ((1.0, 1.49), 0),
    ],
)
def test_a_collar_holds_at_both_ends(predicted: tuple[float, float], n_pairs: int) -> None:
    assert len(pairs([(1.0, 2.0)], [predicted], Collar(0.2))) == n_pairs


def test_the_offset_of_a_short_event_has_the_collar() -> None:
    assert pairs([(1, 1.1)], [(1, 1.3)], Collar(0.2)) == [(0, 0)]
    assert pairs([(1, 1.1)], [(1, 1.31)], Collar(0.2)) == []


def test_a_collar_does_not_ask_for_overlap() -> None:
    assert pairs([(1, 1.1)], [(1.15, 1.25)], Collar(0.2)) == [(0, 0)]


def test_a_point_has_a_collar_too() -> None:
    assert pairs([(1, 1)], [(0.9, 1.2)], Collar(0.2)) == [(0, 0)]
    assert pairs([(1, 1)], [(0.9, 1.3)], Collar(0.2)) == []


def test_a_collar_of_nothing_asks_for_the_same_times() -> None:
    assert pairs([(0.1 + 0.2, 1)], [(0.3, 1)], Collar(0, 0)) == [(0, 0)]
    assert pairs([(0.3, 1)], [(0.301, 1)], Collar(0, 0)) == []


@pytest.mark.parametrize(("annotated", "predicted"), [([], []), ([(0, 1)], []), ([], [(0, 1)])])
def test_nothing_pairs_with_nothing(annotated: Times, predicted: Times) -> None:
    assert match(as_spans(annotated), as_spans(predicted), Overlap()).shape == (0, 2)


@pytest.mark.parametrize("min_iou", [0, -1, 1.1, float("nan")])
def test_an_overlap_that_cannot_be(min_iou: float) -> None:
    with pytest.raises(ArgumentError, match=r"min_iou=.*expected a share"):
        Overlap(min_iou)


@pytest.mark.parametrize("arguments", [{"collar_s": -0.1}, {"collar_s": float("nan")}, {"offset_share": 2}])
def test_a_collar_that_cannot_be(arguments: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match="expected"):
        Collar(**arguments)


tenths = st.integers(0, 60)
events = st.lists(st.tuples(tenths, st.integers(0, 20)), max_size=7).map(
    lambda drawn: [(start / 10, (start + length) / 10) for start, length in drawn]
)
detections = events.map(lambda spans: [(start, max(end, start + 0.1)) for start, end in spans])
criteria = st.sampled_from([Overlap(0.2), Overlap(0.5), Collar(0.2), Collar(0.55, 0.1)])


def fitting(annotated: Times, predicted: Times, criterion: Criterion) -> np.ndarray:
    """All pairs at once, without looking for the near ones."""
    table = np.zeros((len(annotated), len(predicted)), bool)
    for i, j in itertools.product(range(len(annotated)), range(len(predicted))):
        table[i, j] = criterion.fits(as_spans([annotated[i]]), as_spans([predicted[j]]))[0]
    return table


def n_greedy(table: np.ndarray) -> int:
    taken: set[int] = set()
    for row in table:
        taken |= {next((j for j in np.flatnonzero(row).tolist() if j not in taken), -1)}
    return len(taken - {-1})


def n_best(table: np.ndarray) -> int:
    """The most pairs that any assignment has, tried out."""
    if not len(table):
        return 0
    rest = n_best(table[1:])
    for j in np.flatnonzero(table[0]):
        without = table[1:].copy()
        without[:, j] = False
        rest = max(rest, 1 + n_best(without))
    return rest


@given(events, detections, criteria)
def test_pairs_are_one_to_one_and_as_many_as_can_be(annotated: Times, predicted: Times, criterion: Criterion) -> None:
    found = pairs(annotated, predicted, criterion)
    table = fitting(annotated, predicted, criterion)
    assert all(table[i, j] for i, j in found)
    assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found)
    assert n_greedy(table) <= len(found) == n_best(table)
