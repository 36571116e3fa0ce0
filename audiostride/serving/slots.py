"""How much may be going on at a time, and the answer to what would be more."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from fastapi import HTTPException

RETRY_AFTER_S = 2


class Slots:
    """Counts what is going on, from any thread.

    Args:
        n_max: at a time.
        what: they are, for the answer.
    """

    def __init__(self, n_max: int, what: str = "requests") -> None:
        self.n_max, self.what, self.n_taken = n_max, what, 0
        self._lock = Lock()

    @contextmanager
    def take(self, n: int = 1) -> Iterator[None]:
        """Take `n` places; who needs more than there are gets all of them.

        Raises:
            HTTPException: 503, there are not as many.
        """
        n = min(n, self.n_max)
        with self._lock:
            if self.n_taken + n > self.n_max:
                headers = {"Retry-After": str(RETRY_AFTER_S)}
                raise HTTPException(503, f"busy with {self.n_max} {self.what}, try again later", headers)
            self.n_taken += n
        try:
            yield
        finally:
            with self._lock:
                self.n_taken -= n
