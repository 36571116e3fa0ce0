"""The six-block time/frequency CNN, its strides fixed or learned."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from audiostride.layers import AnyOperator, DiffStride
from audiostride.layers.fourier import MATRIX_MAX
from audiostride.layers.reading import numbers_of_each
from audiostride.layers.together import operators_of_layers
from audiostride.models.blocks import Block, ConvUnit, activate
from audiostride.models.downsampler import FREQUENCY, TIME, Downsampler
from audiostride.models.graphs import GraphedMaps
from audiostride.models.layer_strides import StridesOfLayers
from audiostride.models.network import scale
from audiostride.models.stride_settings import BlockStrides, StrideSettings, check_width
from audiostride.vocabulary import (
    CHANNELS,
    SMOOTHNESS,
    STRIDE_RANGE,
    STRIDES,
    Downsampling,
    Order,
    Placement,
    Ramp,
)


class TimeFrequencyCnn(StridesOfLayers, nn.Module):
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
        for name, value, known in (("placement", placement, Placement), ("order", order, Order)):
            if value not in get_args(known):
                raise ValueError(f"{name} must be one of {', '.join(get_args(known))}, got {value!r}")
        check_width(width, dropout)
        if shared and placement != "per_block":
            raise ValueError('shared strides need placement "per_block": one layer for both axes')
        settings = StrideSettings(
            downsampling=downsampling,
            stride_time=stride_time,
            stride_frequency=stride_frequency,
            stride_range=stride_range,
            smoothness=smoothness,
            smoothness_time=smoothness_time,
            smoothness_frequency=smoothness_frequency,
            learn_smoothness=learn_smoothness,
            ramp=ramp,
            shared=shared,
            identity_at_1=identity_at_1,
        )

        def unit(n_in: int, n_out: int, kernel_size: tuple[int, int], of_axes: BlockStrides) -> ConvUnit:
            return ConvUnit(*settings.layers(n_in, n_out, kernel_size, of_axes), order)

        widths = [scale(channels, width) for channels in CHANNELS]
        self.blocks = nn.ModuleList()
        for n_in, n_out, of_block in zip([1, *widths[:-1]], widths, settings.draw(len(widths)), strict=True):
            if placement == "per_axis":
                first, second = ({axis: of_block[axis]} for axis in (TIME, FREQUENCY))
            else:
                first, second = {}, of_block
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
