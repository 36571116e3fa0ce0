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

from audiostride.layers.diffstride import DiffStride
from audiostride.layers.gains import EDGE, AxisPlan, on_ramp, stride_bounds
from audiostride.layers.matrices import Operator, mask_basis, ramp_basis
from audiostride.vocabulary import MAX_SMOOTHNESS, MIN_SMOOTHNESS, Ramp

Ends = Sequence[tuple[int, int]]  # the first and the last bin on the ramp of every axis


class _Gains(torch.autograd.Function):
    """The gains of the bins on the ramp of every axis, one tensor per axis; before them those of all bins.

    Shape:
        strides, widths: `(axis,)`. constants, each `(axis,)`: half of n_in, lowest and highest stride, tolerance.
        outputs: `(axis, bin)` without a gradient, then `(n_ramp,)` per axis.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  what torch applies is called by position
        ctx: Any, strides: Tensor, widths: Tensor, constants: Sequence[Tensor], ramp: Ramp, n_bins: int, ends: Ends
    ) -> tuple[Tensor, ...]:
        half_n, lowest, highest, tolerance = constants
        s = strides.clamp(lowest, highest)
        b = half_n / s
        start = (b - widths).clamp(min=0) if ramp == "inside" else b
        bins = torch.arange(n_bins, device=strides.device)
        line = ((widths + start)[:, None] - bins) / widths[:, None]
        ctx.save_for_backward(line, s, b, widths, tolerance)
        ctx.ramp, ctx.ends, ctx.n_bins = ramp, ends, n_bins
        gains = line.clamp(0, 1)
        ctx.mark_non_differentiable(gains)
        ctx.set_materialize_grads(False)
        on_ramps = gains.view(-1)  # a tensor of its own: one that has no gradient gives none to its parts
        return gains, *(on_ramps[i * n_bins + first : i * n_bins + last + 1] for i, (first, last) in enumerate(ends))

    @staticmethod
    def backward(ctx: Any, _: None, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        line, s, b, widths, tolerance = ctx.saved_tensors
        asked = [
            (i, first, grad)
            for i, ((first, _), grad) in enumerate(zip(ctx.ends, grads, strict=True))
            if grad is not None
        ]
        lengths = [len(grad) for *_, grad in asked]
        # the place of every gradient in `line`, as rows of bins one after the other, and the axis that it belongs to
        starts = [i * ctx.n_bins + first for i, first, _ in asked]
        places = [start + k for start, n in zip(starts, lengths, strict=True) for k in range(n)]
        owners = [i for (i, *_), n in zip(asked, lengths, strict=True) for _ in range(n)]
        index = torch.tensor([places, owners], device=line.device)
        on_line = line.view(-1)[index[0]]
        slack = tolerance[index[1]]
        moving = (on_line > -slack) & (on_line < 1 + slack)
        grad = torch.cat([grad for *_, grad in asked]) * moving
        sums = torch.zeros(2, len(s), dtype=line.dtype, device=line.device)
        sums.index_add_(1, index[1], torch.stack([grad, grad * (1 - on_line)]))
        of_stride, of_width = sums.unbind()
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
        torch._foreach_clamp_min_(learned, math.log(MIN_SMOOTHNESS))
        torch._foreach_clamp_max_(learned, math.log(MAX_SMOOTHNESS))


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


def operators_of_layers(layers: Sequence[DiffStride], sizes: dict[int, int]) -> list[list[Operator]]:
    """Give the operators of layers that follow each other, for maps of `sizes`; the device is waited for once.

    Args:
        layers: that learn their strides, all with the same ramp and all or none with a width that is learned.
        sizes: of the first map, by axis, none above `MATRIX_MAX`; they become those of the last.
    """
    strides, widths = torch.cat([layer.strides for layer in layers]), None
    if layers[0].learn_smoothness:
        widths = torch.cat([layer.log_smoothness for layer in layers]).exp()
    values = (strides if widths is None else torch.cat([strides, widths])).detach().tolist()
    plans = plan_layers(layers, sizes, values[: len(strides)], values[len(strides) :] or None)
    firsts = accumulate((len(layer.strides) for layer in layers), initial=0)
    of_axes = [first + plan.i_stride for first, of_layer in zip(firsts, plans) for plan in of_layer]  # noqa: B905
    if of_axes != list(range(len(strides))):  # a stride that several axes share
        strides = strides[torch.tensor(of_axes, device=strides.device)]
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
        tolerance = EDGE / plan.smoothness if plan.ramp == "folded" else 0.0
        constants.append((plan.n_in / 2, max(low, plan.lower), high, tolerance, plan.smoothness))
    ends = [on_ramp(plan.n_in, plan.n_bins, plan.stride, plan.smoothness, plan.ramp) for plan in plans]
    *table, of_plans = torch.tensor(constants, dtype=strides.dtype).T.to(strides.device)
    n_bins = max(plan.n_bins for plan in plans)
    widths = of_plans if widths is None else widths
    gains, *ramps = _Gains.apply(strides, widths, table, plans[0].ramp, n_bins, ends)
    operators = []
    for plan, of_axis, ramp, (first, last) in zip(plans, gains, ramps, ends, strict=True):
        key = (plan.n_in, plan.n_out, plan.n_bins, strides.device, strides.dtype)
        synthesis, analysis = mask_basis(*key)
        with torch.no_grad(), torch.autocast(strides.device.type, enabled=False):
            weighted = synthesis.view(plan.n_out, 2, -1) * of_axis[: plan.n_bins]
            matrix = weighted.view(plan.n_out, -1) @ analysis
        waves = ramp_basis(*key[:3], first=first, last=last, device=key[3], dtype=key[4])
        operators.append(Operator(matrix, ramp, *waves))
    return operators
