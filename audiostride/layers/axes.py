"""What the downsampling modules share: checks of their arguments, and operators over several axes in turn."""

import math
from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

from audiostride.layers.gains import check_operator
from audiostride.layers.resample import AnyOperator, resample_axis


def check_axes(axes: int | Sequence[int]) -> tuple[int, ...]:
    """Check that axes are named, each once; a number is one axis."""
    axes = (axes,) if isinstance(axes, int) else axes
    if any(isinstance(axis, bool) or not isinstance(axis, Integral) for axis in axes):
        raise TypeError(f"axes must be whole numbers, as in (-2, -1), got {axes!r}")
    if not axes:
        raise ValueError("axes must name at least one axis, got none")
    if len(set(axes)) < len(axes):
        raise ValueError(f"axes must not repeat, got {tuple(axes)}")
    return tuple(axes)


def per_axis(name: str, given: float | Sequence[float], n_expected: int) -> list[float]:
    """Take one value per axis; a number alone is that of every axis."""
    try:
        if isinstance(given, bool | str):
            raise TypeError
        is_alone = isinstance(given, int | float) or (isinstance(given, Tensor) and given.ndim == 0)
        values = [float(value) for value in ([given] * n_expected if is_alone else list(given))]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number or one number per axis, got {given!r}") from None
    if len(values) != n_expected:
        raise ValueError(f"{name} must hold {n_expected} value(s), got {len(values)}: {values}")
    return values


def check_strides(strides: float | Sequence[float], n_expected: int) -> list[float]:
    """Take one stride per axis, each at least 1."""
    values = per_axis("strides", strides, n_expected)
    for value in values:
        check_operator(value)
    return values


def check_sizes(sizes: Sequence[int], axes: tuple[int, ...]) -> None:
    """Check that sizes hold one number of samples per axis."""
    if isinstance(sizes, int | Tensor):
        given = "a tensor" if isinstance(sizes, Tensor) else sizes
        raise TypeError(f"sizes must be numbers of samples, one per axis of {axes}, got {given}")
    if len(sizes) != len(axes):
        raise ValueError(f"sizes must hold {len(axes)} value(s), one per axis of {axes}, got {len(sizes)}: {[*sizes]}")
    if not torch.compiler.is_compiling() and min(sizes) < 1:
        raise ValueError(f"sizes must be at least 1 sample, got {[*sizes]}: an axis is empty")


def check_input(x: Tensor, axes: tuple[int, ...]) -> None:
    """Check what is known only when a layer is called, such as two axes of different sign that are the same one."""
    if not isinstance(x, Tensor):
        raise TypeError(f"input must be a tensor, got {type(x).__name__}; convert it, as in torch.from_numpy(x)")
    if not x.is_floating_point():
        raise TypeError(f"input must hold floating-point numbers, got {x.dtype}; convert it, as in x.float()")
    for axis in axes:
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"axes {axes} need more dimensions than the input has: {tuple(x.shape)}")
        if x.shape[axis] == 0:
            raise ValueError(f"axis {axis} of the input is empty: {tuple(x.shape)}")
    if len({axis % x.ndim for axis in axes}) < len(axes):
        raise ValueError(f"axes must not repeat, got {axes} for an input of {x.ndim} dimensions")


def _in_turn(sizes: Sequence[int], axes: tuple[int, ...], operators: Sequence[AnyOperator | None]) -> list[int]:
    """Order the axes that change: the one that shrinks most comes first, so that what follows has the smallest maps."""
    by_axis = {axis: operator.n_out for axis, operator in zip(axes, operators, strict=True) if operator is not None}
    in_turn: list[int] = []
    for axis in by_axis:  # by hand: tracing knows no sort by sizes that are symbols
        place = 0
        while place < len(in_turn) and by_axis[in_turn[place]] * sizes[axis] <= by_axis[axis] * sizes[in_turn[place]]:
            place += 1
        in_turn.insert(place, axis)
    return in_turn


def resample_axes(x: Tensor, axes: tuple[int, ...], operators: Sequence[AnyOperator | None]) -> Tensor:
    """Apply an operator per axis, the one that shrinks its axis most first."""
    of_axes = dict(zip(axes, operators, strict=True))
    for axis in _in_turn(x.shape, axes, operators):
        operator = of_axes[axis]
        assert operator is not None
        x = resample_axis(x, operator, axis)
    return x


def count_multiply_adds(shape: Sequence[int], axes: tuple[int, ...], operators: Sequence[AnyOperator | None]) -> int:
    """Count the multiply-adds of one matrix per axis, in the order in which `resample_axes` applies them."""
    sizes, macs = list(shape), 0
    of_axes = dict(zip(axes, operators, strict=True))
    for axis in _in_turn(shape, axes, operators):
        operator = of_axes[axis]
        assert operator is not None
        macs += math.prod(sizes) * operator.n_out
        sizes[axis] = operator.n_out
    return macs
