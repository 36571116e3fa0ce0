"""Devices by name, and what is said of one that the machine lacks."""

import re

import pytest
import torch

from audiostride.device import choose_device
from audiostride.errors import ArgumentError, UserError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_a_gpu_that_is_there_is_taken(name: str) -> None:
    assert choose_device(name) == torch.device(name)


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_is_not_there_is_told() -> None:
    with pytest.raises(ArgumentError, match=re.escape("device=cuda:2: expected a number below 2")):
        choose_device("cuda:2")
    with pytest.raises(UserError, match=re.escape("data.device=cuda:9: expected a number below 2")):
        choose_device("cuda:9", key="data.device")


@pytest.mark.parametrize("name", ["tpu", "cpu:x"])
def test_a_name_that_is_none_is_told(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"device={name}: expected"):
        choose_device(name)
