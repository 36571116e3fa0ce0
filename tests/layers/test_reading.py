"""Numbers are read from the device once a step, and once and for all where they do not learn."""

from typing import Any

import pytest
import torch

from audiostride.layers import DiffStride, SpectralPooling, reading
from audiostride.models.backbone import TimeFrequencyCnn

X = torch.zeros(2, 1, 64, 40)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What is read from now on."""
    read: list[torch.Tensor] = []
    plain = reading._from_device

    def record(tensor: torch.Tensor) -> list[float]:
        read.append(tensor)
        return plain(tensor)

    monkeypatch.setattr(reading, "_from_device", record)
    return read


@pytest.mark.parametrize(
    ("settings", "n_per_step"),
    [
        ({"downsampling": "diffstride", "ramp": "folded", "learn_smoothness": True}, 1),
        ({"downsampling": "diffstride"}, 1),
        ({"downsampling": "fixed_stride"}, 0),
        ({"downsampling": "spectral_pooling"}, 0),
    ],
)
def test_a_step_waits_for_the_device_at_most_once(
    settings: dict[str, Any], n_per_step: int, reads: list[torch.Tensor]
) -> None:
    model = TimeFrequencyCnn(**settings, width=0.05)
    model(X)
    reads.clear()
    for _ in range(3):
        model(X).sum().backward()
    assert len(reads) == 3 * n_per_step


def test_strides_that_stop_learning_are_read_once_more(reads: list[torch.Tensor]) -> None:
    model = TimeFrequencyCnn("diffstride", width=0.05)
    model(X)
    for module in model.modules():
        if isinstance(module, DiffStride):
            module.requires_grad_(requires_grad=False)
    model(X)
    reads.clear()
    model(X)
    assert not reads


CHANGES: list[Any] = [
    lambda layer: layer.strides.fill_(4.0),
    lambda layer: layer.load_state_dict({"strides": torch.tensor([4.0, 4.0])}),
    lambda layer: setattr(layer.strides, "data", torch.tensor([4.0, 4.0])),
    lambda layer: setattr(layer, "strides", torch.tensor([4.0, 4.0])),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", [DiffStride, SpectralPooling])
def test_a_change_of_fixed_strides_is_read(kind: Any, change: Any, reads: list[torch.Tensor]) -> None:
    settings = {"learnable": False} if kind is DiffStride else {}
    layer = kind(2.0, **settings)
    layer(X)
    change(layer)
    assert layer(X).shape == kind(4.0, **settings)(X).shape
    reads.clear()
    layer(X)
    assert not reads
