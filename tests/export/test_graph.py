"""The ONNX graph against torch: every way to build the model, on real levels and on the extremes of them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from audiostride.evaluation.traits import Traits
from audiostride.export.graph import dft_kernels, to_onnx
from audiostride.export.run import FIRST_OPSET, LAST_OPSET
from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.prediction.onnx_model import OnnxModel, describe

N_WINDOW = 4000
FOURIER = ("DFT", "STFT", "FFT", "Loop", "Scan", "If")

VARIANTS: dict[str, dict[str, Any]] = {
    "outside": {"downsampling": "diffstride"},
    "inside": {"downsampling": "diffstride", "ramp": "inside", "smoothness": 2.0},
    "folded": {"ramp": "folded", "smoothness": 8.0, "learn_smoothness": True},
    "folded, moved": {
        "ramp": "folded",
        "smoothness_time": (3, 9, 30, 5, 1, 12),
        "stride_time": (1.3, 2.7, 1.0, 1.9, 1.1, 2.2),
        "learn_smoothness": True,
    },
    "learned strides": {"ramp": "inside", "stride_time": (1.3, 2.7, 1.0, 1.9, 1.1, 2.2)},
    "fixed": {"downsampling": "fixed_stride", "stride_frequency": (1.5, 2.5, 1, 1, 2, 2)},
    "spectral": {"downsampling": "spectral_pooling", "stride_time": (1.5, 1.4, 1, 1.2, 1, 1.7)},
    "strided": {"downsampling": "strided_conv", "stride_time": (3, 1, 1, 2, 1, 2)},
    "per block": {"placement": "per_block", "ramp": "inside"},
    "per block strided": {"placement": "per_block", "downsampling": "strided_conv"},
    "shared": {"placement": "per_block", "shared": True},
    "pool last": {"order": "conv_relu_bn_pool"},
    "pool last per block": {"order": "conv_relu_bn_pool", "placement": "per_block", "downsampling": "spectral_pooling"},
    "pool last strided": {"order": "conv_relu_bn_pool", "downsampling": "strided_conv"},
}


def trained(model: AudioClassifier) -> AudioClassifier:
    """Weights, norms and all as different as training leaves them."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in ((module.weight, 0.5, 2), (module.bias, -1, 1), (module.running_var, 0.2, 2)):
                torch.nn.init.uniform_(tensor, low, high)
            torch.nn.init.uniform_(module.running_mean, 0, 1)
    return model.eval()


def classifier(frontend: dict[str, Any] | None = None, backbone: dict[str, Any] | None = None, **own: Any) -> Any:
    return trained(
        AudioClassifier(
            LogMel(**({"n_mels": 32} | (frontend or {}))),
            TimeFrequencyCnn(**({"width": 0.06} | (backbone or {}))),
            {"tone": 3, "type": 2},
            **own,
        )
    )


def signals(n_window: int = N_WINDOW) -> np.ndarray:
    """Silence, the least bit, noise at full scale, a square wave and a click: a window of each."""
    rng = np.random.default_rng(0)
    rows = [
        np.zeros(n_window),
        rng.integers(-1, 2, n_window) / 32768,
        rng.uniform(-1, 1, n_window),
        np.sign(np.sin(0.173 * np.arange(n_window))),
        np.eye(1, n_window, n_window // 2)[0],
        0.3 * np.sin(0.4 * np.arange(n_window)) + 0.01 * rng.standard_normal(n_window),
    ]
    return np.stack(rows).astype(np.float32)


def difference(model: AudioClassifier, windows: np.ndarray, **settings: Any) -> float:
    """The largest between the logits of torch and those of the exported graph, of all tasks."""
    names = {task: tuple("abc"[: head.out_features]) for task, head in zip(model.tasks, model.heads.values())}  # noqa: B905
    temperatures, traits = dict.fromkeys(names, 1.0), {task: Traits() for task in names}
    rate, n_window = model.frontend.sample_rate, windows.shape[1]
    metadata = describe(names, temperatures, traits, sample_rate=rate, n_window=n_window)
    graph = to_onnx(model, windows.shape[1], metadata, **settings)
    assert not {node.op_type for node in graph.graph.node} & set(FOURIER)
    exported = OnnxModel.from_bytes(graph.SerializeToString(), Path("test.onnx"), n_threads=1).logits(windows)
    with torch.no_grad():
        expected = model(torch.from_numpy(windows))
    assert list(exported) == list(expected)
    return max(np.abs(exported[task] - expected[task].numpy()).max() for task in expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_to_downsample(variant: str) -> None:
    assert difference(classifier(backbone=VARIANTS[variant]), signals()) < 1e-5


@pytest.mark.parametrize("top_db", [None, 40.0])
@pytest.mark.parametrize("normalization", ["none", "mean", "standard", "peak"])
def test_every_normalization(normalization: str, top_db: float | None) -> None:
    own = {"normalization": normalization, "top_db": 60.0 if normalization == "peak" else top_db}
    assert difference(classifier(**own), signals()) < 2e-5


@pytest.mark.parametrize("pooling", ["max", "mean", "max_mean"])
def test_every_pooling_of_the_last_maps(pooling: str) -> None:
    assert difference(classifier(pooling=pooling), signals()) < 1e-5


@pytest.mark.parametrize(
    "frontend",
    [
        {"mel_scale": "slaney"},
        {"n_fft": 401, "win_length": 399, "hop_length": 133},
        {"n_fft": 256, "win_length": 256, "hop_length": 256},
        {"n_fft": 512, "win_length": 160, "hop_length": 160, "f_min": 0.0, "f_max": 8000.0},
        {"offset": 1e-9},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_window", [4000, 4131])
def test_every_front_end(frontend: dict[str, Any], n_window: int) -> None:
    assert difference(classifier(frontend), signals(n_window)) < 2e-5


@pytest.mark.parametrize("opset", [FIRST_OPSET, LAST_OPSET])
def test_opset_is_the_one_asked_for(opset: int) -> None:
    model = classifier()
    assert to_onnx(model, N_WINDOW, {}, opset).opset_import[0].version == opset
    assert difference(model, signals(), opset=opset) < 1e-5


def test_odd_task_names() -> None:
    model = trained(AudioClassifier(LogMel(), TimeFrequencyCnn(width=0.03), {"waveform": 2, "_waveform": 2, "très": 3}))
    assert difference(model, signals()) < 1e-5


def test_width_of_a_quarter_mixes_channels_late_somewhere() -> None:
    model = classifier(backbone={"width": 0.25, "ramp": "inside", "smoothness": 1.0})
    names = {node.name for node in to_onnx(model, 16000, {}).graph.node}
    assert any(name.endswith("/taps") for name in names)
    assert difference(model, signals(16000)) < 1e-5


def test_nothing_of_the_machine_is_in_the_file() -> None:
    graph = to_onnx(classifier(), N_WINDOW, {"key": "value"})
    assert str(Path(__file__).parents[2]).encode() not in graph.SerializeToString()
    assert [(prop.key, prop.value) for prop in graph.metadata_props] == [("key", "value")]
    assert isinstance(graph, onnx.ModelProto)


def test_dft_kernels_give_the_power_of_an_fft() -> None:
    window, frame = torch.hann_window(400), np.random.default_rng(0).standard_normal(400)
    kernels = dft_kernels(512, 400, window, range(257))[:, 0].astype(np.float64)
    power = (kernels @ frame).reshape(2, -1) ** 2
    expected = np.abs(np.fft.rfft(frame * window.numpy(), 512)) ** 2
    np.testing.assert_allclose(power.sum(0), expected, rtol=1e-5, atol=1e-4)
