"""What Ctrl-C does to work that can save itself."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from types import FrameType

from audiostride.cli.console import say


@contextmanager
def stop_on_signal(stop: Event, message: str | None, patience_s: float = 0.0) -> Iterator[None]:
    """Set the event on Ctrl-C, a request to terminate or a closed terminal; a second one ends the program at once.

    Args:
        stop: that the work looks at.
        message: what is said then, None for nothing.
        patience_s: for how long further signals count as the first one.
    """
    came_at = 0.0

    def request(number: int, frame: FrameType | None) -> None:
        nonlocal came_at
        if stop.is_set():
            if time.monotonic() - came_at > patience_s:
                raise KeyboardInterrupt
            return
        came_at = time.monotonic()
        stop.set()
        if message is None:
            return
        with suppress(OSError):  # of a terminal that is gone
            say(message)

    hang_up = () if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else (signal.SIGHUP,)  # as nohup has it
    old = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM, *hang_up)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
