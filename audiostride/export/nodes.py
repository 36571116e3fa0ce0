"""The nodes of an ONNX graph, and what the graphs of all networks have in common."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from audiostride.layers import DiffStride, SpectralPooling
from audiostride.models.downsampler import TIME, Downsampler

Array = npt.NDArray[Any]


class Graph:
    """Nodes and constants as they are added. Inner names begin with "/", which no task's name does."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: Tensor | Array) -> str:
        """Add a constant; give its name."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, name: str, value: float) -> str:
        """Add a number; give its name."""
        return self.constant(name, np.array(value, np.float32))

    def node(self, kind: str, name: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add an operator with these inputs; give the name of its output."""
        output = name if output is None else output
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **attributes))
        return output


def resample(graph: Graph, name: str, x: str, matrix: Tensor, axis: int) -> str:
    """Multiply a matrix onto an axis of maps, which needs no transposition either way."""
    if axis == TIME:
        return graph.node("MatMul", name, x, graph.constant(f"{name}/matrix", matrix.T))
    return graph.node("MatMul", name, graph.constant(f"{name}/matrix", matrix), x)


def resample_all(graph: Graph, name: str, x: str, matrices: Mapping[int, Tensor]) -> str:
    """Multiply a matrix onto every axis, the one that shrinks its axis most first."""
    for axis in sorted(matrices, key=lambda axis: matrices[axis].shape[0] / matrices[axis].shape[1]):
        x = resample(graph, f"{name}/resample{axis % 4}", x, matrices[axis], axis)
    return x


def matrices_of(pool: DiffStride | SpectralPooling, sizes: Mapping[int, int]) -> dict[int, Tensor]:
    """Give the matrix of every axis that a layer changes, for maps of `sizes`."""
    found = pool.operators([sizes[axis] for axis in pool.axes])
    return {axis: of_axis.matrix for axis, of_axis in zip(pool.axes, found, strict=True) if of_axis is not None}


def shorten(sizes: dict[int, int], layer: Downsampler | None) -> None:
    """Make the sizes of maps those that a layer leaves."""
    if layer is not None:
        n_out = layer.output_sizes([sizes[axis] for axis in layer.axes])
        sizes |= dict(zip(layer.axes, n_out, strict=True))


def add_norm(graph: Graph, name: str, x: str, norm: nn.BatchNorm2d) -> str:
    """Add a batch norm with the statistics that it has learned."""
    tensors = {"scale": norm.weight, "shift": norm.bias, "mean": norm.running_mean, "variance": norm.running_var}
    of_norm = (graph.constant(f"{name}/{key}", cast(Tensor, tensor)) for key, tensor in tensors.items())
    return graph.node("BatchNormalization", name, x, *of_norm, epsilon=norm.eps)
