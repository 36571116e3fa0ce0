"""Limits on connections, which uvicorn has none of: how many there may be, and how long one may say nothing."""

import asyncio
import contextlib
import logging
import socket
import time
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

BACKLOG = 128  # connections accepted at once
MAX_CONNECTIONS = 512
SPARE_FILES = 128  # of the program itself
REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 2\r\nContent-Type: application/json\r\n"
    b'Content-Length: 51\r\n\r\n{"detail": "too many connections, try again later"}'
)


def most_connections() -> int:
    """Count the connections for which this process may open files: each has a socket and a file at most."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows, which has no such limit
        return MAX_CONNECTIONS
    n_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if n_files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, (n_files - BACKLOG - SPARE_FILES) // 2))


class Connection(H11Protocol):
    """A connection that has a limited time for the headers of a request, and for reading what it is sent.

    One too many closes the one that has waited longest without a request; where all are busy it is refused itself.
    """

    max_connections: ClassVar[int] = MAX_CONNECTIONS
    header_s: ClassVar[float] = 10.0
    read_s: ClassVar[float] = 60.0

    _until_request: asyncio.TimerHandle | None = None
    _until_read: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Tell whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Send small answers at once, start the time for the headers, and make room."""
        with contextlib.suppress(OSError):  # asyncio leaves it off for sockets of protocol 0
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self.since = time.monotonic()
        self._expect_request()
        if len(self.connections) > self.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop_clocks()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on with the request; the time for its headers, or for a body that nobody wants, runs on."""
        if not self.is_busy:
            self._expect_request()
        super().data_received(data)
        if self.is_busy and self._until_request is not None:
            self._until_request.cancel()
            self._until_request = None

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are no request, and give up the answer that was being made."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # what it sends from now on goes nowhere
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """Start the time that a client has for reading."""
        super().pause_writing()
        self._until_read = self.loop.call_later(self.read_s, self.transport.abort)

    def resume_writing(self) -> None:
        """End the time for reading, since it was read."""
        super().resume_writing()
        if self._until_read is not None:
            self._until_read.cancel()

    def _expect_request(self) -> None:
        if self._until_request is None:
            self._until_request = self.loop.call_later(self.header_s, self.transport.abort)

    def _stop_clocks(self) -> None:
        for clock in (self._until_request, self._until_read):
            if clock is not None:
                clock.cancel()

    def _make_room(self) -> None:
        waiting = [other for other in self.connections if isinstance(other, Connection) and not other.is_busy]
        oldest = min(waiting, key=lambda other: other.since)
        if oldest is not self:
            self.connections.discard(oldest)
            oldest.transport.abort()
            return
        self.transport.write(REFUSED)
        self.transport.close()


class LogLimit(logging.Filter):
    """Lets some records of a minute through, and says when it leaves out the rest.

    Args:
        n_max: records in a minute.
    """

    def __init__(self, n_max: int = 30) -> None:
        super().__init__()
        self.n_max, self._n, self._began = n_max, 0, time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is written."""
        if time.monotonic() - self._began >= 60:
            self._n, self._began = 0, time.monotonic()
        self._n += 1
        if self._n == self.n_max:
            record.msg = f"{record.getMessage()}\nfurther messages of this minute are left out"
            record.args = None
        return self._n <= self.n_max
