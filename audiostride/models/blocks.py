"""What the backbone is made of: units of convolution, downsampling and activation, and blocks of two."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiostride.layers import AnyOperator, DiffStride, SpectralPooling, convolve_and_resample_maps, convolve_maps
from audiostride.models.downsampler import (
    FREQUENCY,
    TIME,
    Downsampler,
    first_downsampler,
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
        return first_downsampler((self.pool, self.conv))

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
        """Do the same for maps that lie in memory as (time, mel, batch, channel), as `audiostride.layers.mixing` wants.

        So do those of the output, whose axes are as ever: the next unit copies nothing.
        """
        assert self.pool is not None
        n_mels = x.shape[FREQUENCY]
        maps = x.permute(3, 2, 0, 1).contiguous()
        if self.pool.axes == (TIME,):
            maps = maps.flatten(1, 2).unsqueeze(0)
        weight, bias = self.conv.weight.flatten(2), self.conv.bias
        if operator is None:
            maps = convolve_maps(maps, weight, bias)
        else:
            assert bias is not None
            maps = convolve_and_resample_maps(maps, weight, bias, operator)
        if self.pool.axes == (TIME,):
            maps = maps.view(maps.shape[1], n_mels, len(x), -1)
        # to batch norm frames are a batch of images (mel, batch) whose channels come last in memory
        activated = self._activate(maps.permute(0, 3, 1, 2))
        return activated.permute(3, 1, 2, 0)


class Block(nn.Module):
    """A unit that convolves along time, then one that convolves along mel."""

    def __init__(self, time: ConvUnit, frequency: ConvUnit) -> None:
        super().__init__()
        self.time = time
        self.frequency = frequency
