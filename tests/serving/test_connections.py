"""Connections that say nothing do not keep the server from others."""

import asyncio
import logging
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import requests
from fastapi import FastAPI

from audiostride.serving.connections import MAX_CONNECTIONS, Connection, LogLimit, most_connections
from tests.serving.server import Client, serving

ASK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Few(Connection):
    """At most three connections, which have half a second."""

    max_connections, header_s = 3, 0.5


class Hasty(Connection):
    """Half a second for the headers."""

    header_s = 0.5


@pytest.fixture
def app() -> FastAPI:
    result = FastAPI()

    @result.get("/health")
    async def health() -> str:
        return "ok"

    return result


def connect(client: Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.port), timeout=30)


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""

    def parts() -> Iterator[bytes]:
        try:
            while part := connection.recv(4096):
                yield part
        except ConnectionResetError:
            return

    return b"".join(parts())


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", ASK[:-2]])
def test_headers_that_do_not_come_end_the_connection(app: FastAPI, sent: bytes) -> None:
    with serving(app, Hasty) as client, connect(client) as connection:
        connection.sendall(sent)
        assert everything(connection) == b""


def is_open(connection: socket.socket) -> bool:
    """Tell whether the server, which has nothing to say, has not closed the connection."""
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


def test_headers_that_trickle_end_the_connection(app: FastAPI) -> None:
    with serving(app, Hasty) as client, connect(client) as connection:
        connection.settimeout(0.05)
        sent = 0
        while is_open(connection) and sent < 1000:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(b"X")
            sent += 1
        assert sent < 1000


def test_many_silent_connections_leave_room_for_a_request(app: FastAPI) -> None:
    with serving(app, Few) as client, ExitStack() as silent:
        for _ in range(20):
            silent.enter_context(connect(client))
        assert client.get("/health").json() == "ok"


def test_a_connection_serves_several_requests(app: FastAPI) -> None:
    with serving(app, Few) as client, requests.Session() as session:
        assert [session.get(client.url + "/health", timeout=30).json() for _ in range(3)] == ["ok"] * 3


def test_answers_are_sent_at_once(app: FastAPI) -> None:
    seen: list[int] = []

    class Watched(Connection):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            option = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            seen.append(option)

    with serving(app, Watched) as client:
        client.get("/health")
    assert seen
    assert all(seen)


@pytest.mark.parametrize(
    ("n_files", "expected"), [(1024, 384), (256, 1), (10**6, MAX_CONNECTIONS), (resource.RLIM_INFINITY, 512)]
)
def test_connections_fit_into_the_files_that_may_be_open(
    monkeypatch: pytest.MonkeyPatch, n_files: int, expected: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (n_files, n_files))
    assert most_connections() == expected


def test_a_flood_of_log_messages_is_cut() -> None:
    limit = LogLimit(n_max=3)
    records = [logging.LogRecord("x", logging.ERROR, "", 0, "no %s", ("luck",), None) for _ in range(10)]
    written = [record.getMessage() for record in records if limit.filter(record)]
    assert written == ["no luck", "no luck", "no luck\nfurther messages of this minute are left out"]


POST = b"POST /early HTTP/1.1\r\nHost: localhost\r\n"
BROKEN_BODIES = {
    "a chunk without a size": POST + b"Transfer-Encoding: chunked\r\n\r\nno size\r\n",
    "bytes after the request": POST + b"Content-Length: 1\r\nConnection: close\r\n\r\nx\xff\0 no request\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_bytes_that_are_no_request_leave_no_traceback(
    name: str, app: FastAPI, capsys: pytest.CaptureFixture[str]
) -> None:
    @app.post("/early")
    async def answer_at_once() -> str:
        return "not read"

    with serving(app, Hasty) as client:
        with connect(client) as connection:
            connection.sendall(BROKEN_BODIES[name])
            assert everything(connection).startswith(b"HTTP/1.1 ")
        assert client.get("/health").json() == "ok"
    assert capsys.readouterr().err == ""
