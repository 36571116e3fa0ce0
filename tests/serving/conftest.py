"""A server with a tiny model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audiostride.loading import load_model
from audiostride.prediction.model import WindowModel
from audiostride.serving.app import build_app
from audiostride.serving.service import Limits
from tests.serving.server import Client, serving

LIMITS = Limits(max_mb=1.0, max_s=30.0, timeout_s=30.0)


@pytest.fixture(scope="module")
def model(untrained: Path) -> WindowModel:
    return load_model(untrained, "cpu")


@pytest.fixture(scope="module")
def client(model: WindowModel) -> Iterator[Client]:
    with serving(build_app(model, LIMITS)) as running:
        yield running
