"""A classifier as an ONNX graph of matrix products, convolutions and element-wise operators, without any Fourier one.

The graph is written node by node: a tracer would need a second framework, and strides that are constants to begin with.
"""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from audiostride.errors import UserError
from audiostride.export.networks import add_network
from audiostride.export.nodes import Array, Graph, add_norm, matrices_of, resample, resample_all, shorten
from audiostride.frontend import LogMel
from audiostride.layers.mixing import mixes_late, shifted_rows
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.blocks import Block, ConvUnit
from audiostride.models.classifier import AudioClassifier
from audiostride.models.downsampler import FREQUENCY, TIME
from audiostride.models.network import Network
from audiostride.vocabulary import BACKBONE_STRIDES, OPSET, Pooling

FRONTEND = "/frontend"  # what the names of the front end's nodes begin with


def dft_kernels(n_fft: int, win_length: int, window: Tensor, bins: Sequence[int]) -> Array:
    """Give windowed cosines, then sines, of the DFT's `bins` as kernels of a convolution.

    The phase is counted from the start of the window, not of the FFT: power does not depend on it.

    Shape:
        window: `(win_length,)`. output: `(2 * bin, 1, win_length)`, float32, rounded from float64.
    """
    # the phase modulo n_fft is exact in integers; cosines of large arguments are not
    phase = np.outer(bins, np.arange(win_length)) % n_fft * (2 * math.pi / n_fft)
    waves = np.concatenate([np.cos(phase), np.sin(phase)]) * window.double().numpy()
    kernels: Array = waves[:, None].astype(np.float32)
    return kernels


def _log1p(graph: Graph, name: str, x: str) -> str:
    """`log(1 + x)`, with what rounding the sum loses: the small values of quiet windows are divided by little."""
    one = graph.number(f"{name}/one", 1)
    total = graph.node("Add", f"{name}/sum", x, one)
    lost = graph.node("Sub", f"{name}/lost", x, graph.node("Sub", f"{name}/kept", total, one))
    return graph.node(
        "Add", name, graph.node("Log", f"{name}/of_sum", total), graph.node("Div", f"{name}/rest", lost, total)
    )


def _add_frontend(graph: Graph, waveform: str, frontend: LogMel, n_window: int) -> str:
    """`LogMel.above_floor`: `(batch, time)` to `(batch, 1, mel, time)`. Bins that no mel filter sees are left out."""
    n_frames, hop, win_length = n_window // frontend.hop_length, frontend.hop_length, frontend.win_length
    left = frontend.n_fft // 2 - (frontend.n_fft - win_length) // 2
    right = (n_frames - 1) * hop + win_length - left - n_window
    shape = graph.constant(f"{FRONTEND}/shape", np.array([-1, 1, n_window]))
    x = graph.node("Reshape", f"{FRONTEND}/channel", waveform, shape)
    if right < 0:  # the last frame ends before the window does
        ends = (("starts", [0]), ("ends", [n_window + right]), ("axes", [2]))
        x = graph.node(
            "Slice", f"{FRONTEND}/cut", x, *(graph.constant(f"{FRONTEND}/{k}", np.array(v)) for k, v in ends)
        )
    filters = frontend.filters.double().cpu().numpy() / frontend.offset
    bins = np.flatnonzero(filters.any(axis=0)).tolist()
    filters = filters[:, bins].astype(np.float32)
    kernels = graph.constant(
        f"{FRONTEND}/kernels", dft_kernels(frontend.n_fft, win_length, frontend.window.cpu(), bins)
    )
    x = graph.node("Conv", f"{FRONTEND}/dft", x, kernels, strides=[hop], pads=[left, max(0, right)])
    x = graph.node("Mul", f"{FRONTEND}/power", x, x)
    both = graph.constant(f"{FRONTEND}/filters", np.tile(filters, 2))
    x = _log1p(graph, f"{FRONTEND}/log", graph.node("MatMul", f"{FRONTEND}/mel", both, x))
    shape = graph.constant(f"{FRONTEND}/map_shape", np.array([-1, 1, frontend.n_mels, n_frames]))
    return graph.node("Reshape", f"{FRONTEND}/map", x, shape)


def _mean(graph: Graph, name: str, x: str, n_frames: int) -> str:
    """Reduce over frames, then over bands: onnxruntime adds up one by one, and rounds less in shorter sums."""
    over_time = graph.node("AveragePool", f"{name}/time", x, kernel_shape=[1, n_frames])
    return graph.node("GlobalAveragePool", name, over_time)


def _add_normalization(graph: Graph, x: str, model: AudioClassifier, n_frames: int) -> str:
    """`normalize_window` of `(batch, 1, mel, time)`, with the floor where that does not fall out."""
    at, normalization, top_db = f"{FRONTEND}/window", model.normalization, model.top_db
    if top_db is not None:
        peak = graph.node("GlobalMaxPool", f"{at}/max", x)
        floor = graph.node("Sub", f"{at}/floor", peak, graph.number(f"{at}/range", top_db * math.log(10) / 10))
        x = graph.node("Max", f"{at}/clamp", x, floor)
        if normalization == "peak":
            x = graph.node("Sub", f"{at}/above", x, floor)
            return graph.node("Div", f"{at}/bels", x, graph.number(f"{at}/bel", math.log(10)))
    if normalization == "none":
        return graph.node("Add", f"{at}/log_mel", x, graph.number(f"{at}/silence", model.frontend.floor))
    x = graph.node("Sub", f"{at}/centre", x, _mean(graph, f"{at}/mean", x, n_frames))
    if normalization == "mean":
        return x
    variance = _mean(graph, f"{at}/variance", graph.node("Mul", f"{at}/square", x, x), n_frames)
    deviation = graph.node("Sqrt", f"{at}/deviation", variance)
    divisor = graph.node("Add", f"{at}/divisor", deviation, graph.number(f"{at}/least", 1e-3))
    return graph.node("Div", f"{at}/standard", x, divisor)


