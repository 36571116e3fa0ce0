"""The six-block time/frequency CNN, its strides fixed or learned."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from audiostride.layers import AnyOperator, DiffStride
from audiostride.layers.fourier import MATRIX_MAX
from audiostride.layers.reading import numbers_of_each
from audiostride.layers.together import operators_of_layers
from audiostride.models.blocks import Block, ConvUnit, activate
from audiostride.models.downsampler import (
    AXIS_NAMES,
    FREQUENCY,
    TIME,
    Downsampler,
    StridedConv2d,
    fourier_downsampler,
    project_strides_,
)
from audiostride.models.graphs import GraphedMaps
from audiostride.vocabulary import (
    CHANNELS,
    SMOOTHNESS,
    STRIDE_RANGE,
    STRIDES,
    AxisName,
    Downsampling,
    Order,
    Placement,
    Ramp,
)


@dataclass(frozen=True)
class LayerStride:
    """One downsampled axis of one block, for an input of known size; strides are 0-d tensors.

    `gain_edges` says where the gain begins to fall and where it ends, as shares of the axis's sampling rate; None where
    nothing is filtered.
    """

    block: int
    axis: AxisName
    stride: Tensor
    effective_stride: Tensor
    n_in: int
    n_out: int
    gain_edges: tuple[float, float] | None


def random_strides(n_blocks: int, low: float, high: float, *, integer: bool) -> list[float]:
    """Give initial strides drawn uniformly from `[low, high]` with torch's global generator."""
    if not 1 <= low <= high < math.inf:
        raise ValueError(f"stride_range must satisfy 1 <= low <= high, got ({low}, {high})")
    if integer:
        if math.ceil(low) > math.floor(high):
            raise ValueError(f"stride_range must hold an integer for strided_conv, got ({low}, {high})")
        return torch.randint(math.ceil(low), math.floor(high) + 1, (n_blocks,)).double().tolist()
    return torch.empty(n_blocks, dtype=torch.float64).uniform_(low, high).tolist()


