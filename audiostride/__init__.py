"""Audio classifiers that learn their own strides, and what those strides say about the task.

The public names are listed in `__init__.pyi`. Each is imported when it is first used: importing torch takes seconds,
and the command line has none to spare.
"""

from typing import Any

import lazy_loader

_import_name, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Import a public name, or read the version of the installed package."""
    if name == "__version__":
        from audiostride.extras import installed_version

        return installed_version()
    return _import_name(name)
