"""What a whole model needs of its downsampling layers: their parameters, and constant ones in their place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from audiostride.layers.diffstride import DiffStride
from audiostride.layers.pooling import SpectralPooling
from audiostride.vocabulary import SMOOTHNESS_RATE


def stride_parameters(model: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
    """Give the optimiser's groups of the strides in a model and of their ramps: neither decays.

    Args:
        model: with layers of `DiffStride`, anywhere.
        learning_rate: of the strides. The logarithms of the widths of ramps, where they are learned, learn faster.

    >>> groups = stride_parameters(nn.Sequential(nn.Conv2d(1, 8, 3), DiffStride(2.0)), 5e-3)
    >>> [(len(group["params"]), group["lr"], group["weight_decay"]) for group in groups]
    [(1, 0.005, 0.0)]
    """
    layers = [layer for layer in model.modules() if isinstance(layer, DiffStride) and layer.learnable]
    strides = [layer.strides for layer in layers]
    widths = [layer.log_smoothness for layer in layers if layer.learn_smoothness]
    groups = [(strides, learning_rate), (widths, SMOOTHNESS_RATE * learning_rate)]
    return [{"params": params, "lr": rate, "weight_decay": 0.0} for params, rate in groups if params]


@contextmanager
def in_evaluation(model: nn.Module) -> Iterator[None]:
    """Leave the mode of every module as it was, in evaluation meanwhile, without gradients."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def run_example(model: nn.Module, example_input: Any) -> Any:
    """Call a model with an example: one tensor, or a tuple of arguments.

    Raises:
        TypeError: numbers, such as a shape.
    """
    numbers = example_input if isinstance(example_input, tuple) else (example_input,)
    if numbers and all(isinstance(number, int | float) for number in numbers):
        raise TypeError(
            f"example_input must be a tensor or a tuple of arguments, got {example_input}: give a tensor, "
            f"as in torch.zeros({', '.join(map(str, numbers))})"
        )
    return model(*example_input) if isinstance(example_input, tuple) else model(example_input)


def freeze_strides_(model: nn.Module, example_input: Any) -> list[str]:
    """Replace every `DiffStride` and `SpectralPooling` in a model, in place, by the constant layer for one input size.

    Args:
        model: what is changed; a layer that is the model itself has `freeze`.
        example_input: an input of the size that the model is exported for: a tensor, or a tuple of arguments.

    Returns:
        The names of the layers that were replaced.

    Raises:
        ValueError: a layer that the example reaches with maps of several sizes, or a layer alone. TypeError: an
            example of numbers. The model is as it was then.
    """
    if isinstance(model, DiffStride | SpectralPooling):
        raise ValueError(
            "the model is a layer alone and cannot be replaced in place: take what its freeze(sizes) gives"
        )
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, DiffStride | SpectralPooling):
            names.setdefault(module, []).append(name)
    sizes: dict[nn.Module, set[tuple[int, ...]]] = {module: set() for module in names}

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(module, DiffStride | SpectralPooling)
        sizes[module].add(tuple(args[0].shape[axis] for axis in module.axes))

    hooks = [module.register_forward_pre_hook(note) for module in names]
    try:
        with in_evaluation(model):
            run_example(model, example_input)
    finally:
        for hook in hooks:
            hook.remove()
    for module, (name, *_) in names.items():
        if len(sizes[module]) > 1:
            raise ValueError(f"{name}: the example gives it maps of several sizes, {sorted(sizes[module])}")
    replaced = []
    for module, of_module in names.items():
        assert isinstance(module, DiffStride | SpectralPooling)
        for found in sizes[module]:
            fixed = module.freeze(found)
            for name in of_module:
                model.set_submodule(name, fixed)
            replaced += of_module
    return replaced
