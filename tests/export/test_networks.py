"""The ONNX graphs of the paper's networks against torch, whatever downsamples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audiostride.evaluation.traits import Traits
from audiostride.export.graph import to_onnx
from audiostride.prediction.onnx_model import OnnxModel, describe
from audiostride.vocabulary import BACKBONE_STRIDES
from tests.models.tiny_networks import NETWORKS, tiny_classifier

REAL = (1.4, 2.3, 1.0, 1.7, 1.1, 1.3, 1.2)
WAYS: dict[str, dict[str, Any]] = {
    "strided_conv": {},
    "spectral_pooling": {"real": True},
    "diffstride": {"real": True, "ramp": "folded", "smoothness": 8.0, "learn_smoothness": True},
}


@pytest.mark.parametrize("method", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_graph_gives_the_logits_of_torch(name: str, method: str) -> None:
    settings, n = dict(WAYS[method]), len(BACKBONE_STRIDES[name])
    if settings.pop("real", False):
        settings |= {"stride_time": REAL[:n], "stride_frequency": REAL[::-1][:n]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = tiny_classifier(name, downsampling=method, **settings)
    windows = np.random.default_rng(0).standard_normal((3, 4000)).astype(np.float32)
    names = {"tone": ("a", "b", "c"), "type": ("a", "b")}
    traits = {task: Traits() for task in names}
    metadata = describe(names, dict.fromkeys(names, 1.0), traits, sample_rate=16000, n_window=4000)
    graph = to_onnx(model, 4000, metadata)
    exported = OnnxModel.from_bytes(graph.SerializeToString(), Path("test.onnx"), n_threads=1).logits(windows)
    with torch.no_grad():
        expected = model(torch.from_numpy(windows))
    for task, logits in expected.items():
        scale = max(1.0, float(logits.abs().max()))
        np.testing.assert_allclose(exported[task], logits.numpy(), rtol=0, atol=3e-5 * scale)
