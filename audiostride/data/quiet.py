"""Keep quiet what decoders written in C print about a damaged recording: the reason is raised as an error as well."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

_lock = Lock()
_n_quiet = 0  # blocks of `quiet_decoders` that have not ended
_loud: int | None = None  # where C libraries print otherwise


@cache
def _c_stderr() -> ctypes.c_void_p | None:
    """Find the variable `stderr` of the C library, None where it is none that can be set."""
    if platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")


@cache
def _nowhere() -> int | None:
    """Open a stream of C that is never read."""
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    stream: int | None = library.fopen(os.devnull.encode(), b"w")
    return stream


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Let C libraries print nowhere within the block: libmpg123 has no other way to be quiet.

    Python's own `sys.stderr`, and what C++ libraries print, are not touched. Several threads may be in such blocks.
    """
    global _n_quiet, _loud
    stderr, nowhere = _c_stderr(), _nowhere()
    if stderr is None or nowhere is None:
        yield
        return
    with _lock:
        if _n_quiet == 0:
            _loud, stderr.value = stderr.value, nowhere
        _n_quiet += 1
    try:
        yield
    finally:
        with _lock:
            _n_quiet -= 1
            if _n_quiet == 0:
                stderr.value = _loud
