"""What a model does wrong is told as what it is."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiostride.data.audio import Waveform
from audiostride.errors import ArgumentError, DataError, UserError
from audiostride.loading import load, load_model
from audiostride.prediction.model import Logits
from audiostride.prediction.stream import predict_files
from audiostride.runs.model import RunModel


@pytest.fixture
def model(untrained: Path) -> RunModel:
    loaded = load_model(untrained, "cpu")
    assert isinstance(loaded, RunModel)
    return loaded


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_numbers_name_the_model(
    value: float, model: RunModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(windows: Waveform) -> dict[str, Logits]:
        return {task: np.full((len(windows), len(names)), value, np.float32) for task, names in model.classes.items()}

    sf.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    monkeypatch.setattr(model, "logits", broken)
    with pytest.raises(DataError, match=r"best\.safetensors.*not numbers"):
        list(predict_files(model, [tmp_path / "a.wav"], ("tone",), n_window=16000, n_hop=8000, n_threads=1))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_too_little_memory_is_told_with_the_windows(
    error: Exception, model: RunModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(windows: Waveform) -> dict[str, Logits]:
        raise error

    monkeypatch.setattr(model, "_compute", full)
    with pytest.raises(UserError, match="cpu: out of memory for 3 windows of 1 s") as raised:
        model.logits(np.zeros((3, 16000), np.float32))
    assert not isinstance(raised.value, ArgumentError)


def test_an_array_of_very_many_channels_is_taken_for_clips(untrained: Path) -> None:
    with pytest.raises(ValueError, match=r"\(33, 16000\): expected at most 32 channels.*as a list"):
        load(str(untrained), "cpu").predict(np.zeros((33, 16000), np.float32), 16000)
