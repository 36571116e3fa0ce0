"""What the backbone is made of: units of convolution, downsampling and activation, and blocks of two."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiostride.layers import AnyOperator, DiffStride, SpectralPooling, convolve_and_resample
from audiostride.models.downsampler import (
    FREQUENCY,
    TIME,
    Downsampler,
)
from audiostride.vocabulary import (
    Order,
)


def activate(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Apply ReLU, then batch norm."""
    out: Tensor = norm(x.relu())
    return out


class ConvUnit(nn.Module):
    """Convolution, downsampling, ReLU and batch norm, in one of the two orders.

    Where downsampling along the axis of the convolution follows it at once, both are done in the cheaper order.
    """

    def __init__(self, conv: nn.Conv2d, pool: DiffStride | SpectralPooling | None, order: Order) -> None:
        super().__init__()
        self.conv = conv
        self.pool = pool
        self.norm = nn.BatchNorm2d(conv.out_channels)
        self.pool_first = order == "conv_pool_relu_bn"
        self.activate_in_training = activate

    def _activate(self, x: Tensor) -> Tensor:
        in_training = self.training and torch.is_grad_enabled()
        return (self.activate_in_training if in_training else activate)(self.norm, x)

    @property
    def is_fused(self) -> bool:
        """Tell whether convolution and downsampling are one step."""
        return self.pool is not None and self.pool.fuses and self.pool_first and len(self.pool.axes) == 1

    @property
    def downsampler(self) -> Downsampler | None:
        """Find the layer that downsamples: a pooling, or the convolution itself; None if there is none."""
        layers = (layer for layer in (self.pool, self.conv) if isinstance(layer, Downsampler) and layer.axes)
        return next(layers, None)

    def operators(self, sizes: dict[int, int], values: Sequence[float] | None = None) -> list[AnyOperator | None]:
        """Give an operator per axis of the downsampling layer for maps of `sizes`, which become those of the output."""
        if self.pool is None:
            return []
        operators = self.pool.operators([sizes[axis] for axis in self.pool.axes], values)
        for axis, operator in zip(self.pool.axes, operators, strict=True):
            sizes[axis] = sizes[axis] if operator is None else operator.n_out
        return operators

    def forward(self, x: Tensor, operators: Sequence[AnyOperator | None] | None = None) -> Tensor:
        """Run one unit of the network; its `operators` may be given if they are known."""
        if operators is None:
            operators = self.operators({FREQUENCY: x.shape[FREQUENCY], TIME: x.shape[TIME]})
        if self.is_fused:
            return self._fused(x, operators[0])
        x = self.conv(x)
        if self.pool is not None and self.pool_first:
            x = self.pool(x, operators)
        x = self._activate(x)
        if self.pool is not None and not self.pool_first:
            x = self.pool(x, operators)
        return x

    def _fused(self, x: Tensor, operator: AnyOperator | None) -> Tensor:
        """Do the same for maps whose axis is last, the other one afterwards: a swap of axes is free, a copy is not."""
        assert self.pool is not None
        along_time = self.pool.axes == (TIME,)
        x = x if along_time else x.mT
        if operator is None:
            weight = self.conv.weight.flatten(2).unsqueeze(2)
            x = nn.functional.conv2d(x, weight, self.conv.bias, padding=(0, weight.shape[3] // 2))
            along_time = not along_time
        else:
            assert self.conv.bias is not None
            x = convolve_and_resample(x, self.conv.weight.flatten(2), self.conv.bias, operator)
        x = self._activate(x)
        return x.mT if along_time else x


class Block(nn.Module):
    """A unit that convolves along time, then one that convolves along mel."""

    def __init__(self, time: ConvUnit, frequency: ConvUnit) -> None:
        super().__init__()
        self.time = time
        self.frequency = frequency
