"""A network as a chain of blocks some of which downsample, and what those of the paper's networks have in common."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from audiostride.layers import DiffStride, SpectralPooling
from audiostride.models.downsampler import Downsampler, first_downsampler
from audiostride.models.layer_strides import StridesOfLayers


def scale(n_channels: int, width: float) -> int:
    """Count the channels of a network that is `width` times as wide.

    >>> scale(64, 0.25), scale(16, 0.01)
    (16, 1)
    """
    return max(1, round(n_channels * width))


def convolution(n_in: int, n_out: int, kernel_size: int, groups: int = 1) -> nn.Conv2d:
    """Give a convolution that keeps the size of maps, without a bias, which batch norm would take away."""
    return nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2, groups=groups, bias=False)


class ConvNorm(nn.Module):
    """Convolution, downsampling, batch norm and an activation.

    Args:
        conv: the convolution.
        pool: what downsamples after it, if anything does.
        activation: None for none.
    """

    def __init__(
        self,
        conv: nn.Conv2d,
        pool: DiffStride | SpectralPooling | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv = conv
        self.pool = pool
        self.norm = nn.BatchNorm2d(conv.out_channels)
        self.activation = activation

    @property
    def downsampler(self) -> Downsampler | None:
        """Find the layer that downsamples, None if there is none."""
        return first_downsampler((self.pool, self.conv))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output."""
        x = self.conv(x)
        if self.pool is not None:
            x = self.pool(x)
        x = self.norm(x)
        return x if self.activation is None else self.activation(x)


@runtime_checkable
class MayDownsample(Protocol):
    """A block that may downsample once."""

    @property
    def downsampler(self) -> Downsampler | None:
        """Find the layer that downsamples, None if there is none."""
        ...


class Network(StridesOfLayers, nn.Module):
    """A backbone of blocks one after the other (`audiostride.models.protocol.StridedBackbone`).

    Args:
        blocks: by name, in the order of the forward pass. Those that downsample have an attribute `downsampler`.
        n_channels: of the last map.
        dropout: probability of dropping a channel of the last map, in [0, 1).

    Shape:
        maps: `(batch, channel, mel, time)`. output: `(batch, n_channels, mel, time)`.
    """

    def __init__(self, blocks: Mapping[str, nn.Module], n_channels: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        for name, block in blocks.items():
            self.add_module(name, block)
        self.dropout = nn.Dropout2d(dropout)
        self.n_channels = n_channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al., "Delving deep into rectifiers", 2015
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, maps: Tensor) -> Tensor:
        """Compute the output; its shape is that of the class."""
        for block in self.children():
            maps = block(maps)
        return maps

    def downsamplers(self) -> Iterator[tuple[int, Downsampler]]:
        """Give every layer that downsamples with its number, counted from 1, in the order of the forward pass."""
        blocks = (block for block in self.children() if isinstance(block, MayDownsample))
        layers = (layer for block in blocks if (layer := block.downsampler) is not None)
        return enumerate(layers, 1)
