"""Spectral pooling over any number of axes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from audiostride.layers.axes import (
    check_axes,
    check_input,
    check_sizes,
    check_strides,
    count_multiply_adds,
    resample_axes,
)
from audiostride.layers.fixed import FixedResample, fixed_resample
from audiostride.layers.fourier import MATRIX_MAX, fourier_pooling
from audiostride.layers.gains import spectral_pooling_size
from audiostride.layers.matrices import Operator, fixed_pooling_matrix
from audiostride.layers.precision import AtLeastSingle
from audiostride.layers.reading import as_held, has_numbers, held_dtype, numbers_of, remember_strides_of
from audiostride.layers.resample import AnyOperator


class SpectralPooling(AtLeastSingle):
    """Downsample by fixed real strides: a hard crop of the spectrum along each of the `axes`.

    Args:
        strides: one stride per axis, each at least 1. A number is that of every axis.
        axes: axes to downsample, negative ones counted from the last; by default the last two.

    Shape:
        input: any number of dimensions, the `axes` not empty. output: the same, each of the
        `axes` shortened to `spectral_pooling_size` samples.

    Raises:
        ValueError: an argument out of range; the message names it.

    Reference:
        Rippel, Snoek, Adams, "Spectral representations for convolutional neural networks", 2015.

    >>> SpectralPooling([2.0, 2.0])(torch.randn(8, 1, 64, 100)).shape
    torch.Size([8, 1, 32, 50])
    """

    strides: Tensor
    fuses = True  # a convolution along the axis can be merged with the matrix

    def __init__(self, strides: float | Sequence[float], axes: int | Sequence[int] = (-2, -1)) -> None:
        super().__init__()
        self.axes = check_axes(axes)
        values = check_strides(strides, len(self.axes))
        self.known_strides = as_held(values)  # for tensors without numbers, as on the meta device, and for tracing
        self.register_buffer("strides", torch.tensor(values, dtype=held_dtype()))
        remember_strides_of(self)

    def extra_repr(self) -> str:
        """Describe the layer in its `repr`."""
        return f"strides={self.strides.tolist()}, axes={self.axes}"

    def gain_edges(self, sizes: Sequence[int]) -> list[tuple[float, float] | None]:
        """Find where the gain falls from 1 to 0, at once, as a share of each axis's sampling rate."""
        edges = (n_out / (2 * n_in) for n_in, n_out in zip(sizes, self.output_sizes(sizes), strict=True))
        return [(edge, edge) for edge in edges]

    def multiply_adds(self, shape: Sequence[int]) -> int:
        """Count the multiply-adds for one example of `shape`, all axes of the layer among it."""
        return count_multiply_adds(shape, self.axes, self.operators([shape[axis] for axis in self.axes]))

    def effective_strides(self, sizes: Sequence[int]) -> list[Tensor]:
        """Give the stride of every axis; nothing clamps it."""
        check_sizes(sizes, self.axes)
        return list(self.strides.unbind())

    def values(self) -> Tensor:
        """Give the numbers that `operators` needs."""
        return self.strides

    def _read(self) -> list[float]:
        """Read the strides; while the layer is traced, or where they hold no numbers, take those last known."""
        if not torch.compiler.is_compiling() and has_numbers(self.strides):
            self.known_strides = numbers_of(self.strides)
        return self.known_strides

    def output_sizes(self, sizes: Sequence[int]) -> list[int]:
        """Give samples left on every axis of an input with these `sizes`."""
        check_sizes(sizes, self.axes)
        return [spectral_pooling_size(n, s) for n, s in zip(sizes, self._read(), strict=True)]

    def operators(self, sizes: Sequence[int], values: Sequence[float] | None = None) -> list[AnyOperator | None]:
        """Give the operator of every axis of an input with these `sizes`, None for one that passes unchanged.

        Args:
            values: of `strides`, if they are known already: reading them waits for the device.
        """
        check_sizes(sizes, self.axes)
        values, device, dtype = values or self._read(), self.strides.device, self.strides.dtype

        def operator(size: int, stride: float) -> AnyOperator:
            if size > MATRIX_MAX:
                return fourier_pooling(size, stride, self.strides)
            return Operator(fixed_pooling_matrix(size, stride, (device, dtype)))

        return [None if stride == 1 else operator(size, stride) for size, stride in zip(sizes, values, strict=True)]

    def freeze(self, sizes: Sequence[int]) -> FixedResample:
        """Give a module of constant matrices that computes what this layer does with an input of these `sizes`."""
        return fixed_resample(self.axes, sizes, self.operators(sizes))

    def forward(self, x: Tensor, operators: Sequence[AnyOperator | None] | None = None) -> Tensor:
        """Downsample `x`; its `operators` may be given if they are known."""
        check_input(x, self.axes)
        sizes = [x.shape[axis] for axis in self.axes]
        return resample_axes(x, self.axes, self.operators(sizes) if operators is None else operators)
