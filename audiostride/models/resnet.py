"""ResNet-18 whose residual blocks downsample both branches with one layer."""

import torch
from torch import Tensor, nn

from audiostride.models.downsampler import Downsampler, first_downsampler
from audiostride.models.network import ConvNorm, Network, convolution, scale
from audiostride.models.stride_settings import BlockStrides, StrideSettings, check_width

CHANNELS = (64, 128, 256, 512)  # of the stages, of two blocks each; all but the first downsample


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; where the block downsamples, one layer does so for both.

    The paper lets both branches convolve at full resolution and downsamples them with the same layer. The shortcut's
    convolution has one tap, so it commutes with the layer: here it follows it, with the same result at less cost.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        settings: how to downsample.
        of_axes: strides of the block, None where it keeps size and channels.

    Shape:
        x: `(batch, n_in, mel, time)`. output: `(batch, n_out, mel, time)`.

    Reference:
        He et al., "Deep residual learning for image recognition", 2016; the shared layer, Riad et al., ICLR 2022.
    """

    def __init__(self, n_in: int, n_out: int, settings: StrideSettings, of_axes: BlockStrides | None = None) -> None:
        super().__init__()
        self.conv1, self.pool, self.shortcut = convolution(n_in, n_out, 3), None, None
        if of_axes is not None:
            self.conv1, self.pool = settings.layers(n_in, n_out, (3, 3), of_axes, bias=False)
            self.shortcut = ConvNorm(settings.layers(n_in, n_out, (1, 1), of_axes, bias=False)[0])
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = ConvNorm(convolution(n_out, n_out, 3))

    @property
    def downsampler(self) -> Downsampler | None:
        """Find the layer that downsamples, None if there is none."""
        return first_downsampler((self.pool, self.conv1))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output; its shape is that of the class."""
        main = self.conv1(x)
        if self.pool is not None:
            both = self.pool(torch.cat([main, x], dim=1))
            main, x = both[:, : main.shape[1]], both[:, main.shape[1] :]
        main = self.conv2(self.norm1(main).relu())
        out: Tensor = main + (x if self.shortcut is None else self.shortcut(x))
        return out.relu()


def resnet18(settings: StrideSettings, *, width: float = 1.0, dropout: float = 0.0, n_channels_in: int = 1) -> Network:
    """Build ResNet-18 in its form for small maps: a stem of 3 x 3 that keeps their size, then four stages.

    Args:
        settings: of three strides, those of the stages after the first.
        width: multiplies the channels 64, 128, 256, 512.
        dropout: probability of dropping a channel of the last map, in [0, 1).
        n_channels_in: of the input, 1 for log-mel.

    Raises:
        ValueError: an argument or a setting out of range; the message names it.

    Reference:
        He et al., "Deep residual learning for image recognition", 2016; Riad et al., ICLR 2022.

    >>> strides = StrideSettings(downsampling="strided_conv", stride_time=[2, 2, 2], stride_frequency=[2, 2, 2])
    >>> resnet18(strides, width=0.1)(torch.randn(2, 1, 64, 100)).shape
    torch.Size([2, 51, 8, 13])
    """
    check_width(width, dropout)
    channels = [scale(n, width) for n in CHANNELS]
    stem = convolution(n_channels_in, channels[0], 3)
    blocks: dict[str, nn.Module] = {"stem": ConvNorm(stem, activation=nn.ReLU())}
    of_stages = [None, *settings.draw(len(channels) - 1)]
    for stage, (n_in, n_out, of_stage) in enumerate(
        zip([channels[0], *channels[:-1]], channels, of_stages, strict=True), 1
    ):
        blocks[f"stage{stage}_1"] = ResidualBlock(n_in, n_out, settings, of_stage)
        blocks[f"stage{stage}_2"] = ResidualBlock(n_out, n_out, settings)
    return Network(blocks, channels[-1], dropout=dropout)
