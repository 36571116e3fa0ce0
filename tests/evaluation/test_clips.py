"""Clips are classified in evaluation, and the model is left as it was."""

import numpy as np
import pytest
import torch

from audiostride.evaluation.clips import LabelledClips, labelled_logits
from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier

CPU = torch.device("cpu")


@pytest.fixture
def model() -> AudioClassifier:
    """A model in training whose backbone is frozen, and stays in evaluation."""
    made = AudioClassifier(LogMel(), TimeFrequencyCnn(width=0.06), {"tone": 2}).train()
    made.backbone.eval()
    return made


def test_a_frozen_backbone_stays_in_evaluation(model: AudioClassifier) -> None:
    clips = LabelledClips([np.ones(8000, np.int16)] * 3, {"tone": torch.tensor([0, 1, 0])})
    assert labelled_logits(model, [clips], 4000, CPU)["tone"][0].shape == (3, 2)
    assert model.training
    assert not model.backbone.training


def test_an_error_leaves_the_modes_as_they_were(model: AudioClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(model, "forward", fails)
    clips = LabelledClips([np.ones(8000, np.int16)], {"tone": torch.tensor([0])})
    with pytest.raises(RuntimeError, match="no memory"):
        labelled_logits(model, [clips], 4000, CPU)
    assert model.training
    assert not model.backbone.training
