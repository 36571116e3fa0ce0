"""Binary cross-entropy of multi-label tasks: weighted, focal, smoothed and mixed as the definitions say."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from audiostride.data.augmentation import Mix
from audiostride.data.targets import NO_LABEL
from audiostride.training.data import positive_weights
from audiostride.training.losses import TaskLoss, task_accuracies, task_losses

LOGITS = torch.tensor([[2.0, -1.0], [0.5, 0.5], [-3.0, 1.0]])
TARGET = torch.tensor([[1, 0], [0, 0], [NO_LABEL, NO_LABEL]])
YES, NO = -logsigmoid(LOGITS.double()), -logsigmoid(-LOGITS.double())


def loss_of(target: Tensor, loss: TaskLoss | None = None, mix: Mix | None = None) -> float:
    return task_losses({"a": LOGITS}, {"a": target}, {"a": loss or TaskLoss()}, mix)["a"].item()


def test_the_loss_is_the_mean_over_labelled_rows_and_classes() -> None:
    assert loss_of(TARGET) == pytest.approx((YES[0, 0] + NO[0, 1] + NO[1, 0] + NO[1, 1]).item() / 4)


def test_a_row_of_another_source_counts_for_nothing() -> None:
    assert loss_of(torch.full((3, 2), NO_LABEL)) == 0


def test_positive_weights_weigh_what_is_there() -> None:
    loss = TaskLoss(positive_weights=torch.tensor([3.0, 7.0]))
    assert loss_of(TARGET, loss) == pytest.approx((3 * YES[0, 0] + NO[0, 1] + NO[1, 0] + NO[1, 1]).item() / 4)


def test_positive_weights_are_bounded() -> None:
    targets = torch.zeros(1000, 2, dtype=torch.int64)
    targets[0, 0] = 1
    targets[:250, 1] = 1
    assert positive_weights(targets).tolist() == [20, 3]


def test_the_focal_loss_counts_what_is_easy_less() -> None:
    rows = [YES[0, 0], NO[0, 1], NO[1, 0], NO[1, 1]]
    expected = sum(value * (1 - torch.exp(-value)) ** 2 for value in rows)
    assert loss_of(TARGET, TaskLoss(focal=2.0)) == pytest.approx(expected.item() / 4)


def test_smoothing_moves_both_answers_towards_a_half() -> None:
    rows = [0.9 * YES[0, 0] + 0.1 * NO[0, 0], *(0.9 * NO[i] + 0.1 * YES[i] for i in ((0, 1), (1, 0), (1, 1)))]
    assert loss_of(TARGET, TaskLoss(label_smoothing=0.2)) == pytest.approx(sum(rows).item() / 4)


@pytest.mark.parametrize("union", [False, True])
def test_a_mixed_row_has_shares_of_both_or_all_their_classes(union: bool) -> None:
    mix = Mix(partners=torch.tensor([1, 0, 2]), shares=torch.tensor([0.75, 0.75, 1.0]), union=union)
    first, second = 0.75 * YES[0, 0] + 0.25 * NO[0, 0], 0.25 * YES[1, 0] + 0.75 * NO[1, 0]
    rows = [YES[0, 0], YES[1, 0]] if union else [first, second]
    assert loss_of(TARGET, mix=mix) == pytest.approx((sum(rows) + NO[0, 1] + NO[1, 1]).item() / 4)


def test_the_accuracy_of_a_batch_is_the_f1_of_its_answers() -> None:
    """Found: the first class of the first row (right), both of the second (wrong). One is there: 2 * 1 / (3 + 1)."""
    assert task_accuracies({"a": LOGITS}, {"a": TARGET})["a"].item() == pytest.approx(0.5)
