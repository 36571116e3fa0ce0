"""Downsampling modules over any number of axes, one stride per axis or one for all."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiostride.layers.fourier import MATRIX_MAX, fourier_operator, fourier_pooling
from audiostride.layers.matrices import (
    Operator,
    check_operator,
    clamp_straight_through,
    downsampling_operator,
    fixed_matrix,
    half_bandwidth,
    output_size,
    spectral_pooling_size,
    stride_bounds,
)
from audiostride.layers.resample import AnyOperator, resample_axis
from audiostride.vocabulary import SMOOTHNESS, Ramp


def _check_axes(axes: Sequence[int]) -> tuple[int, ...]:
    if not axes:
        raise ValueError("axes must name at least one axis, got none")
    if len(set(axes)) < len(axes):
        raise ValueError(f"axes must not repeat, got {tuple(axes)}")
    return tuple(axes)


def _check_strides(strides: float | Sequence[float], n_expected: int) -> list[float]:
    """Take one stride per axis; a number alone is that of every axis."""
    values = (
        [float(strides)] * n_expected if isinstance(strides, int | float) else [float(stride) for stride in strides]
    )
    if len(values) != n_expected:
        raise ValueError(f"strides must hold {n_expected} value(s), got {len(values)}: {values}")
    for value in values:
        check_operator(value)
    return values


def _check_input(x: Tensor, axes: tuple[int, ...]) -> None:
    """Check what is known only when a layer is called, such as two axes of different sign that are the same one."""
    if not x.is_floating_point():
        raise TypeError(f"input must hold floating-point numbers, got {x.dtype}; convert it, as in x.float()")
    for axis in axes:
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"axes {axes} need more dimensions than the input has: {tuple(x.shape)}")
        if x.shape[axis] == 0:
            raise ValueError(f"axis {axis} of the input is empty: {tuple(x.shape)}")
    if len({axis % x.ndim for axis in axes}) < len(axes):
        raise ValueError(f"axes must not repeat, got {axes} for an input of {x.ndim} dimensions")


def _resample(x: Tensor, axes: tuple[int, ...], operators: Sequence[AnyOperator | None]) -> Tensor:
    """Apply an operator per axis, the one that shrinks its axis most first: what follows has the smallest maps."""
    by_axis = {axis: operator for axis, operator in zip(axes, operators, strict=True) if operator is not None}
    for axis in sorted(by_axis, key=lambda axis: by_axis[axis].n_out / x.shape[axis]):
        x = resample_axis(x, by_axis[axis], axis)
    return x


def _multiply_adds(shape: Sequence[int], axes: tuple[int, ...], operators: Sequence[AnyOperator | None]) -> int:
    """Count the multiply-adds of one matrix per axis, in the order in which `_resample` applies them."""
    sizes, macs = list(shape), 0
    by_axis = {axis: operator.n_out for axis, operator in zip(axes, operators, strict=True) if operator is not None}
    for axis in sorted(by_axis, key=lambda axis: by_axis[axis] / shape[axis]):
        macs += math.prod(sizes) * by_axis[axis]
        sizes[axis] = by_axis[axis]
    return macs


class DiffStride(nn.Module):
    """Downsample by real-valued strides that are learned by back-propagation.

    After every optimiser step `project_` brings the strides back to at least 1. `forward` changes
    nothing in the module, whatever the size of its input.

    Args:
        strides: initial stride per axis, each at least 1; a single one if `shared`.
        axes: axes to downsample, negative ones counted from the last.
        smoothness: width of the ramp in Fourier bins, above 0.
        ramp: "outside" or "inside" the box (`downsampling_matrix`).
        shared: one stride for all axes.
        learnable: False freezes the strides.
        identity_at_1: whether an axis frozen at exactly 1 passes unchanged, as if the layer were not there.

    Shape:
        input: any number of dimensions, the `axes` not empty. output: the same, each of the
        `axes` shortened to `output_size` samples.

    Raises:
        ValueError: an argument out of range; the message names it.

    Reference:
        Riad et al., "Learning strides in convolutional neural networks", ICLR 2022.

    >>> DiffStride([2.0, 2.0])(torch.randn(8, 1, 64, 100)).shape
    torch.Size([8, 1, 40, 58])
    """

    strides: Tensor
    fuses = True  # a convolution along the axis can be merged with the matrix

    def __init__(
        self,
        strides: float | Sequence[float],
        axes: Sequence[int] = (-2, -1),
        smoothness: float = SMOOTHNESS,
        ramp: Ramp = "outside",
        *,
        shared: bool = False,
        learnable: bool = True,
        identity_at_1: bool = True,
    ) -> None:
        super().__init__()
        self.axes = _check_axes(axes)
        values = _check_strides(strides, 1 if shared else len(self.axes))
        check_operator(1.0, smoothness, ramp)
        self.smoothness, self.ramp, self.shared, self.learnable = smoothness, ramp, shared, learnable
        self.identity_at_1 = identity_at_1 and not learnable
        if learnable:
            self.strides = nn.Parameter(torch.tensor(values))
        else:
            self.register_buffer("strides", torch.tensor(values))

    def extra_repr(self) -> str:
        """Describe the layer in its `repr`."""
        strides = ", ".join(f"{value:.4g}" for value in self.strides.tolist())
        return f"strides=[{strides}], axes={self.axes}, smoothness={self.smoothness}, ramp={self.ramp}"

    @torch.no_grad()
    def project_(self) -> None:
        """Bring the strides back to at least 1, in place; call it after the optimiser step."""
        self.strides.clamp_(min=1)

    def gain_edges(self, sizes: Sequence[int]) -> list[tuple[float, float] | None]:
        """Find where the gain begins to fall and where it reaches 0, as shares of each axis's sampling rate."""
        edges: list[tuple[float, float] | None] = []
        for n_in, stride in zip(sizes, self.effective_strides(sizes), strict=True):
            if self._is_identity(stride):
                edges.append((0.5, 0.5))
                continue
            start = half_bandwidth(float(stride.detach()), n_in, self.smoothness, self.ramp)
            edges.append((start / n_in, (start + self.smoothness) / n_in))
        return edges

    def multiply_adds(self, shape: Sequence[int]) -> int:
        """Count the multiply-adds for one example of `shape`, all axes of the layer among it."""
        return _multiply_adds(shape, self.axes, self.operators([shape[axis] for axis in self.axes]))

    def effective_strides(self, sizes: Sequence[int]) -> list[Tensor]:
        """Give the strides of an input with these `sizes`, clamped to what they allow, differentiable."""
        strides = list(self.strides.expand(len(sizes)).unbind())
        bounds = [stride_bounds(size, self.smoothness, self.ramp) for size in sizes]
        if self.shared:
            bounds = [(max(lower for lower, _ in bounds), upper) for _, upper in bounds]
        return [
            stride if self._is_identity(stride) else clamp_straight_through(stride, lower, upper)
            for stride, (lower, upper) in zip(strides, bounds, strict=True)
        ]

    def output_sizes(self, sizes: Sequence[int]) -> list[int]:
        """Give samples left on every axis of an input with these `sizes`."""
        return [
            size if self._is_identity(value) else output_size(size, value, self.smoothness, self.ramp)
            for size, (_, value) in zip(sizes, self._per_axis(sizes, self.strides.tolist()), strict=True)
        ]

    def operators(self, sizes: Sequence[int], values: Sequence[float] | None = None) -> list[AnyOperator | None]:
        """Give the operator of every axis of an input with these `sizes`, None for one that passes unchanged.

        Args:
            values: of `strides`, if they are known already: reading them waits for the device.
        """
        values = self.strides.tolist() if values is None else values
        return [self._operator(*each) for each in zip(sizes, self._per_axis(sizes, values), strict=True)]

    def _operator(self, size: int, stride_and_value: tuple[Tensor, float]) -> AnyOperator | None:
        stride, value = stride_and_value
        if self._is_identity(value):
            return None
        if value < 1:
            raise ValueError(
                f"strides must be at least 1, got {value:g}: call project_() after every step of the optimiser"
            )
        if size > MATRIX_MAX:
            check_operator(value, self.smoothness, self.ramp)
            return fourier_operator(size, stride, value, self.smoothness, self.ramp)
        if self.strides.requires_grad and torch.is_grad_enabled():
            return downsampling_operator(size, stride, value, self.smoothness, self.ramp)
        return Operator(fixed_matrix(size, value, self.smoothness, self.ramp, like=(stride.device, stride.dtype)))

    def forward(self, x: Tensor, operators: Sequence[AnyOperator | None] | None = None) -> Tensor:
        """Downsample `x`; its `operators` may be given if they are known."""
        _check_input(x, self.axes)
        sizes = [x.shape[axis] for axis in self.axes]
        return _resample(x, self.axes, self.operators(sizes) if operators is None else operators)

    def _is_identity(self, stride: float | Tensor) -> bool:
        return self.identity_at_1 and float(stride) == 1

    def _per_axis(self, sizes: Sequence[int], values: Sequence[float]) -> list[tuple[Tensor, float]]:
        """Give the stride of every axis, which the operator clamps to its own axis, as a tensor and as a number."""
        if not self.shared:
            return list(zip(self.strides.unbind(), values, strict=True))
        stride, value = self.strides[0], values[0]
        if not self._is_identity(value):
            lower = max(stride_bounds(size, self.smoothness, self.ramp)[0] for size in sizes)
            stride, value = clamp_straight_through(stride, lower, math.inf), max(value, lower)
        return [(stride, value)] * len(sizes)


