"""The four ways to downsample that the model compares, behind one interface."""

import math
from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from audiostride.layers import DiffStride, Ramp, SpectralPooling

Downsampling = Literal["strided_conv", "spectral_pooling", "fixed_stride", "diffstride"]

FREQUENCY, TIME = -2, -1  # axes of a map (batch, channel, mel, time)
AxisName = Literal["time", "frequency"]
AXIS_NAMES: dict[int, AxisName] = {FREQUENCY: "frequency", TIME: "time"}


class Downsampler(Protocol):
    """What reading and regularising strides needs to know of a layer that downsamples."""

    axes: tuple[int, ...]
    strides: Tensor

    def effective_strides(self, sizes: Sequence[int]) -> list[Tensor]: ...

    def output_sizes(self, sizes: Sequence[int]) -> list[int]: ...


class StridedConv2d(nn.Conv2d):
    """A convolution that keeps every `stride`-th sample; zero padding keeps `ceil(n / stride)`."""

    strides: Tensor

    def __init__(
        self, n_in: int, n_out: int, kernel_size: tuple[int, int], strides: Sequence[float], axes: Sequence[int]
    ) -> None:
        for stride in strides:
            if not math.isfinite(stride) or stride != int(stride) or stride < 1:
                raise ValueError(f"a strided convolution needs integer strides >= 1, got {stride}")
        by_axis = {axis: int(stride) for axis, stride in zip(axes, strides, strict=True)}
        super().__init__(
            n_in,
            n_out,
            kernel_size,
            stride=(by_axis.get(FREQUENCY, 1), by_axis.get(TIME, 1)),
            padding=(kernel_size[0] // 2, kernel_size[1] // 2),
        )
        self.axes = tuple(axes)
        self.register_buffer("strides", torch.tensor([float(stride) for stride in strides]))

    def effective_strides(self, sizes: Sequence[int]) -> list[Tensor]:
        """The stride of every axis; nothing clamps it."""
        return list(self.strides.unbind())

    def output_sizes(self, sizes: Sequence[int]) -> list[int]:
        """Samples left on every axis of an input with these `sizes`."""
        return [-(-n // int(s)) for n, s in zip(sizes, self.strides.tolist(), strict=True)]


def fourier_downsampler(
    downsampling: Downsampling,
    strides: Sequence[float],
    axes: Sequence[int],
    smoothness: float,
    ramp: Ramp,
    shared: bool,
    identity_at_1: bool = True,
) -> DiffStride | SpectralPooling:
    """The downsampling module of a method that works on the spectrum."""
    if downsampling == "spectral_pooling":
        return SpectralPooling(strides, axes)
    strides = strides[:1] if shared else strides
    return DiffStride(
        strides, axes, smoothness, ramp, shared, learnable=downsampling == "diffstride", identity_at_1=identity_at_1
    )
