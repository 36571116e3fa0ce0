"""The graphs of the networks that are chains of blocks."""

from torch import nn

from audiostride.export.nodes import Graph, add_norm, matrices_of, resample_all, shorten
from audiostride.layers import DiffStride, SpectralPooling
from audiostride.models.densenet import DenseLayer, NormConv
from audiostride.models.downsampler import Downsampler
from audiostride.models.efficientnet import InvertedResidual, SqueezeExcitation
from audiostride.models.network import ConvNorm, Network
from audiostride.models.resnet import ResidualBlock

Sizes = dict[int, int]  # of the maps by axis; they become those of what a layer leaves


def add_network(graph: Graph, x: str, network: Network, sizes: Sizes) -> str:
    """Add every block of a network, for maps of `sizes`; give the name of the last maps."""
    for name, block in network.named_children():
        x = _add(graph, f"/{name}", x, block, sizes)
    return x


def _add(graph: Graph, name: str, x: str, block: nn.Module, sizes: Sizes) -> str:
    match block:
        case nn.Conv2d():
            return _convolve(graph, name, x, block, sizes)
        case nn.BatchNorm2d():
            return add_norm(graph, name, x, block)
        case nn.ReLU():
            return graph.node("Relu", name, x)
        case nn.SiLU():
            return graph.node("Mul", name, x, graph.node("Sigmoid", f"{name}/sigmoid", x))
        case nn.Dropout2d():
            return x
        case ConvNorm():
            return _conv_norm(graph, name, x, block, sizes)
        case NormConv():
            return _norm_conv(graph, name, x, block, sizes)
        case DenseLayer():
            added = _norm_conv(graph, f"{name}/bottleneck", x, block.bottleneck, sizes)
            added = _norm_conv(graph, f"{name}/grow", added, block.grow, sizes)
            return graph.node("Concat", name, x, added, axis=1)
        case ResidualBlock():
            return _residual(graph, name, x, block, sizes)
        case InvertedResidual():
            return _inverted_residual(graph, name, x, block, sizes)
    raise AssertionError(f"no graph for {type(block).__name__}")


def _convolve(graph: Graph, name: str, x: str, conv: nn.Conv2d, sizes: Sizes) -> str:
    names = [graph.constant(f"{name}/weight", conv.weight)]
    if conv.bias is not None:
        names.append(graph.constant(f"{name}/bias", conv.bias))
    pads = [int(n) for n in conv.padding] * 2
    x = graph.node("Conv", f"{name}/conv", x, *names, strides=list(conv.stride), pads=pads, group=conv.groups)
    shorten(sizes, conv if isinstance(conv, Downsampler) else None)
    return x


def _pool(graph: Graph, name: str, x: str, pool: DiffStride | SpectralPooling | None, sizes: Sizes) -> str:
    if pool is None:
        return x
    x = resample_all(graph, name, x, matrices_of(pool, sizes))
    shorten(sizes, pool)
    return x


def _conv_norm(graph: Graph, name: str, x: str, block: ConvNorm, sizes: Sizes) -> str:
    x = _pool(graph, name, _convolve(graph, name, x, block.conv, sizes), block.pool, sizes)
    x = add_norm(graph, f"{name}/norm", x, block.norm)
    return x if block.activation is None else _add(graph, f"{name}/activation", x, block.activation, sizes)


def _norm_conv(graph: Graph, name: str, x: str, block: NormConv, sizes: Sizes) -> str:
    x = graph.node("Relu", f"{name}/relu", add_norm(graph, f"{name}/norm", x, block.norm))
    return _pool(graph, name, _convolve(graph, name, x, block.conv, sizes), block.pool, sizes)


def _residual(graph: Graph, name: str, x: str, block: ResidualBlock, sizes: Sizes) -> str:
    entering = dict(sizes)
    main = _pool(graph, f"{name}/conv1", _convolve(graph, f"{name}/conv1", x, block.conv1, sizes), block.pool, sizes)
    main = graph.node("Relu", f"{name}/relu1", add_norm(graph, f"{name}/norm1", main, block.norm1))
    main = _conv_norm(graph, f"{name}/conv2", main, block.conv2, sizes)
    x = _pool(graph, f"{name}/shortcut", x, block.pool, entering)
    if block.shortcut is not None:
        x = _conv_norm(graph, f"{name}/shortcut", x, block.shortcut, entering)
    return graph.node("Relu", f"{name}/relu2", graph.node("Add", f"{name}/sum", main, x))


def _weigh(graph: Graph, name: str, x: str, block: SqueezeExcitation, sizes: Sizes) -> str:
    means = graph.node("GlobalAveragePool", f"{name}/means", x)
    squeezed = _add(
        graph, f"{name}/silu", _convolve(graph, f"{name}/squeeze", means, block.squeeze, sizes), nn.SiLU(), sizes
    )
    weights = graph.node(
        "Sigmoid", f"{name}/sigmoid", _convolve(graph, f"{name}/excite", squeezed, block.excite, sizes)
    )
    return graph.node("Mul", name, x, weights)


def _inverted_residual(graph: Graph, name: str, x: str, block: InvertedResidual, sizes: Sizes) -> str:
    inner = x if block.expand is None else _conv_norm(graph, f"{name}/expand", x, block.expand, sizes)
    inner = _conv_norm(graph, f"{name}/depthwise", inner, block.depthwise, sizes)
    inner = _weigh(graph, f"{name}/weigh", inner, block.weigh, sizes)
    out = _conv_norm(graph, f"{name}/project", inner, block.project, sizes)
    return graph.node("Add", name, x, out) if block.has_shortcut else out
