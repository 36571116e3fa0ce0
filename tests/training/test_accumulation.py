"""A batch in parts gives the gradients of the whole, however labels, tasks and mixed rows are spread over the parts."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from audiostride.data.augmentation import Mix
from audiostride.data.targets import NO_LABEL
from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.training.losses import TaskLoss
from audiostride.training.step import forward_backward

N_ROWS = 7
TARGETS = {
    "words": torch.tensor([0, 2, 1, 2, NO_LABEL, NO_LABEL, NO_LABEL]),
    "birds": torch.tensor([NO_LABEL] * 6 + [1]),  # one labelled row: every part but one has none
    "many": torch.tensor([[1, 0]] * 2 + [[NO_LABEL] * 2] * 3 + [[1, 1], [0, 0]]),
}
LOSSES = {
    "words": TaskLoss(0.5, class_weights=torch.tensor([1.0, 5.0, 3.0]), label_smoothing=0.1),
    "birds": TaskLoss(),
    "many": TaskLoss(2.0, positive_weights=torch.tensor([3.0, 2.0]), focal=1.0),
}
MIXES = {
    "unmixed": None,
    "shares": Mix(torch.tensor([3, 0, 1, 2, 6, 4, 5]), torch.linspace(0.5, 1, N_ROWS)),
    "union": Mix(torch.tensor([3, 0, 1, 2, 6, 4, 5]), torch.linspace(0.5, 1, N_ROWS), union=True),
}


@pytest.fixture
def model() -> Iterator[AudioClassifier]:
    """In evaluation: a batch norm in training sees a part instead of the batch, and that is all that may differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = TimeFrequencyCnn(width=1 / 16, ramp="folded", smoothness=16, learn_smoothness=True)
        yield AudioClassifier(LogMel(), backbone, {"words": 3, "birds": 2, "many": 2}).double().eval()


def step(model: AudioClassifier, n_parts: int, mix: Mix | None) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Losses and accuracies of one batch, and the gradients of all parameters."""
    model = copy.deepcopy(model)
    waveform = torch.randn(N_ROWS, 8000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    means, accuracies = forward_backward(
        model, waveform, TARGETS, losses=LOSSES, mix=mix, complexity_weight=0.3, n_parts=n_parts
    )
    gradients = [parameter.grad for parameter in model.parameters()]
    numbers = {f"loss/{k}": v for k, v in means.items()} | {f"accuracy/{k}": v for k, v in accuracies.items()}
    return numbers, [gradient for gradient in gradients if gradient is not None]


@pytest.mark.parametrize("n_parts", [2, 3, N_ROWS])
@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES.keys())
def test_the_gradients_are_those_of_the_whole_batch(model: AudioClassifier, n_parts: int, mix: Mix | None) -> None:
    (whole, of_whole), (parts, of_parts) = step(model, 1, mix), step(model, n_parts, mix)
    assert len(of_whole) == len(list(model.parameters()))
    torch.testing.assert_close(of_parts, of_whole, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_every_part_has_rows_of_every_source(model: AudioClassifier) -> None:
    seen: list[int] = []
    model.frontend.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0][:, 0].int().tolist()))
    source_of_row = torch.tensor([0.0] * 4 + [1.0] * 4, dtype=torch.float64)
    targets = {"words": torch.zeros(8, dtype=torch.int64)}
    model.heads = torch.nn.ModuleDict({"task_words": model.heads["task_words"]})
    model.tasks = ("words",)
    forward_backward(model, source_of_row[:, None].expand(-1, 8000), targets, n_parts=2)
    assert seen == [0, 0, 1, 1, 0, 0, 1, 1]
