"""Constants that are computed once per size; those of a trace, or of tensors without numbers, are not kept."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor


def is_traced() -> bool:
    """Tell whether tensors made now must not outlive a trace, a mode of fake tensors, or a transform of torch.func."""
    if torch.compiler.is_compiling():
        return True
    return torch._C._functorch.maybe_current_level() is not None or type(torch.empty(0)) is not Tensor


P = ParamSpec("P")
T = TypeVar("T")


def kept(maxsize: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keep up to `maxsize` results of a function of sizes, the device and the dtype; it has lru_cache's own methods."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        remembered: Any = lru_cache(maxsize=maxsize)(function)

        @wraps(function)
        def give(*args: P.args, **kwargs: P.kwargs) -> T:
            # ordinary tensors even if first asked for in inference mode: training may need them later
            if is_traced():
                return function(*args, **kwargs)
            with torch.inference_mode(mode=False), torch.no_grad():
                result: T = remembered(*args, **kwargs)
                return result

        any_give: Any = give
        any_give.cache_info, any_give.cache_clear = remembered.cache_info, remembered.cache_clear
        return give

    return decorate
