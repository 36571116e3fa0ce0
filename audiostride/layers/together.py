"""The operators of many layers at once: a few operations for all of them instead of some forty for each.

A GPU takes some microseconds to begin an operation, whatever its size, and the gains of a layer are fifty numbers. So
the gains of all axes are computed as the rows of one tensor, and so are their gradients, by hand. With the mask of
`audiostride.layers.gains`, `b = n / (2 s)` and the line of the ramp `l = (R + b - k) / R`, a gain `m = clip(l, 0, 1)`
moves with the stride and with the width of its ramp by

    dm/ds = -b / (s R)        dm/dR = (1 - l) / R        (on the ramp; elsewhere 0)

The ramp "inside" has `b - R` in place of `b`: there `dm/dR = -l / R`, unless `b - R` is below 0 and held there, where
`dm/ds = 0` and `dm/dR = (1 - l) / R`. An end of the ramp belongs to it where it folds, and to neither side elsewhere.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from audiostride.layers.bounds import bring_back
from audiostride.layers.constants import kept
from audiostride.layers.diffstride import LOG_SMOOTHNESS_RANGE, DiffStride
from audiostride.layers.gains import EDGE, AxisPlan, moving_bound, on_ramp, stride_bounds
from audiostride.layers.matrices import N_CACHED_BASES, Operator, ramp_basis
from audiostride.layers.reading import numbers_of
from audiostride.layers.stacked import matrices_together
from audiostride.vocabulary import Ramp

Ends = Sequence[tuple[int, int]]  # the first and the last bin on the ramp of every axis


@kept(maxsize=N_CACHED_BASES)
def _bins(n_bins: int, device: torch.device) -> Tensor:
    return torch.arange(n_bins, device=device)


@kept(maxsize=N_CACHED_BASES)
def _places(ends: tuple[tuple[int, int] | None, ...], n_bins: int, device: torch.device) -> Tensor:
    """Find the gradient of every bin among those of all ramps, one after the other and 0 as the last: `(axis, bin)`.

    None stands for a ramp whose gains have no gradient.
    """
    n_ramps = sum(last - first + 1 for first, last in filter(None, ends))
    places, n = torch.full((len(ends), n_bins), n_ramps), 0
    for row, of_axis in zip(places, ends, strict=True):
        if of_axis is not None:
            first, last = of_axis
            row[first : last + 1] = torch.arange(n, n + last - first + 1)
            n += last - first + 1
    return places.to(device, non_blocking=True)


class _Gains(torch.autograd.Function):
    """The gains of the bins on the ramp of every axis, one tensor per axis; before them those of all bins.

    Shape:
        strides, widths: `(axis,)`. constants, each `(axis,)`: half of n_in, lowest and highest stride, and how far from
        its middle the line of a ramp still moves. outputs: `(axis, bin)` without a gradient, then `(n_ramp,)` per axis.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  what torch applies is called by position
        ctx: Any, strides: Tensor, widths: Tensor, constants: Sequence[Tensor], ramp: Ramp, n_bins: int, ends: Ends
    ) -> tuple[Tensor, ...]:
        half_n, lowest, highest, reach = constants
        s = strides.clamp(lowest, highest)
        b = half_n / s
        start = (b - widths).clamp(min=0) if ramp == "inside" else b
        line = ((widths + start)[:, None] - _bins(n_bins, strides.device)) / widths[:, None]
        ctx.save_for_backward(line, s, b, widths, reach)
        ctx.ramp, ctx.ends = ramp, ends
        gains = line.clamp(0, 1)
        ctx.mark_non_differentiable(gains)
        ctx.set_materialize_grads(False)
        on_ramps = gains.view(-1)  # a tensor of its own: one that has no gradient gives none to its parts
        return gains, *(on_ramps[i * n_bins + first : i * n_bins + last + 1] for i, (first, last) in enumerate(ends))

    @staticmethod
    def backward(ctx: Any, _: None, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        line, s, b, widths, reach = ctx.saved_tensors
        ends = tuple(None if grad is None else of_axis for of_axis, grad in zip(ctx.ends, grads, strict=True))
        in_turn = [grad for grad in grads if grad is not None]
        of_bins = torch.cat([*in_turn, line.new_zeros(1)])[_places(ends, line.shape[1], line.device)]
        of_bins = of_bins * ((line - 0.5).abs() < reach[:, None])  # (axis, bin)
        of_stride, of_width = of_bins.sum(1), (of_bins * (1 - line)).sum(1)
        if ctx.ramp == "inside":
            of_stride = of_stride * (b > widths)
            of_width = of_width - of_stride
        return of_stride * (-b / (s * widths)), of_width / widths, None, None, None, None


@torch.no_grad()
def project_layers_(layers: Sequence[DiffStride]) -> None:
    """Do what `project_` does for every layer."""
    learned = [layer.log_smoothness for layer in layers if layer.learn_smoothness]
    if layers:
        torch._foreach_clamp_min_([layer.strides for layer in layers], 1.0)
    if learned:
        torch._foreach_clamp_min_(learned, LOG_SMOOTHNESS_RANGE[0])
        torch._foreach_clamp_max_(learned, LOG_SMOOTHNESS_RANGE[1])


def _apart(numbers: Sequence[float], lengths: Sequence[int]) -> list[Sequence[float]]:
    """Cut a list into lists of some lengths."""
    ends = list(accumulate(lengths))
    return [numbers[end - n : end] for end, n in zip(ends, lengths, strict=True)]


def plan_layers(
    layers: Sequence[DiffStride], sizes: dict[int, int], strides: Sequence[float], widths: Sequence[float] | None
) -> list[list[AxisPlan]]:
    """Plan layers that follow each other, every one with the sizes that those before it leave.

    Args:
        layers: that learn their strides.
        sizes: of the first map, by axis; they become those of the last.
        strides: of all layers, one after the other.
        widths: of the ramps of all axes, where they are learned.
    """
    of_strides = _apart(strides, [len(layer.strides) for layer in layers])
    of_axes = _apart(widths or (), [len(layer.axes) if widths else 0 for layer in layers])
    plans = []
    for layer, own, own_widths in zip(layers, of_strides, of_axes, strict=True):
        found = layer.plans([sizes[axis] for axis in layer.axes], [*own, *own_widths])
        of_layer = [plan for plan in found if plan is not None]
        assert len(of_layer) == len(layer.axes), "a stride that is learned leaves no axis out"
        sizes |= {axis: plan.n_out for axis, plan in zip(layer.axes, of_layer, strict=True)}
        plans.append(of_layer)
    return plans


def _with_moving_bounds(plans: Sequence[Sequence[AxisPlan]], strides: Tensor, widths: Tensor) -> Tensor:
    """Add to strides below a bound that moves with the width of a ramp the gradient in that width (`moving_bound`)."""
    firsts = accumulate((len(of_layer) for of_layer in plans), initial=0)
    bounds = [  # (axis, axis of the ramp, n_in of the ramp)
        (first + axis, first + plan.i_bound, of_layer[plan.i_bound].n_in)
        for first, of_layer in zip(firsts, plans)  # noqa: B905  the last is the end
        for axis, plan in enumerate(of_layer)
        if plan.i_bound is not None
    ]
    if not bounds:
        return strides
    axes, ramps, n_in = torch.tensor(bounds).T.to(strides.device, non_blocking=True)
    return strides.index_add(0, axes, moving_bound(n_in, widths[ramps]))


def operators_of_layers(layers: Sequence[DiffStride], sizes: dict[int, int]) -> list[list[Operator]]:
    """Give the operators of layers that follow each other, for maps of `sizes`; the device is waited for once.

    Args:
        layers: that learn their strides, all with the same ramp and all or none with a width that is learned.
        sizes: of the first map, by axis, none above `MATRIX_MAX`; they become those of the last.
    """
    learned = [layer.strides for layer in layers]
    if layers[0].learn_smoothness:
        learned += [layer.log_smoothness for layer in layers]
    joined = torch.cat(learned)
    values, n_strides = numbers_of(joined), sum(len(layer.strides) for layer in layers)
    lengths = [n_strides, len(values) - n_strides] if layers[0].learn_smoothness else [n_strides]
    strides, *logarithms = joined.split_with_sizes(lengths)
    if min(values[:n_strides]) < 1:
        strides = bring_back(strides, 1.0, math.inf)
    low, high = LOG_SMOOTHNESS_RANGE
    if any(not low <= value <= high for value in values[n_strides:]):
        logarithms = [bring_back(logarithms[0], low, high)]
    widths = logarithms[0].exp() if logarithms else None
    plans = plan_layers(layers, sizes, values[:n_strides], [math.exp(value) for value in values[n_strides:]] or None)
    firsts = accumulate((len(layer.strides) for layer in layers), initial=0)
    of_axes = [first + plan.i_stride for first, of_layer in zip(firsts, plans) for plan in of_layer]  # noqa: B905
    if of_axes != list(range(len(strides))):  # a stride that several axes share
        strides = strides[torch.tensor(of_axes).to(strides.device, non_blocking=True)]
    if widths is not None:
        strides = _with_moving_bounds(plans, strides, widths)
    operators = iter(operators_together([plan for of_layer in plans for plan in of_layer], strides, widths))
    return [[next(operators) for _ in of_layer] for of_layer in plans]


def operators_together(plans: Sequence[AxisPlan], strides: Tensor, widths: Tensor | None) -> list[Operator]:
    """Give the operator of every axis, as `downsampling_operator` does for one.

    Args:
        plans: all of the same ramp.
        strides: of the axes, differentiable.
        widths: of their ramps, differentiable; None where they are not learned.

    Shape:
        strides, widths: `(axis,)`.
    """
    constants = []
    for plan in plans:
        low, high = stride_bounds(plan.n_in, plan.smoothness, plan.ramp)
        reach = 0.5 + (EDGE / plan.smoothness if plan.ramp == "folded" else 0.0)
        constants.append((plan.n_in / 2, max(low, plan.lower), high, reach, plan.smoothness))
    ends = [on_ramp(plan.n_in, plan.n_bins, plan.stride, plan.smoothness, plan.ramp) for plan in plans]
    # a copy that blocks would wait for all that the device has to do
    *table, of_plans = torch.tensor(constants, dtype=strides.dtype).T.to(strides.device, non_blocking=True)
    n_bins = max(plan.n_bins for plan in plans)
    widths = of_plans if widths is None else widths
    gains, *ramps = _Gains.apply(strides, widths, table, plans[0].ramp, n_bins, ends)
    matrices = matrices_together([(plan.n_in, plan.n_out, plan.n_bins) for plan in plans], gains)
    operators = []
    for plan, matrix, ramp, (first, last) in zip(plans, matrices, ramps, ends, strict=True):
        key = (plan.n_in, plan.n_out, plan.n_bins)
        waves = ramp_basis(*key, first=first, last=last, device=strides.device, dtype=strides.dtype)
        operators.append(Operator(matrix, ramp, *waves))
    return operators
