"""DiffStride over any number of axes, one stride per axis or one for all."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiostride.layers.axes import (
    check_axes,
    check_input,
    check_sizes,
    check_strides,
    count_multiply_adds,
    per_axis,
    resample_axes,
)
from audiostride.layers.bounds import bring_back
from audiostride.layers.fixed import FixedResample, fixed_resample
from audiostride.layers.fourier import MATRIX_MAX, fourier_operator
from audiostride.layers.gains import (
    AxisPlan,
    Mask,
    at_moving_bound,
    check_operator,
    clamp_straight_through,
    half_bandwidth,
    moving_bound,
    output_size,
    stride_bounds,
)
from audiostride.layers.matrices import Operator, downsampling_operator, fixed_matrix
from audiostride.layers.precision import AtLeastSingle
from audiostride.layers.reading import (
    as_held,
    has_numbers,
    held_dtype,
    is_differentiated,
    numbers_of,
    remember_strides_of,
)
from audiostride.layers.resample import AnyOperator
from audiostride.vocabulary import MAX_SMOOTHNESS, MIN_SMOOTHNESS, SMOOTHNESS, Ramp

LOG_SMOOTHNESS_RANGE = math.log(MIN_SMOOTHNESS), math.log(MAX_SMOOTHNESS)


def _check_smoothness(smoothness: float | Sequence[float], n_axes: int, ramp: str) -> tuple[float, ...]:
    """Take one width per axis, each above 0."""
    values = tuple(per_axis("smoothness", smoothness, n_axes))
    for value in values:
        check_operator(1.0, value, ramp)
    return values


class DiffStride(AtLeastSingle):
    """Downsample by real-valued strides that are learned by back-propagation.

    A stride that an optimiser moves below 1 counts as 1, and its gradient leads back alone (`bring_back`); `project_`
    brings it back in place, so that the parameter reads as it counts. `forward` changes nothing in the module, whatever
    the size of its input.

    Args:
        strides: initial stride per axis, each at least 1; a single one if `shared`.
        axes: axes to downsample, negative ones counted from the last; by default the last two.
        smoothness: width of the ramp in Fourier bins, above 0. A number is that of every axis.
        ramp: "outside", "inside" or "folded" (`audiostride.layers.gains`).
        shared: one stride for all axes.
        learnable: False freezes the strides.
        learn_smoothness: whether the width of every axis's ramp is learned too, as its logarithm `log_smoothness`.
        identity_at_1: whether an axis frozen at exactly 1 passes unchanged, as if the layer were not there.

    Shape:
        input: any number of dimensions, the `axes` not empty. output: the same, each of the
        `axes` shortened to `output_size` samples.

    Raises:
        ValueError: an argument out of range; the message names it.

    Reference:
        Riad et al., "Learning strides in convolutional neural networks", ICLR 2022. To fold, and to learn the
        smoothness, are additions of this package.

    >>> DiffStride([2.0, 2.0])(torch.randn(8, 1, 64, 100)).shape
    torch.Size([8, 1, 40, 58])
    >>> DiffStride([2.0, 2.0], ramp="folded")(torch.randn(8, 1, 64, 100)).shape
    torch.Size([8, 1, 32, 50])
    """

    strides: Tensor
    log_smoothness: Tensor
    fuses = True  # a convolution along the axis can be merged with the matrix

    def __init__(
        self,
        strides: float | Sequence[float],
        axes: int | Sequence[int] = (-2, -1),
        smoothness: float | Sequence[float] = SMOOTHNESS,
        ramp: Ramp = "outside",
        *,
        shared: bool = False,
        learnable: bool = True,
        learn_smoothness: bool = False,
        identity_at_1: bool = True,
    ) -> None:
        super().__init__()
        self.axes = check_axes(axes)
        values = check_strides(strides, 1 if shared else len(self.axes))
        self.known_strides = as_held(values)  # for tensors without numbers, as on the meta device, and for tracing
        remember_strides_of(self)
        self.fixed_smoothness = _check_smoothness(smoothness, len(self.axes), ramp)
        self.ramp, self.shared, self.learnable, self.learn_smoothness = ramp, shared, learnable, learn_smoothness
        self.identity_at_1 = identity_at_1 and not learnable
        if learn_smoothness and not learnable:
            raise ValueError("learn_smoothness needs learnable strides")
        if min(self.fixed_smoothness) < MIN_SMOOTHNESS and (learn_smoothness or (learnable and ramp == "folded")):
            raise ValueError(
                f"smoothness must be at least {MIN_SMOOTHNESS:g} Fourier bin for strides that are learned, "
                f"got {min(self.fixed_smoothness):g}: a narrower ramp may hold no bin, which leaves no gradient"
            )
        if learnable:
            self.strides = nn.Parameter(torch.tensor(values, dtype=held_dtype()))
        else:
            self.register_buffer("strides", torch.tensor(values, dtype=held_dtype()))
        if learn_smoothness:
            self.log_smoothness = nn.Parameter(torch.tensor(self.fixed_smoothness, dtype=held_dtype()).log())

    def extra_repr(self) -> str:
        """Describe the layer in its `repr`."""
        strides, smoothness = (
            ", ".join(f"{value:.4g}" for value in values) for values in (self.strides.tolist(), self.smoothness)
        )
        return f"strides=[{strides}], axes={self.axes}, smoothness=[{smoothness}], ramp={self.ramp}"

    @property
    def smoothness(self) -> list[float]:
        """Width of the ramp of every axis in Fourier bins."""
        if self.learn_smoothness:
            return self.log_smoothness.detach().exp().tolist()
        return list(self.fixed_smoothness)

    def values(self) -> Tensor:
        """Give the numbers that `operators` needs in one tensor, so that the device is waited for once."""
        if not self.learn_smoothness:
            return self.strides
        return torch.cat([self.strides, self.log_smoothness.exp()])

    def _read(self) -> list[float]:
        """Read `values`; while the layer is traced, or where tensors hold no numbers, take those last known."""
        if torch.compiler.is_exporting() and self.learnable:
            raise ValueError("strides that are learned cannot be exported: export what freeze() gives")
        if (torch.compiler.is_compiling() and not self.learnable) or not has_numbers(self.strides):
            return [*self.known_strides, *(self.fixed_smoothness if self.learn_smoothness else ())]
        numbers = numbers_of(self.values())
        if not self.learnable:
            self.known_strides = numbers
        return numbers

    @torch.no_grad()
    def project_(self) -> None:
        """Bring strides to at least 1 and ramps to at least a bin, in place."""
        self.strides.clamp_(min=1)
        if self.learn_smoothness:
            self.log_smoothness.clamp_(*LOG_SMOOTHNESS_RANGE)

    def gain_edges(self, sizes: Sequence[int]) -> list[tuple[float, float] | None]:
        """Find where the gain begins to fall and where it reaches 0, as shares of each axis's sampling rate."""
        edges: list[tuple[float, float] | None] = []
        for mask in self.masks(sizes):
            if mask is None:
                edges.append((0.5, 0.5))
                continue
            start = half_bandwidth(mask.stride_value, mask.n_in, mask.smoothness_value, mask.ramp)
            edges.append((start / mask.n_in, (start + mask.smoothness_value) / mask.n_in))
        return edges

    def multiply_adds(self, shape: Sequence[int]) -> int:
        """Count the multiply-adds for one example of `shape`, all axes of the layer among it."""
        return count_multiply_adds(shape, self.axes, self.operators([shape[axis] for axis in self.axes]))

    def effective_strides(self, sizes: Sequence[int]) -> list[Tensor]:
        """Give the strides of an input with these `sizes`, clamped to what they allow, differentiable."""
        effective = []
        for i, mask in enumerate(self.masks(sizes)):
            if mask is None:
                effective.append(self.strides[0 if self.shared else i])
                continue
            bounds = stride_bounds(mask.n_in, mask.smoothness_value, mask.ramp)
            effective.append(clamp_straight_through(mask.stride, *bounds))
        return effective

    def output_sizes(self, sizes: Sequence[int]) -> list[int]:
        """Give samples left on every axis of an input with these `sizes`."""
        masks = self.masks(sizes)
        return [size if mask is None else mask.n_out for size, mask in zip(sizes, masks, strict=True)]

    def masks(self, sizes: Sequence[int], values: Sequence[float] | None = None) -> list[Mask | None]:
        """Give what every axis lets pass of an input with these `sizes`, None for an axis that passes unchanged.

        Args:
            values: of `self.values()`, if they are known already: reading them waits for the device.

        Raises:
            ValueError: a stride that is not a number.
        """
        plans = self.plans(sizes, values)
        strides = bring_back(self.strides, 1.0, math.inf).expand(len(sizes)).unbind()
        smoothness: Sequence[float | Tensor] = self.fixed_smoothness
        if self.learn_smoothness:
            smoothness = bring_back(self.log_smoothness, *LOG_SMOOTHNESS_RANGE).exp().unbind()
        masks: list[Mask | None] = []
        for plan, stride, of_axis in zip(plans, strides, smoothness, strict=True):
            if plan is None:
                masks.append(None)
                continue
            tensor = clamp_straight_through(stride, plan.lower, math.inf) if self.shared else stride
            if plan.i_bound is not None:
                width = smoothness[plan.i_bound]
                assert isinstance(width, Tensor), "a bound that moves does so with a width that is learned"
                tensor = tensor + moving_bound(sizes[plan.i_bound], width)
            masks.append(Mask(plan.n_in, plan.n_out, tensor, plan.stride, of_axis, plan.smoothness, self.ramp))
        return masks

    def plans(self, sizes: Sequence[int], values: Sequence[float] | None = None) -> list[AxisPlan | None]:
        """Give the masks in numbers alone; arguments and errors are those of `masks`."""
        check_sizes(sizes, self.axes)
        values = self._read() if values is None else values
        n = len(self.strides)
        if self.learnable and not all(map(math.isfinite, values[:n])):
            numbers = ", ".join(f"{value:g}" for value in values[:n])
            raise ValueError(
                f"strides must be finite, got {numbers}: their learning rate may be too high, or a loss or gradient in "
                "half precision overflowed"
            )
        nominal = [max(value, 1.0) for value in values[:n]] * (len(sizes) // n)
        widths: Sequence[float] = self.fixed_smoothness
        if self.learn_smoothness:
            widths = [min(max(value, MIN_SMOOTHNESS), MAX_SMOOTHNESS) for value in values[n:]]
        lower, i_shared = 1.0, 0
        if self.shared:  # one stride for all axes: the largest of their lower bounds holds for all
            bounds = [stride_bounds(size, width, self.ramp)[0] for size, width in zip(sizes, widths, strict=True)]
            lower, i_shared = max((bound, axis) for axis, bound in enumerate(bounds))
        plans: list[AxisPlan | None] = []
        for i, (size, value, width) in enumerate(zip(sizes, nominal, widths, strict=True)):
            if self.identity_at_1 and value == 1:
                plans.append(None)
                continue
            check_operator(value, width, self.ramp)
            clamped = max(value, lower)
            n_out = output_size(size, value if self.ramp == "folded" else clamped, width, self.ramp)
            of = i_shared if self.shared else i
            moves = self.learn_smoothness and at_moving_bound(sizes[of], value, widths[of], self.ramp)
            plans.append(AxisPlan(size, n_out, lower, clamped, width, self.ramp, i % n, of if moves else None))
        return plans

    def cannot_learn(self, sizes: Sequence[int]) -> list[bool]:
        """Tell of every axis of an input with these `sizes` whether its stride is meant to be learned and cannot be."""
        return [self.learnable and mask is not None and not mask.moves for mask in self.masks(sizes)]

    def operators(self, sizes: Sequence[int], values: Sequence[float] | None = None) -> list[AnyOperator | None]:
        """Give the operator of every axis of an input with these `sizes`; arguments and errors are those of `masks`."""
        return [None if mask is None else self._operator(mask) for mask in self.masks(sizes, values)]

    def _operator(self, mask: Mask) -> AnyOperator:
        if mask.n_in > MATRIX_MAX:
            return fourier_operator(mask)
        if is_differentiated(self.strides) or (self.learn_smoothness and is_differentiated(self.log_smoothness)):
            return downsampling_operator(mask)
        fixed = (mask.n_in, mask.n_out, mask.stride_value, mask.smoothness_value, mask.ramp)
        return Operator(fixed_matrix(*fixed, like=(self.strides.device, self.strides.dtype)))

    def freeze(self, sizes: Sequence[int]) -> FixedResample:
        """Give a module of constant matrices that computes what this layer now does with an input of these `sizes`."""
        with torch.no_grad():
            return fixed_resample(self.axes, sizes, self.operators(sizes))

    def forward(self, x: Tensor, operators: Sequence[AnyOperator | None] | None = None) -> Tensor:
        """Downsample `x`; its `operators` may be given if they are known."""
        check_input(x, self.axes)
        sizes = [x.shape[axis] for axis in self.axes]
        return resample_axes(x, self.axes, self.operators(sizes) if operators is None else operators)
