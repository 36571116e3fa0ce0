"""What half precision does in these layers: maps follow it, strides and operators keep a dtype of their own."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.amp.autocast_mode import is_autocast_available


def in_autocast_dtype(x: Tensor) -> Tensor:
    """Convert to the dtype of autocast, if it is on."""
    device = x.device.type
    is_on = is_autocast_available(device) and torch.is_autocast_enabled(device)
    return x.to(torch.get_autocast_dtype(device)) if is_on else x


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Turn autocast off, where a device knows it: a matrix in half precision would be a blurred one."""
    is_known = is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if is_known else nullcontext()


def at_least_single(convert: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Let a conversion leave single precision where it gives half.

    Numbers in bfloat16 near 2 are 1/64 apart, and a step of an optimiser moves a stride by a third of that: it would be
    rounded away.
    """

    def converted(tensor: Tensor) -> Tensor:
        given = convert(tensor)
        dtype = torch.promote_types(given.dtype, torch.float32)
        return given if given.dtype == dtype else tensor.to(given.device, dtype)

    return converted
