"""DenseNet-BC whose transitions downsample by strides."""

import torch
from torch import Tensor, nn

from audiostride.layers import DiffStride, SpectralPooling
from audiostride.models.downsampler import Downsampler, first_downsampler
from audiostride.models.network import Network, convolution, scale
from audiostride.models.stride_settings import StrideSettings, check_width

GROWTH = 32  # channels that every layer adds
DEPTH = 121
N_DENSE_BLOCKS = 3
BOTTLENECK = 4  # channels between the two convolutions of a layer, in those that it adds
N_LAYERS = (DEPTH - 4) // (2 * N_DENSE_BLOCKS)  # of every dense block, two convolutions each


class NormConv(nn.Module):
    """Batch norm, ReLU and a convolution, in this order, and what downsamples after them, if anything does."""

    def __init__(self, conv: nn.Conv2d, pool: DiffStride | SpectralPooling | None = None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(conv.in_channels)
        self.conv = conv
        self.pool = pool

    @property
    def downsampler(self) -> Downsampler | None:
        """Find the layer that downsamples, None if there is none."""
        return first_downsampler((self.pool, self.conv))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output."""
        x = self.conv(self.norm(x).relu())
        return x if self.pool is None else self.pool(x)


class DenseLayer(nn.Module):
    """A convolution of one tap, then one of 3 x 3, whose channels are put after those of the input.

    Shape:
        x: `(batch, n_in, mel, time)`. output: `(batch, n_in + growth, mel, time)`.
    """

    def __init__(self, n_in: int, growth: int) -> None:
        super().__init__()
        self.bottleneck = NormConv(convolution(n_in, BOTTLENECK * growth, 1))
        self.grow = NormConv(convolution(BOTTLENECK * growth, growth, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output; its shape is that of the class."""
        return torch.cat([x, self.grow(self.bottleneck(x))], dim=1)


def densenet_bc121(
    settings: StrideSettings, *, width: float = 1.0, dropout: float = 0.0, n_channels_in: int = 1
) -> Network:
    """Build DenseNet-BC in its form for small maps: three dense blocks with two transitions between them.

    A transition halves the channels and downsamples, as the layer says that stands in place of average pooling; with
    strided convolutions the transition's own convolution has the stride. Depth 121 gives every dense block 19 layers.

    Args:
        settings: of two strides, those of the transitions.
        width: multiplies the growth of 32 channels, and with it all channels.
        dropout: probability of dropping a channel of the last map, in [0, 1).
        n_channels_in: of the input, 1 for log-mel.

    Raises:
        ValueError: an argument or a setting out of range; the message names it.

    Reference:
        Huang et al., "Densely connected convolutional networks", 2017; Riad et al., ICLR 2022.

    >>> strides = StrideSettings(downsampling="strided_conv", stride_time=[2, 2], stride_frequency=[2, 2])
    >>> densenet_bc121(strides, width=0.06)(torch.randn(2, 1, 20, 30)).shape
    torch.Size([2, 67, 5, 8])
    """
    check_width(width, dropout)
    growth = scale(GROWTH, width)
    n_channels = 2 * growth
    blocks: dict[str, nn.Module] = {"stem": convolution(n_channels_in, n_channels, 3)}
    of_transitions = settings.draw(N_DENSE_BLOCKS - 1)
    for dense in range(N_DENSE_BLOCKS):
        for layer in range(N_LAYERS):
            blocks[f"dense{dense + 1}_{layer + 1}"] = DenseLayer(n_channels, growth)
            n_channels += growth
        if dense < len(of_transitions):
            n_left = n_channels // 2
            layers = settings.layers(n_channels, n_left, (1, 1), of_transitions[dense], bias=False)
            blocks[f"transition{dense + 1}"] = NormConv(*layers)
            n_channels = n_left
    blocks["norm"], blocks["activation"] = nn.BatchNorm2d(n_channels), nn.ReLU()
    return Network(blocks, n_channels, dropout=dropout)
