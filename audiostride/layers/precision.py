"""What autocast to half precision does in these layers: maps follow it, operators are computed in their own dtype."""

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
