"""How a network downsamples: where the strides of its blocks begin, and the layers that have them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import nn

from audiostride.layers import DiffStride, SpectralPooling
from audiostride.models.downsampler import FREQUENCY, TIME, StridedConv2d, fourier_downsampler
from audiostride.vocabulary import SMOOTHNESS, STRIDE_RANGE, Downsampling, Ramp

Strides = Sequence[float] | Literal["random"]


class AxisStride(NamedTuple):
    """Where the stride of one axis begins, and the width of its ramp in Fourier bins."""

    stride: float
    smoothness: float


BlockStrides = dict[int, AxisStride]  # by axis


def random_strides(n_blocks: int, low: float, high: float, *, integer: bool) -> list[float]:
    """Give initial strides drawn uniformly from `[low, high]` with torch's global generator."""
    if not 1 <= low <= high < math.inf:
        raise ValueError(f"stride_range must satisfy 1 <= low <= high, got ({low}, {high})")
    if integer:
        if math.ceil(low) > math.floor(high):
            raise ValueError(f"stride_range must hold an integer for strided_conv, got ({low}, {high})")
        return torch.randint(math.ceil(low), math.floor(high) + 1, (n_blocks,)).double().tolist()
    return torch.empty(n_blocks, dtype=torch.float64).uniform_(low, high).tolist()


def check_width(width: float, dropout: float) -> None:
    """Raise ValueError for a width or a dropout that no network can have."""
    if not 0 < width < math.inf:
        raise ValueError(f"width must be a finite number above 0, got {width}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}")


@dataclass(frozen=True, kw_only=True)
class StrideSettings:
    """How a network downsamples, for blocks whose number the network knows.

    Attributes:
        downsampling: "strided_conv", "spectral_pooling", "fixed_stride" or "diffstride".
        stride_time: initial stride on the time axis per block, or "random".
        stride_frequency: initial stride on the mel axis per block, or "random".
        stride_range: the range of "random" strides (integers for strided convolutions).
        smoothness: width of the ramp of DiffStride in Fourier bins.
        smoothness_time: that of the time axis per block, in place of `smoothness`.
        smoothness_frequency: that of the mel axis per block, in place of `smoothness`.
        learn_smoothness: whether DiffStride learns the width of every ramp too.
        ramp: "outside", "inside" or "folded".
        shared: one stride for both axes of a block; needs equal initial strides.
        identity_at_1: whether a fixed stride of exactly 1 leaves its axis as it is; if not, it is the low-pass that a
            learned stride of 1 is.

    Raises:
        ValueError: an unknown `downsampling`.
    """

    downsampling: Downsampling = "diffstride"
    stride_time: Strides
    stride_frequency: Strides
    stride_range: tuple[float, float] = STRIDE_RANGE
    smoothness: float = SMOOTHNESS
    smoothness_time: Sequence[float] | None = None
    smoothness_frequency: Sequence[float] | None = None
    learn_smoothness: bool = False
    ramp: Ramp = "outside"
    shared: bool = False
    identity_at_1: bool = True

    def __post_init__(self) -> None:
        known = get_args(Downsampling)
        if self.downsampling not in known:
            raise ValueError(f"downsampling must be one of {', '.join(known)}, got {self.downsampling!r}")

    def draw(self, n_blocks: int) -> list[BlockStrides]:
        """Give stride and ramp of both axes of every block, random ones drawn with torch's global generator.

        Raises:
            ValueError: a setting out of range; the message names it.
        """
        integer = self.downsampling == "strided_conv"
        time, frequency = (
            random_strides(n_blocks, *self.stride_range, integer=integer) if strides == "random" else list(strides)
            for strides in (self.stride_time, self.stride_frequency)
        )
        widths_time, widths_frequency = (
            [self.smoothness] * n_blocks if values is None else list(values)
            for values in (self.smoothness_time, self.smoothness_frequency)
        )
        for name, values in (
            ("stride_time", time),
            ("stride_frequency", frequency),
            ("smoothness_time", widths_time),
            ("smoothness_frequency", widths_frequency),
        ):
            if len(values) != n_blocks:
                raise ValueError(f"{name} must hold {n_blocks} numbers, one per block, got {len(values)}")
        if self.shared and self.stride_time == self.stride_frequency == "random":
            frequency = time
        if self.shared and time != frequency:
            raise ValueError(f"shared strides need equal stride_time and stride_frequency, got {time}, {frequency}")
        of_time = map(AxisStride, time, widths_time)
        of_frequency = map(AxisStride, frequency, widths_frequency)
        return [{FREQUENCY: along_mel, TIME: along_time} for along_mel, along_time in zip(of_frequency, of_time)]  # noqa: B905

    def layers(
        self,
        n_in: int,
        n_out: int,
        kernel_size: tuple[int, int],
        of_axes: BlockStrides,
        *,
        groups: int = 1,
        bias: bool = True,
    ) -> tuple[nn.Conv2d, DiffStride | SpectralPooling | None]:
        """Give a convolution of odd `kernel_size`, zero-padded, and what downsamples after it.

        The second is None where the convolution itself has the strides, and where `of_axes` names no axis.
        """
        axes, strides = list(of_axes), [axis.stride for axis in of_axes.values()]
        if self.downsampling == "strided_conv":
            return StridedConv2d(n_in, n_out, kernel_size, strides, axes, groups=groups, bias=bias), None
        padding = (kernel_size[0] // 2, kernel_size[1] // 2)
        conv = nn.Conv2d(n_in, n_out, kernel_size, padding=padding, groups=groups, bias=bias)
        if not axes:
            return conv, None
        pool = fourier_downsampler(
            self.downsampling,
            strides,
            axes,
            [axis.smoothness for axis in of_axes.values()],
            self.ramp,
            shared=self.shared,
            learn_smoothness=self.learn_smoothness,
            identity_at_1=self.identity_at_1,
        )
        return conv, pool
