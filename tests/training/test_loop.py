"""Losses of tasks: means over labelled rows, weighted, smoothed and mixed as the definitions say."""

import math

import pytest
import torch
from torch import Tensor

from audiostride.data.augmentation import Mix
from audiostride.data.targets import NO_LABEL
from audiostride.training.losses import TaskLoss, task_accuracies, task_losses

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5], [1.0, 1.0, 3.0], [0.0, 0.0, 0.0]])
TARGET = torch.tensor([0, 2, 2, NO_LABEL])
LOG_P = LOGITS.double().log_softmax(1)


def loss_of(target: Tensor, loss: TaskLoss | None = None, mix: Mix | None = None) -> float:
    return task_losses({"a": LOGITS}, {"a": target}, None if loss is None else {"a": loss}, mix)["a"].item()


def test_the_loss_is_the_mean_over_labelled_rows() -> None:
    assert loss_of(TARGET) == pytest.approx(-(LOG_P[0, 0] + LOG_P[1, 2] + LOG_P[2, 2]).item() / 3)


def test_the_accuracy_is_that_of_labelled_rows() -> None:
    assert task_accuracies({"a": LOGITS}, {"a": TARGET})["a"].item() == pytest.approx(2 / 3)


def test_no_labelled_row_gives_no_loss() -> None:
    assert loss_of(torch.full((4,), NO_LABEL)) == 0


def test_class_weights_weigh_the_mean() -> None:
    loss = TaskLoss(class_weights=torch.tensor([1.0, 5.0, 3.0]))
    expected = -(LOG_P[0, 0] + 3 * LOG_P[1, 2] + 3 * LOG_P[2, 2]).item() / 7
    assert loss_of(TARGET, loss) == pytest.approx(expected)


def test_smoothing_spreads_a_share_of_the_target() -> None:
    goal = torch.full((3, 3), 0.3 / 3, dtype=torch.float64)
    goal[[0, 1, 2], [0, 2, 2]] += 0.7
    assert loss_of(TARGET, TaskLoss(label_smoothing=0.3)) == pytest.approx(-(goal * LOG_P[:3]).sum().item() / 3)


def test_a_mixed_row_counts_for_both_labels_by_their_shares() -> None:
    mix = Mix(partners=torch.tensor([1, 0, 2, 3]), shares=torch.tensor([0.75, 0.5, 1.0, 1.0]))
    rows = [0.75 * LOG_P[0, 0] + 0.25 * LOG_P[0, 2], 0.5 * LOG_P[1, 2] + 0.5 * LOG_P[1, 0], LOG_P[2, 2]]
    assert loss_of(TARGET, mix=mix) == pytest.approx(-sum(row.item() for row in rows) / 3)


def test_a_row_mixed_with_one_that_has_no_label_counts_by_its_share() -> None:
    mix = Mix(partners=torch.tensor([3, 1, 2, 0]), shares=torch.tensor([0.75, 1.0, 1.0, 0.5]))
    total = 0.75 * LOG_P[0, 0] + LOG_P[1, 2] + LOG_P[2, 2] + 0.5 * math.log(1 / 3)
    assert loss_of(TARGET, mix=mix) == pytest.approx(-total.item() / 3.25)


def test_a_task_has_its_own_loss() -> None:
    losses = task_losses({"a": LOGITS, "b": LOGITS}, {"a": TARGET, "b": TARGET}, {"b": TaskLoss(label_smoothing=0.5)})
    assert losses["a"] != losses["b"]
