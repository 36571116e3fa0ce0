"""What every layer costs: parameters, multiply-adds and the shapes of its maps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from audiostride.layers import multiply_adds
from audiostride.models.blocks import ConvUnit
from audiostride.models.classifier import AudioClassifier
from audiostride.models.downsampler import AXIS_NAMES, Downsampler


@dataclass(frozen=True)
class LayerCost:
    """One layer for one example; strides as frequency x time where the layer has any."""

    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    n_parameters: int
    n_macs: int
    stride: dict[str, float]
    realised: dict[str, float]


def count_macs(module: nn.Module, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
    """Multiply-adds of a convolution, a linear layer, a resampling or both in one for shapes without the batch."""
    n_outputs = int(torch.Size(output_shape).numel())
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return n_outputs * module.weight[0].numel()
    if isinstance(module, nn.Linear):
        return n_outputs * module.in_features
    if isinstance(module, ConvUnit):
        return _fused_macs(module, input_shape, output_shape)
    return module.multiply_adds(input_shape) if isinstance(module, Downsampler) else 0


def _fused_macs(unit: ConvUnit, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
    assert unit.pool is not None
    (axis,) = unit.pool.axes
    n_in, n_out, n_rows = input_shape[axis], output_shape[axis], input_shape[-3 - axis]
    kernel_size = max(unit.conv.kernel_size)
    if all(operator is None for operator in unit.pool.operators([n_in])):
        return unit.conv.weight.numel() * n_in * n_rows
    return min(multiply_adds(unit.conv.in_channels, unit.conv.out_channels, kernel_size, n_in, n_out)) * n_rows


def _leaves(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Give the layers: modules without children, and units that are one step."""
    inside: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if name.startswith(inside):
            continue
        if isinstance(module, ConvUnit) and module.is_fused:
            inside = (f"{name}.",)
            yield name, module
        elif not list(module.children()) and not isinstance(module, nn.Dropout2d):
            yield name, module


def _strides(module: Any, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> tuple[dict[str, float], ...]:
    layer = module.downsampler if isinstance(module, ConvUnit) else module
    if not isinstance(layer, Downsampler):
        return {}, {}
    axes = layer.axes
    strides = layer.strides.expand(len(axes)).tolist()
    nominal: dict[str, float] = {AXIS_NAMES[axis]: stride for axis, stride in zip(axes, strides, strict=True)}
    return nominal, {AXIS_NAMES[axis]: input_shape[axis] / output_shape[axis] for axis in axes}


def _first_tensor(values: Any) -> Tensor | None:
    """Find the maps among what a layer takes or gives: a recurrent one, say, gives its state as well."""
    if isinstance(values, tuple):
        return next((value for value in values if isinstance(value, Tensor)), None)
    return values if isinstance(values, Tensor) else None


@contextmanager
def recorded_layers(model: nn.Module) -> Iterator[list[LayerCost]]:
    """Give a list that every layer adds its cost to when the model is called within."""
    layers: list[LayerCost] = []

    def record(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            maps_in, maps_out = _first_tensor(inputs), _first_tensor(output)
            if maps_in is None or maps_out is None:
                return
            shapes = tuple(maps_in.shape[1:]), tuple(maps_out.shape[1:])
            n_parameters = sum(parameter.numel() for parameter in module.parameters())
            macs, strides = count_macs(module, *shapes), _strides(module, *shapes)
            layers.append(LayerCost(name, *shapes, n_parameters, macs, *strides))

        return module.register_forward_hook(hook)

    hooks = [record(name, module) for name, module in _leaves(model)]
    try:
        yield layers
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def window_layers(model: AudioClassifier, n_window: int) -> list[LayerCost]:
    """Give the layers as a silent window of `n_window` samples passes them, on the model's device."""
    with recorded_layers(model) as layers:
        model(torch.zeros(1, n_window, device=model.device))
    return layers


def peak_bytes(step: Callable[[], None], device: torch.device) -> int:
    """Measure the most memory that torch's allocator holds during `step` beyond what it held before."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    held = peak = 0
    for event in sorted(recorded.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak
