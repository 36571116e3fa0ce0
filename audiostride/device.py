"""Which device to compute on."""

import torch

from audiostride.errors import ArgumentError, UserError
from audiostride.vocabulary import DEVICES

OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)  # what torch and numpy raise


def choose_device(name: str | torch.device = "auto", *, key: str | None = None) -> torch.device:
    """Find the device called `name`; "auto" takes a GPU if there is one, a device of torch is taken as it is.

    Args:
        key: of the recipe, if the name comes from one.

    Raises:
        UserError: no such device on this machine; an ArgumentError for `device` unless it came by a key.
    """
    if isinstance(name, torch.device):
        return name

    def mistake(problem: str) -> UserError:
        return ArgumentError("device", name, problem) if key is None else UserError(f"{key}={name}: {problem}")

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    kind = name.split(":")[0]
    if kind not in available:
        raise mistake(f"expected one of {', '.join(DEVICES)}")
    if not available[kind]:
        raise mistake(f"not available on this machine; torch {torch.__version__} sees none")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise mistake(f"expected {kind}:0 or another number") from error
    if kind == "cuda" and (device.index or 0) >= (n := torch.cuda.device_count()):
        raise mistake(f"expected a number below {n}, of as many GPUs as this machine has")
    return device