class TimeFrequencyCnn(nn.Module):
    """Six blocks that convolve along time, downsample, convolve along mel, downsample.

    Args:
        downsampling: "strided_conv", "spectral_pooling", "fixed_stride" or "diffstride".
        placement: "per_axis" downsamples each axis after its own convolution, "per_block" both
            axes after the second convolution.
        order: "conv_pool_relu_bn" (the paper's) or "conv_relu_bn_pool"; strided convolutions
            downsample in the convolution itself either way.
        width: multiplies the channels 64, 128, 256, 256, 512, 512.
        dropout: probability of dropping a channel of the last map, in [0, 1).
        stride_time: initial stride on the time axis per block, or "random".
        stride_frequency: initial stride on the mel axis per block, or "random".
        stride_range: the range of "random" strides (integers for strided convolutions).
        smoothness: width of the ramp of DiffStride in Fourier bins.
        smoothness_time: that of the time axis per block, in place of `smoothness`.
        smoothness_frequency: that of the mel axis per block, in place of `smoothness`.
        learn_smoothness: whether DiffStride learns the width of every ramp too.
        ramp: "outside", "inside" or "folded".
        shared: one stride for both axes of a block; needs "per_block" and equal initial strides.
        identity_at_1: whether a fixed stride of exactly 1 leaves its axis as it is; if not, it is the low-pass that a
            learned stride of 1 is.

    Shape:
        log_mel: `(batch, 1, mel, time)`. output: `(batch, channel, mel, time)`.

    Raises:
        ValueError: an argument out of range; the message names it.

    Reference:
        Riad et al., "Learning strides in convolutional neural networks", ICLR 2022.

    >>> TimeFrequencyCnn("strided_conv", width=0.25)(torch.randn(2, 1, 64, 100)).shape
    torch.Size([2, 128, 4, 7])
    """

    def __init__(
        self,
        downsampling: Downsampling = "diffstride",
        placement: Placement = "per_axis",
        order: Order = "conv_pool_relu_bn",
        *,
        width: float = 1.0,
        dropout: float = 0.0,
        stride_time: Sequence[float] | Literal["random"] = STRIDES,
        stride_frequency: Sequence[float] | Literal["random"] = STRIDES,
        stride_range: tuple[float, float] = STRIDE_RANGE,
        smoothness: float = SMOOTHNESS,
        smoothness_time: Sequence[float] | None = None,
        smoothness_frequency: Sequence[float] | None = None,
        learn_smoothness: bool = False,
        ramp: Ramp = "outside",
        shared: bool = False,
        identity_at_1: bool = True,
    ) -> None:
        super().__init__()
        for name, value, known in (
            ("downsampling", downsampling, Downsampling),
            ("placement", placement, Placement),
            ("order", order, Order),
        ):
            if value not in get_args(known):
                raise ValueError(f"{name} must be one of {', '.join(get_args(known))}, got {value!r}")
        if not 0 < width < math.inf:
            raise ValueError(f"width must be a finite number above 0, got {width}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        if shared and placement != "per_block":
            raise ValueError('shared strides need placement "per_block": one layer for both axes')
        integer = downsampling == "strided_conv"
        n_blocks = len(CHANNELS)
        time, frequency = (
            random_strides(n_blocks, *stride_range, integer=integer) if strides == "random" else list(strides)
            for strides in (stride_time, stride_frequency)
        )
        widths_time, widths_frequency = (
            [smoothness] * n_blocks if values is None else list(values)
            for values in (smoothness_time, smoothness_frequency)
        )
        for name, values in (
            ("stride_time", time),
            ("stride_frequency", frequency),
            ("smoothness_time", widths_time),
            ("smoothness_frequency", widths_frequency),
        ):
            if len(values) != n_blocks:
                raise ValueError(f"{name} must hold {n_blocks} numbers, one per block, got {len(values)}")
        if shared and stride_time == stride_frequency == "random":
            frequency = time
        if shared and time != frequency:
            raise ValueError(f"shared strides need equal stride_time and stride_frequency, got {time}, {frequency}")

        def unit(
            n_in: int, n_out: int, kernel_size: tuple[int, int], by_axis: dict[int, tuple[float, float]]
        ) -> ConvUnit:
            axes, strides = list(by_axis), [stride for stride, _ in by_axis.values()]
            if downsampling == "strided_conv":
                return ConvUnit(StridedConv2d(n_in, n_out, kernel_size, strides, axes), None, order)
            padding = (kernel_size[0] // 2, kernel_size[1] // 2)
            pool = None
            if axes:
                pool = fourier_downsampler(
                    downsampling,
                    strides,
                    axes,
                    [width for _, width in by_axis.values()],
                    ramp,
                    shared=shared,
                    learn_smoothness=learn_smoothness,
                    identity_at_1=identity_at_1,
                )
            return ConvUnit(nn.Conv2d(n_in, n_out, kernel_size, padding=padding), pool, order)

        widths = [max(1, round(channels * width)) for channels in CHANNELS]
        self.blocks = nn.ModuleList()
        of_time, of_frequency = (
            zip(time, widths_time, strict=True),
            zip(frequency, widths_frequency, strict=True),
        )
        for n_in, n_out, along_time, along_frequency in zip(
            [1, *widths[:-1]], widths, of_time, of_frequency, strict=True
        ):
            if placement == "per_axis":
                first, second = {TIME: along_time}, {FREQUENCY: along_frequency}
            else:
                first, second = {}, {FREQUENCY: along_frequency, TIME: along_time}
            self.blocks.append(Block(unit(n_in, n_out, (1, 3), first), unit(n_out, n_out, (3, 1), second)))
        self.dropout = nn.Dropout2d(dropout)
        self.n_channels = widths[-1]
        self.graphs: GraphedMaps | None = None

    def forward(self, log_mel: Tensor) -> Tensor:
        """Compute the output; its shape is that of the class."""
        operators = self.operators(*log_mel.shape[-2:])
        graphs = self.graphs if self.training and torch.is_grad_enabled() else None
        return self.maps(log_mel, operators) if graphs is None else graphs(self, log_mel, operators)

    def units(self) -> Iterator[ConvUnit]:
        """Yield the units in the order of the forward pass."""
        for block in cast(list[Block], self.blocks):
            yield from (block.time, block.frequency)

    def operators(self, n_mels: int, n_frames: int) -> list[list[AnyOperator | None]]:
        """Give what downsamples in every unit for a map of `n_mels` x `n_frames`; the device is waited for once."""
        layers = [layer for unit in self.units() if (layer := unit.pool) is not None]
        if self._learns_together(layers) and max(n_mels, n_frames) <= MATRIX_MAX:
            of_layers = iter(operators_of_layers(cast(list[DiffStride], layers), {FREQUENCY: n_mels, TIME: n_frames}))
            return [[] if unit.pool is None else list(next(of_layers)) for unit in self.units()]
        values = iter(numbers_of_each([layer.values() for layer in layers]))
        sizes = {FREQUENCY: n_mels, TIME: n_frames}
        return [unit.operators(sizes, None if unit.pool is None else next(values)) for unit in self.units()]

    @staticmethod
    def _learns_together(layers: Sequence[nn.Module]) -> bool:
        """Tell whether all layers are DiffStride with strides that are learned here and now."""
        return (
            torch.is_grad_enabled()
            and len(layers) > 0
            and all(isinstance(layer, DiffStride) and layer.strides.requires_grad for layer in layers)
        )

    def maps(self, log_mel: Tensor, operators: Sequence[Sequence[AnyOperator | None]]) -> Tensor:
        """Compute the last map. Nothing here depends on strides but `operators`, whose sizes move with them."""
        x = log_mel
        for unit, of_unit in zip(self.units(), operators, strict=True):
            x = unit(x, of_unit)
        out: Tensor = self.dropout(x)
        return out

    def compile_activations(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """Compile what lies between convolutions and products, which run in libraries' kernels, for training.

        It sees nothing of the strides, and map sizes are symbols to it: there is one graph per number of channels,
        wherever the strides move. On a GPU whole steps are recorded besides (`audiostride.models.graphs`).
        """
        if next(self.parameters()).is_cuda and not torch.distributed.is_initialized():
            self.graphs = GraphedMaps()
        compiled = torch.compile(activate, dynamic=True, backend=backend)
        for unit in self.units():
            unit.activate_in_training = compiled

    def downsamplers(self) -> Iterator[tuple[int, Downsampler]]:
        """Give every layer that downsamples with its block, counted from 1, in the order of the forward pass."""
        for i, unit in enumerate(self.units()):
            if (layer := unit.downsampler) is not None:
                yield i // 2 + 1, layer

    def strides_by_axis(self) -> dict[str, list[float]]:
        """Give the nominal stride of every block, per axis."""
        strides: dict[str, list[float]] = {"time": [], "frequency": []}
        for _, layer in self.downsamplers():
            for axis, stride in zip(layer.axes, layer.strides.expand(len(layer.axes)).tolist(), strict=True):
                strides[AXIS_NAMES[axis]].append(stride)
        return strides

    def learned_smoothness(self) -> dict[str, list[float]] | None:
        """Give the width of every block's ramp per axis in Fourier bins, None where it is not learned."""
        smoothness: dict[str, list[float]] = {"time": [], "frequency": []}
        for _, layer in self.downsamplers():
            if not isinstance(layer, DiffStride) or not layer.learn_smoothness:
                return None
            for axis, width in zip(layer.axes, layer.smoothness, strict=True):
                smoothness[AXIS_NAMES[axis]].append(width)
        return smoothness

    def layer_strides(self, n_mels: int, n_frames: int) -> list[LayerStride]:
        """Give the strides of every block and axis for a log-mel map of `n_mels` x `n_frames`."""
        sizes, layers = {FREQUENCY: n_mels, TIME: n_frames}, []
        for block, layer in self.downsamplers():
            n_in = [sizes[axis] for axis in layer.axes]
            n_out = layer.output_sizes(n_in)
            strides = layer.strides.expand(len(layer.axes)).unbind()
            effective, edges = layer.effective_strides(n_in), layer.gain_edges(n_in)
            for i, axis in enumerate(layer.axes):
                layers.append(
                    LayerStride(block, AXIS_NAMES[axis], strides[i], effective[i], n_in[i], n_out[i], edges[i])
                )
            sizes |= dict(zip(layer.axes, n_out, strict=True))
        return layers

    def stuck_strides(self, n_mels: int, n_frames: int) -> list[LayerStride]:
        """Find the strides to be learned that have no gradient for a log-mel map of `n_mels` x `n_frames`."""
        layers = iter(self.layer_strides(n_mels, n_frames))
        stuck: list[LayerStride] = []
        for _, module in self.downsamplers():
            of_module = [next(layers) for _ in module.axes]
            if isinstance(module, DiffStride):
                flags = module.cannot_learn([layer.n_in for layer in of_module])
                stuck.extend(layer for layer, flag in zip(of_module, flags, strict=True) if flag)
        return stuck

    def project_strides_(self) -> None:
        """Bring learned strides back to at least 1, in place; call it after the optimiser step."""
        project_strides_(self)
