"""Read small tensors from the device: every read waits for it, so what does not learn is read once."""

from collections.abc import MutableMapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.weak import WeakTensorKeyDictionary

# of a tensor that does not learn: its state when it was read, and its numbers
_known: MutableMapping[Tensor, tuple[object, list[float]]] = WeakTensorKeyDictionary()


def _from_device(tensor: Tensor) -> list[float]:
    numbers: list[float] = tensor.detach().tolist()
    return numbers


def has_numbers(tensor: Tensor) -> bool:
    """Tell whether a tensor holds numbers that can be read: one on the meta device, or a fake one, holds none."""
    return not tensor.is_meta and not isinstance(tensor, torch._subclasses.FakeTensor)


def is_differentiated(tensor: Tensor) -> bool:
    """Tell whether a derivative in a tensor is asked for, backward or forward, here and now."""
    if tensor.requires_grad and torch.is_grad_enabled():
        return True
    if torch.compiler.is_compiling():
        return False
    return forward_ad._current_level >= 0 or torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def _is_constant(tensor: Tensor) -> bool:
    is_plain = type(tensor) in (Tensor, nn.Parameter, nn.Buffer)
    return is_plain and not tensor.requires_grad and not is_differentiated(tensor) and not tensor.is_inference()


def numbers_of(tensor: Tensor) -> list[float]:
    """Read a tensor of one dimension; one without a gradient only if it has changed since it was last read.

    A change through `tensor.data` is not seen.
    """
    if not _is_constant(tensor):
        return _from_device(tensor)
    state = (tensor._version, tensor.data_ptr(), tensor.dtype, tensor.device)
    known = _known.get(tensor)
    if known is None or known[0] != state:
        known = _known[tensor] = (state, _from_device(tensor))
    return list(known[1])


def numbers_of_each(tensors: Sequence[Tensor]) -> list[list[float]]:
    """Read tensors of one dimension; those that learn are read together, so that the device is waited for once."""
    learning = [tensor for tensor in tensors if not _is_constant(tensor)]
    read = iter(_from_device(torch.cat(learning)) if learning else ())
    return [
        numbers_of(tensor) if _is_constant(tensor) else [next(read) for _ in range(len(tensor))] for tensor in tensors
    ]


def held_dtype() -> torch.dtype:
    """Give the dtype that strides begin in: torch's default one, but at least single precision."""
    return torch.promote_types(torch.get_default_dtype(), torch.float32)


def as_held(values: Sequence[float]) -> list[float]:
    """Round numbers to what a tensor of `held_dtype` holds, without one: it may be on no real device."""
    return [float(value) for value in np.asarray(values, "f8" if held_dtype() == torch.float64 else "f4")]


def _remember(layer: Any, _: object) -> None:
    if has_numbers(layer.strides):
        layer.known_strides = _from_device(layer.strides)


def remember_strides_of(layer: Any) -> None:
    """Let a layer note its strides as numbers, `known_strides`, whenever a state is loaded: for when it is traced."""
    layer.register_load_state_dict_post_hook(_remember)
