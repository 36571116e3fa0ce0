"""Accuracy, macro F1 and mean average precision against cases counted by hand, and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from audiostride.evaluation.measures import (
    areas_under_roc,
    average_precisions,
    choose_measure,
    f1_scores,
    measure,
    micro_average_precision,
    trivial,
)


@pytest.fixture
def answers() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and truth `(clip, class)` of 200 clips and four classes."""
    rng = np.random.default_rng(0)
    truth = rng.random((200, 4)) < [0.5, 0.2, 0.05, 0.8]
    return torch.from_numpy(rng.normal(size=(200, 4)) + 1.5 * truth - 1), torch.from_numpy(truth)


def test_average_precision_counted_by_hand() -> None:
    """From the top: yes, no, yes. Precision 1 at the first hit, 2/3 at the second."""
    scores, truth = torch.tensor([[3.0], [2.0], [1.0]]), torch.tensor([[True], [False], [True]])
    assert average_precisions(scores, truth) == [pytest.approx((1 + 2 / 3) / 2)]


def test_large_scores_keep_their_order() -> None:
    """A sigmoid would make 40 and 80 equal, and a yes and a no share the first place."""
    scores, truth = torch.tensor([[80.0], [40.0]]), torch.tensor([[True], [False]])
    assert average_precisions(scores, truth) == [1.0]
    assert areas_under_roc(scores, truth) == [1.0]


def test_per_class_and_micro_as_scikit_learn(answers: tuple[torch.Tensor, torch.Tensor]) -> None:
    scores, truth = answers
    columns = list(zip(truth.T.numpy(), scores.T.numpy(), strict=True))
    assert average_precisions(scores, truth) == pytest.approx([average_precision_score(*c) for c in columns])
    assert areas_under_roc(scores, truth) == pytest.approx([roc_auc_score(*c) for c in columns])
    assert f1_scores(scores > 0, truth) == pytest.approx([f1_score(y, s > 0) for y, s in columns])
    expected = average_precision_score(truth.numpy(), scores.numpy(), average="micro")
    assert micro_average_precision(scores, truth) == pytest.approx(expected)


def test_means_leave_out_classes_that_no_clip_has() -> None:
    logits = torch.tensor([[1.0, 1.0, -1.0], [-1.0, 1.0, -1.0]])
    labels = torch.tensor([[1, 0, 0], [0, 0, 0]])
    assert measure("map", logits, labels) == 1.0
    assert measure("macro_f1", logits, labels) == 1.0
    assert measure("accuracy", logits, labels) == 0.0  # the second class is found where it is not


def test_a_task_of_one_class_each_is_measured_by_the_likeliest() -> None:
    logits, labels = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 0.0]]), torch.tensor([0, 1, 2])
    assert measure("accuracy", logits, labels) == pytest.approx(2 / 3)
    assert measure("macro_f1", logits, labels) == pytest.approx((1 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (torch.tensor([0, 0, 1, 1]), "accuracy"),
        (torch.tensor([0, 0, 0, 1]), "macro_f1"),
        (torch.tensor([[0, 1], [1, 1]]), "map"),
        (torch.empty(0, dtype=torch.int64), "accuracy"),
    ],
)
def test_which_measure_is_the_default(labels: torch.Tensor, expected: str) -> None:
    assert choose_measure("auto", labels) == expected
    assert choose_measure("accuracy", labels) == "accuracy"


def test_what_learning_nothing_reaches() -> None:
    """Each against the measure of a model that does just that."""
    labels = torch.tensor([0, 0, 0, 1])
    always = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
    for name in ("accuracy", "macro_f1"):
        assert trivial(name, labels, ("a", "b")) == ("a", pytest.approx(measure(name, always, labels)))
    several = torch.tensor([[1, 0], [0, 0], [0, 0], [1, 1]])
    assert trivial("accuracy", several, ("a", "b")) == ("no class", measure("accuracy", -torch.ones(4, 2), several))
    assert trivial("map", several, ("a", "b")) == ("guesses", pytest.approx((0.5 + 0.25) / 2))
