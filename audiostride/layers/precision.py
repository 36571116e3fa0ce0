"""What half precision does in these layers: maps follow it, strides and operators keep a dtype of their own."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import torch
from torch import Tensor, nn
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


class AtLeastSingle(nn.Module):
    """A module whose own numbers never become half precision, whatever the model around it is converted to.

    Numbers in bfloat16 near 2 are 1/64 apart, and a step of an optimiser moves a stride by a third of that: it would be
    rounded away.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:  # noqa: FBT001, FBT002  as torch's
        """Move and convert as any module does, but leave single precision where the result is half."""

        def converted(tensor: Tensor) -> Tensor:
            given = fn(tensor)
            dtype = torch.promote_types(given.dtype, torch.float32)
            return given if given.dtype == dtype else tensor.to(given.device, dtype)

        super()._apply(converted, recurse)  # type: ignore[no-untyped-call]
        return self
