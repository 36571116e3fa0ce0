"""EfficientNet-B0 whose stages downsample by strides."""

from typing import NamedTuple

from torch import Tensor, nn

from audiostride.models.downsampler import Downsampler
from audiostride.models.network import ConvNorm, Network, convolution, scale
from audiostride.models.stride_settings import BlockStrides, StrideSettings, check_width

N_STEM, N_HEAD = 32, 1280  # channels
SQUEEZE = 4  # how many times fewer channels weigh the others


class Stage(NamedTuple):
    """Blocks of the same kind: the first takes the channels of the stage before."""

    expansion: int
    n_channels: int
    n_blocks: int
    kernel_size: int


STAGES = (
    Stage(1, 16, 1, 3),
    Stage(6, 24, 2, 3),
    Stage(6, 40, 2, 5),
    Stage(6, 80, 3, 3),
    Stage(6, 112, 3, 5),
    Stage(6, 192, 4, 5),
    Stage(6, 320, 1, 3),
)


class SqueezeExcitation(nn.Module):
    """Weigh every channel by what the means of all of them say.

    Shape:
        x, output: `(batch, channel, mel, time)`.

    Reference:
        Hu et al., "Squeeze-and-excitation networks", 2018.
    """

    def __init__(self, n_channels: int, n_squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(n_channels, n_squeezed, 1)
        self.excite = nn.Conv2d(n_squeezed, n_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output; its shape is that of the class."""
        means = x.mean((-2, -1), keepdim=True)
        weights: Tensor = self.excite(nn.functional.silu(self.squeeze(means)))
        return x * weights.sigmoid()


class InvertedResidual(nn.Module):
    """More channels, a convolution of each alone, then fewer channels, beside a shortcut if nothing else changes.

    Args:
        n_in: channels of the input.
        stage: that the block belongs to.
        width: multiplies the channels of the stage.
        settings: how to downsample.
        of_axes: strides of the block, None where it keeps its size.

    Shape:
        x: `(batch, n_in, mel, time)`. output: `(batch, channel, mel, time)`.

    Reference:
        Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018.
    """

    def __init__(
        self, n_in: int, stage: Stage, width: float, settings: StrideSettings, of_axes: BlockStrides | None = None
    ) -> None:
        super().__init__()
        n_inner, n_out, kernel_size = stage.expansion * n_in, scale(stage.n_channels, width), stage.kernel_size
        self.expand = None
        if stage.expansion > 1:
            self.expand = ConvNorm(convolution(n_in, n_inner, 1), activation=nn.SiLU())
        conv, pool = convolution(n_inner, n_inner, kernel_size, groups=n_inner), None
        if of_axes is not None:
            conv, pool = settings.layers(
                n_inner, n_inner, (kernel_size, kernel_size), of_axes, groups=n_inner, bias=False
            )
        self.depthwise = ConvNorm(conv, pool, nn.SiLU())
        self.weigh = SqueezeExcitation(n_inner, max(1, n_in // SQUEEZE))
        self.project = ConvNorm(convolution(n_inner, n_out, 1))
        self.has_shortcut = of_axes is None and n_in == n_out

    @property
    def downsampler(self) -> Downsampler | None:
        """Find the layer that downsamples, None if there is none."""
        return self.depthwise.downsampler

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output; its shape is that of the class."""
        inner = x if self.expand is None else self.expand(x)
        out: Tensor = self.project(self.weigh(self.depthwise(inner)))
        return x + out if self.has_shortcut else out


def efficientnet_b0(
    settings: StrideSettings, *, width: float = 1.0, dropout: float = 0.0, n_channels_in: int = 1
) -> Network:
    """Build EfficientNet-B0, without its random depth.

    The first of the seven strides lies in the stem, as the published one of 2 does; every other in the first block of
    its stage.

    Args:
        settings: of seven strides, one per stage.
        width: multiplies all channels.
        dropout: probability of dropping a channel of the last map, in [0, 1).
        n_channels_in: of the input, 1 for log-mel.

    Raises:
        ValueError: an argument or a setting out of range; the message names it.

    Reference:
        Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", 2019; Riad et al., ICLR
        2022.

    >>> import torch
    >>> strides = [2, 2, 2, 2, 1, 2, 1]
    >>> settings = StrideSettings(downsampling="strided_conv", stride_time=strides, stride_frequency=strides)
    >>> efficientnet_b0(settings, width=0.1)(torch.randn(2, 1, 64, 100)).shape
    torch.Size([2, 128, 2, 4])
    """
    check_width(width, dropout)
    of_stages = settings.draw(len(STAGES))
    n_in, n_head = scale(N_STEM, width), scale(N_HEAD, width)
    stem = settings.layers(n_channels_in, n_in, (3, 3), of_stages[0], bias=False)
    blocks: dict[str, nn.Module] = {"stem": ConvNorm(*stem, nn.SiLU())}
    for number, (stage, of_stage) in enumerate(zip(STAGES, of_stages, strict=True), 1):
        for block in range(stage.n_blocks):
            of_block = of_stage if block == 0 and number > 1 else None
            blocks[f"stage{number}_{block + 1}"] = InvertedResidual(n_in, stage, width, settings, of_block)
            n_in = scale(stage.n_channels, width)
    blocks["head"] = ConvNorm(convolution(n_in, n_head, 1), activation=nn.SiLU())
    return Network(blocks, n_head, dropout=dropout)