def _convolve(graph: Graph, name: str, x: str, unit: ConvUnit, *, matrix: Tensor | None, axis: int) -> str:
    """Give the convolution of a unit, after `matrix` and without padding if that is given."""
    conv = unit.conv
    strides, pads = list(conv.stride), [int(n) for n in conv.padding] * 2
    if matrix is not None:
        n_taps = conv.kernel_size[axis]
        x = resample(graph, f"{name}/taps", x, shifted_rows(matrix, n_taps), axis)
        strides, pads = list(conv.kernel_size), [0] * 4
    assert conv.bias is not None
    weights = graph.constant(f"{name}/weight", conv.weight), graph.constant(f"{name}/bias", conv.bias)
    return graph.node("Conv", f"{name}/conv", x, *weights, strides=strides, pads=pads)


def _add_unit(graph: Graph, name: str, x: str, unit: ConvUnit, sizes: dict[int, int]) -> str:
    """Give a `ConvUnit` for maps of `sizes`, which become those of its output.

    Batch norm stays a node of its own: a ReLU stands between it and the convolution before, zero padding between it
    and the one after.
    """
    matrices = {} if unit.pool is None else matrices_of(unit.pool, sizes)
    first = matrices if unit.pool_first else {}
    axis, matrix = next(iter(first.items()), (TIME, None))
    conv = unit.conv
    channels_and_taps = conv.in_channels, conv.out_channels, conv.kernel_size[axis]
    if matrix is not None and unit.is_fused and mixes_late(*channels_and_taps, matrix.shape[1], matrix.shape[0]):
        x = _convolve(graph, name, x, unit, matrix=matrix, axis=axis)
    else:
        x = resample_all(graph, name, _convolve(graph, name, x, unit, matrix=None, axis=axis), first)
    x = graph.node("Relu", f"{name}/relu", x)
    x = add_norm(graph, f"{name}/norm", x, unit.norm)
    shorten(sizes, unit.downsampler)
    return x if unit.pool_first else resample_all(graph, name, x, matrices)


def _add_backbone(graph: Graph, x: str, backbone: TimeFrequencyCnn, sizes: dict[int, int]) -> str:
    for number, block in enumerate(cast(list[Block], backbone.blocks), 1):
        x = _add_unit(graph, f"/block{number}/time", x, block.time, sizes)
        x = _add_unit(graph, f"/block{number}/frequency", x, block.frequency, sizes)
    return x


def _add_pooling(graph: Graph, x: str, pooling: Pooling) -> str:
    """Give `pool_maps` of the last maps: `(batch, channel, 1, 1)`."""
    kinds = {
        "max": ["GlobalMaxPool"],
        "mean": ["GlobalAveragePool"],
        "max_mean": ["GlobalMaxPool", "GlobalAveragePool"],
    }
    pooled = [graph.node(kind, f"/pool/{kind}", x) for kind in kinds[pooling]]
    return pooled[0] if len(pooled) == 1 else graph.node("Add", "/pool", *pooled)


@torch.no_grad()
def to_onnx(model: AudioClassifier, n_window: int, metadata: Mapping[str, str], opset: int = OPSET) -> onnx.ModelProto:
    """Give the model in evaluation mode: windows `(batch, n_window)` to logits `(batch, class)`, an output per task.

    Args:
        n_window: samples of a window; the strides' matrices hold for this length alone.
        metadata: text to keep with the graph.
        opset: version of the ONNX operators, at least 13.

    Raises:
        UserError: the backbone is none of the package's.
    """
    backbone = model.backbone
    if not isinstance(backbone, TimeFrequencyCnn | Network):
        raise UserError(
            f"export knows no graph for the backbone {type(backbone).__name__}, expected one of the package's: "
            f"{', '.join(BACKBONE_STRIDES)}"
        )
    graph = Graph()
    waveform = "waveform"
    while waveform in model.tasks:
        waveform = f"_{waveform}"
    x = _add_frontend(graph, waveform, model.frontend, n_window)
    n_frames = n_window // model.frontend.hop_length
    x = _add_normalization(graph, x, model, n_frames)
    sizes = {FREQUENCY: model.frontend.n_mels, TIME: n_frames}
    if isinstance(backbone, Network):
        x = add_network(graph, x, backbone, sizes)
    else:
        x = _add_backbone(graph, x, backbone, sizes)
    x = graph.node("Flatten", "/embedding", _add_pooling(graph, x, model.pooling))
    outputs = []
    for task in model.tasks:
        head = model.head(task)
        weights = (
            graph.constant(f"/heads/{task}/{key}", value)
            for key, value in (("weight", head.weight), ("bias", head.bias))
        )
        graph.node("Gemm", f"/heads/{task}", x, *weights, output=task, transB=1)
        outputs.append(helper.make_tensor_value_info(task, TensorProto.FLOAT, ["batch", head.out_features]))
    inputs = [helper.make_tensor_value_info(waveform, TensorProto.FLOAT, ["batch", n_window])]
    body = helper.make_graph(graph.nodes, "audiostride", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", opset)]
    result = helper.make_model(body, opset_imports=opsets, producer_name="audiostride")
    result.ir_version = helper.find_min_ir_version_for(opsets)
    helper.set_model_props(result, dict(metadata))
    onnx.checker.check_model(result, full_check=True)
    return result
