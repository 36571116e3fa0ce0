"""The runtime of audiostride: predict with models that were exported to ONNX, without torch.

`load`, `UserError`, `ArgumentError` and `DataError` are those of the whole package.
"""

from typing import Any

from audiostride.errors import ArgumentError, DataError, UserError

__all__ = ["ArgumentError", "DataError", "UserError", "load"]  # noqa: F822  the last one comes when it is asked for


def __getattr__(name: str) -> Any:
    """Import `load` when it is first used, or read the version."""
    if name == "load":
        from audiostride.loading import load

        return load
    if name == "__version__":
        from audiostride.extras import installed_version

        return installed_version()
    raise AttributeError(f"the runtime of audiostride has no {name!r}; install audiostride in its place for all names")
