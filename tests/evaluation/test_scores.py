"""The score of a multi-label task, counted by hand."""

import pytest
import torch

from audiostride.evaluation.calibration import as_answers, calibrate
from audiostride.evaluation.probabilities import probabilities
from audiostride.evaluation.scores import score
from audiostride.evaluation.traits import Traits

CLASSES = ("cat", "crow", "owl")
LOGITS = torch.tensor([[2.0, -2.0, -3.0], [1.0, 1.0, -3.0], [-1.0, -1.0, -3.0], [-2.0, 0.5, -3.0]], dtype=torch.float64)
LABELS = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]])
MULTILABEL = Traits("multilabel")


def test_class_by_class() -> None:
    found = score(LOGITS, LABELS, torch.ones(4), CLASSES, traits=MULTILABEL)
    cat, crow, owl = found.by_class
    assert (cat.n_clips, cat.precision, cat.recall, cat.f1) == (3, 1.0, pytest.approx(2 / 3), pytest.approx(0.8))
    assert (crow.n_clips, crow.precision, crow.recall) == (1, 0.5, 1.0)
    assert (owl.n_clips, owl.average_precision, owl.auc, owl.precision, owl.recall, owl.f1) == (0, *[None] * 5)
    assert found.absent == ("owl",)
    assert found.mean_average_precision == pytest.approx((cat.average_precision + crow.average_precision) / 2)
    assert found.accuracy == 0.5  # all classes of a clip right: the first and the second
    assert (found.majority_class, found.majority_accuracy) == ("cat", 0.5)
    assert found.confusion == []
    assert found.as_dict()["by_class"][0]["name"] == "cat"


def test_thresholds_that_were_chosen_decide() -> None:
    chosen = Traits("multilabel", thresholds={"cat": 0.2, "crow": 0.7})
    cat, crow, owl = score(LOGITS, LABELS, torch.ones(4), CLASSES, traits=chosen).by_class
    assert (cat.threshold, cat.recall) == (0.2, 1.0)
    assert (crow.threshold, crow.precision) == (0.7, 1.0)
    assert owl.threshold == 0.5


def test_thresholds_of_a_task_of_one_class_leave_its_accuracy() -> None:
    logits, labels = torch.tensor([[1.0, 0.9], [0.0, 1.0]], dtype=torch.float64), torch.tensor([0, 1])
    found = score(logits, labels, torch.ones(2), ("a", "b"), traits=Traits(thresholds={"a": 0.9, "b": 0.5}))
    assert found.accuracy == 1.0
    assert [(each.threshold, each.recall) for each in found.by_class] == [(0.9, 0.0), (0.5, 1.0)]


def test_yes_and_no_are_two_classes_with_the_same_probabilities() -> None:
    answers, labels, clips = as_answers(LOGITS.numpy(), LABELS.numpy())
    assert answers.shape == (12, 2)
    assert probabilities(answers, 2.0)[:, 1] == pytest.approx(probabilities(LOGITS.numpy(), 2.0, "multilabel").ravel())
    assert labels.tolist() == LABELS.flatten().tolist()
    assert clips.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_multi_label_task_is_calibrated() -> None:
    """Logits three times too large for their answers: the temperature takes it back."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2000, 3, generator=generator, dtype=torch.float64)
    labels = (torch.rand(2000, 3, generator=generator) < logits.sigmoid()).long()
    found = calibrate((3 * logits).numpy(), labels.numpy())
    assert found.kept
    assert found.n_clips == 2000
    assert found.temperature == pytest.approx(3, rel=0.15)
    assert found.ece_after < 0.3 * found.ece_before
