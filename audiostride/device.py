"""Which device to compute on."""

import torch

from audiostride.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str, option: str = "--device") -> torch.device:
    """The device called `name`, which came by `option`; "auto" takes a GPU if there is one.

    Raises:
        UserError: no such device on this machine.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    if name.split(":")[0] not in available:
        raise UserError(f"{option} {name}: expected one of {', '.join(DEVICES)}")
    if not available[name.split(":")[0]]:
        raise UserError(f"{option} {name}: not available on this machine; torch {torch.__version__} sees none")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UserError(f"{option} {name}: expected {name.split(':')[0]}:0 or another number") from error