class SpectralPooling(nn.Module):
    """Downsample by fixed real strides: a hard crop of the spectrum along each of the `axes`.

    Args:
        strides: one stride per axis, each at least 1. A number is that of every axis.
        axes: axes to downsample, negative ones counted from the last.

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

    def __init__(self, strides: float | Sequence[float], axes: Sequence[int] = (-2, -1)) -> None:
        super().__init__()
        self.axes = _check_axes(axes)
        self.register_buffer("strides", torch.tensor(_check_strides(strides, len(self.axes))))

    def extra_repr(self) -> str:
        """Describe the layer in its `repr`."""
        return f"strides={self.strides.tolist()}, axes={self.axes}"

    def gain_edges(self, sizes: Sequence[int]) -> list[tuple[float, float] | None]:
        """Find where the gain falls from 1 to 0, at once, as a share of each axis's sampling rate."""
        edges = (n_out / (2 * n_in) for n_in, n_out in zip(sizes, self.output_sizes(sizes), strict=True))
        return [(edge, edge) for edge in edges]

    def multiply_adds(self, shape: Sequence[int]) -> int:
        """Count the multiply-adds for one example of `shape`, all axes of the layer among it."""
        return _multiply_adds(shape, self.axes, self.operators([shape[axis] for axis in self.axes]))

    def effective_strides(self, sizes: Sequence[int]) -> list[Tensor]:
        """Give the stride of every axis; nothing clamps it."""
        return list(self.strides.unbind())

    def output_sizes(self, sizes: Sequence[int]) -> list[int]:
        """Give samples left on every axis of an input with these `sizes`."""
        return [spectral_pooling_size(n, s) for n, s in zip(sizes, self.strides.tolist(), strict=True)]

    def operators(self, sizes: Sequence[int], values: Sequence[float] | None = None) -> list[AnyOperator | None]:
        """Give the operator of every axis of an input with these `sizes`, None for one that passes unchanged.

        Args:
            values: of `strides`, if they are known already: reading them waits for the device.
        """
        values, device, dtype = values or self.strides.tolist(), self.strides.device, self.strides.dtype

        def operator(size: int, stride: float) -> AnyOperator:
            if size > MATRIX_MAX:
                return fourier_pooling(size, stride, self.strides)
            return Operator(fixed_matrix(size, stride, None, "outside", like=(device, dtype)))

        return [None if stride == 1 else operator(size, stride) for size, stride in zip(sizes, values, strict=True)]

    def forward(self, x: Tensor, operators: Sequence[AnyOperator | None] | None = None) -> Tensor:
        """Downsample `x`; its `operators` may be given if they are known."""
        _check_input(x, self.axes)
        sizes = [x.shape[axis] for axis in self.axes]
        return _resample(x, self.axes, self.operators(sizes) if operators is None else operators)
