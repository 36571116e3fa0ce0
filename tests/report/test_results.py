"""Results per class, confused pairs and the interval of the accuracy."""

import numpy as np
import pytest
import torch

from audiostride.evaluation.scores import TaskScore, score
from audiostride.report.results import ConfusedPair, accuracy_interval, cells, confused_pairs

CLASSES = ("wren", "robin", "none", "owl")


@pytest.fixture(scope="module")
def result() -> TaskScore:
    """Eight files; no file is an owl and none is taken for one, one robin and both none are taken for wrens."""
    labels, predicted = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2]), torch.tensor([0, 0, 1, 1, 1, 0, 0, 0])
    return score(torch.eye(4)[predicted], labels, torch.ones(8), CLASSES)


def test_precision_recall_and_f1_of_every_class(result: TaskScore) -> None:
    wren, robin, none, owl = result.by_class
    assert (wren.precision, wren.recall, wren.n_clips) == (2 / 5, 2 / 3, 3)
    assert wren.f1 == pytest.approx(2 * (2 / 5) * (2 / 3) / (2 / 5 + 2 / 3))
    assert (robin.precision, robin.recall, robin.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (none.precision, none.recall, none.f1) == (None, 0, 0)
    assert (owl.precision, owl.recall, owl.f1, owl.n_clips) == (None, None, None, 0)


def test_the_mean_f1_is_that_of_the_score() -> None:
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(200, 5, generator=rng), torch.randint(5, (200,), generator=rng)
    scored = score(logits, labels, torch.ones(200), tuple("abcde"))
    assert np.mean([of_class.f1 for of_class in scored.by_class]) == pytest.approx(scored.macro_f1)


def test_confused_pairs_are_the_mistakes_the_most_frequent_first(result: TaskScore) -> None:
    assert confused_pairs(result) == [
        ConfusedPair("none", "wren", 2, 1.0),
        ConfusedPair("robin", "wren", 1, 1 / 3),
        ConfusedPair("wren", "robin", 1, 1 / 3),
    ]
    assert len(confused_pairs(result, n_pairs=1)) == 1


def test_cells_add_up_to_all_files(result: TaskScore) -> None:
    assert sum(cell.n_files for cell in cells(result)) == 8
    assert sum(cell.share for cell in cells(result) if cell.row == 0) == pytest.approx(1)


def test_interval_is_that_of_a_binomial_for_independent_files() -> None:
    right = np.arange(400) < 300
    low, high = accuracy_interval(right, range(400))
    error = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert (low, high) == (pytest.approx(0.75 - error, abs=0.01), pytest.approx(0.75 + error, abs=0.01))


def test_segments_of_one_recording_are_no_independent_evidence() -> None:
    right = np.arange(400) % 40 < 30
    whole = accuracy_interval(np.repeat(np.arange(40) < 30, 10), np.repeat(np.arange(40), 10).tolist())
    single = accuracy_interval(right, range(400))
    assert whole[1] - whole[0] > 2 * (single[1] - single[0])
