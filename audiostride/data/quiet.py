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
_loud: tuple[int | None, ...] = ()  # where C libraries print otherwise


@cache
def _c_streams() -> tuple[ctypes.c_void_p, ...]:
    """Find the variables `stdout` and `stderr` of the C library; nothing where they are none that can be set."""
    if platform.libc_ver()[0] != "glibc":
        return ()
    return tuple(ctypes.c_void_p.in_dll(ctypes.CDLL(None), name) for name in ("stdout", "stderr"))


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

    libsndfile prints damage of SDS files to `stdout`, where it would stand among the results of a command.
    Python's own `sys.stdout` and `sys.stderr`, and what C++ libraries print, are not touched. Several threads may
    be in such blocks.
    """
    global _n_quiet, _loud
    streams = _c_streams()
    nowhere = _nowhere() if streams else None
    if nowhere is None:
        yield
        return
    with _lock:
        if _n_quiet == 0:
            _loud = tuple(stream.value for stream in streams)
            for stream in streams:
                stream.value = nowhere
        _n_quiet += 1
    try:
        yield
    finally:
        with _lock:
            _n_quiet -= 1
            if _n_quiet == 0:
                for stream, loud in zip(streams, _loud, strict=True):
                    stream.value = loud
