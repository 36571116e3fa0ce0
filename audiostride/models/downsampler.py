"""The ways to downsample that the model compares, behind one interface."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from audiostride.layers import AnyOperator, DiffStride, Operator, SpectralPooling
from audiostride.layers.together import project_layers_
from audiostride.vocabulary import AxisName, Downsampling, Ramp

FREQUENCY, TIME = -2, -1  # axes of a map (batch, channel, mel, time)
AXIS_NAMES: dict[int, AxisName] = {FREQUENCY: "frequency", TIME: "time"}


@runtime_checkable
class Downsampler(Protocol):
    """A way to downsample: all that reading, regularising, counting and exporting strides needs to know of it.

    `sizes` are the samples along each of its `axes`.

    Attributes:
        axes: negative, counted from the last.
        strides: one per axis, or one for all.
        fuses: whether a convolution along its axis can be merged with it.
    """

    axes: tuple[int, ...]
    strides: Tensor
    fuses: bool

    def effective_strides(self, sizes: Sequence[int]) -> list[Tensor]:
        """Give the stride that every axis really has, differentiable."""
        ...

    def values(self) -> Tensor:
        """Give the numbers that `operators` needs, so that those of all layers are read from the device at once."""
        ...

    def output_sizes(self, sizes: Sequence[int]) -> list[int]:
        """Count the samples that are left on every axis."""
        ...

    def operators(self, sizes: Sequence[int], values: Sequence[float] | None = None) -> list[AnyOperator | None]:
        """Give the linear map of every axis, None for one that passes unchanged."""
        ...

    def gain_edges(self, sizes: Sequence[int]) -> list[tuple[float, float] | None]:
        """Find where the gain begins to fall and where it ends, None for an axis that is not filtered."""
        ...

    def multiply_adds(self, shape: Sequence[int]) -> int:
        """Count the multiply-adds for one example."""
        ...


class StridedConv2d(nn.Conv2d):
    """A convolution that keeps every `stride`-th sample; zero padding keeps `ceil(n / stride)`."""

    strides: Tensor
    fuses = False

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel_size: tuple[int, int],
        strides: Sequence[float],
        axes: Sequence[int],
        *,
        groups: int = 1,
        bias: bool = True,
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
            groups=groups,
            bias=bias,
        )
        self.axes = tuple(axes)
        self.register_buffer("strides", torch.tensor([float(stride) for stride in strides]))

    def effective_strides(self, sizes: Sequence[int]) -> list[Tensor]:
        """Give the stride of every axis; nothing clamps it."""
        return list(self.strides.unbind())

    def values(self) -> Tensor:
        """Give the strides."""
        return self.strides

    def output_sizes(self, sizes: Sequence[int]) -> list[int]:
        """Give samples left on every axis of an input with these `sizes`."""
        return [-(-n // int(s)) for n, s in zip(sizes, self.strides.tolist(), strict=True)]

    def operators(self, sizes: Sequence[int], values: Sequence[float] | None = None) -> list[AnyOperator | None]:
        """Give what is left of the layer without its kernel: every `stride`-th sample of each axis."""
        strides = [int(stride) for stride in self.strides.tolist()]
        return [None if s == 1 else Operator(torch.eye(n)[::s]) for n, s in zip(sizes, strides, strict=True)]

    def gain_edges(self, sizes: Sequence[int]) -> list[tuple[float, float] | None]:
        """Give None for every axis: nothing is filtered, what lies above the new rate folds."""
        return [None for _ in sizes]

    def multiply_adds(self, shape: Sequence[int]) -> int:
        """Count the multiply-adds of the convolution for one example `(channel, mel, time)`."""
        sizes = [shape[FREQUENCY], shape[TIME]]
        for axis, n_out in zip(self.axes, self.output_sizes([shape[axis] for axis in self.axes]), strict=True):
            sizes[axis] = n_out
        return self.weight.numel() * sizes[0] * sizes[1]


def first_downsampler(layers: Iterable[nn.Module | None]) -> Downsampler | None:
    """Find the first of some layers that downsamples, None if there is none."""
    for layer in layers:
        if isinstance(layer, Downsampler) and layer.axes:
            return layer
    return None


@torch.no_grad()
def project_strides_(module: nn.Module) -> None:
    """Bring the learned strides in a module back to at least 1, in place; call it after the optimiser step."""
    project_layers_([layer for layer in module.modules() if isinstance(layer, DiffStride)])


def fourier_downsampler(
    downsampling: Downsampling,
    strides: Sequence[float],
    axes: Sequence[int],
    smoothness: Sequence[float],
    ramp: Ramp,
    *,
    shared: bool,
    learn_smoothness: bool = False,
    identity_at_1: bool = True,
) -> DiffStride | SpectralPooling:
    """Give the downsampling module of a method that works on the spectrum."""
    if downsampling == "spectral_pooling":
        return SpectralPooling(strides, axes)
    strides = strides[:1] if shared else strides
    return DiffStride(
        strides,
        axes,
        smoothness=smoothness,
        ramp=ramp,
        shared=shared,
        learnable=downsampling == "diffstride",
        learn_smoothness=learn_smoothness and downsampling == "diffstride",
        identity_at_1=identity_at_1,
    )
