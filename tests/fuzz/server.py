"""The server: hostile bytes, hostile recordings and hostile parameters, all of which it survives."""

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.parse import quote

from tests.fuzz.materials import Materials
from tests.fuzz.mutation import hostile_text, hostile_value, mutate_bytes
from tests.fuzz.outcome import NOISE, Failed, check_json
from tests.fuzz.processes import start

START_S = 60
ANSWER_S = 30
N_REQUESTS = 60  # of a server
N_IDLE = 10  # connections that say nothing
REFUSALS = (501, 503, 505, 507)  # of what starts with 5, what a server may say of a request


@contextlib.contextmanager
def _server(materials: Materials, log: Path) -> Iterator[int]:
    """Start the program on a free port."""
    process = start(log, "serve", materials.checkpoint, "--port", 0, "--max-mb", 1, "--max-s", 20, "--timeout-s", 2)
    try:
        end = time.monotonic() + START_S
        while not (log.exists() and (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()))):
            if time.monotonic() > end or process.exitcode is not None:
                raise Failed(f"the server did not start: {log.read_text() if log.exists() else ''}")
            time.sleep(0.02)
        yield int(found[1])
        if process.exitcode is not None:
            raise Failed(f"the server ended with exit code {process.exitcode}: {log.read_text()[-2000:]}")
    finally:
        process.terminate()
        process.join(ANSWER_S)
        process.kill()
    if noise := NOISE.search(log.read_text()):
        raise Failed(f"{noise.group()!r} in the log: {log.read_text()[-1000:]}")


def _ask(port: int, request: bytes, *, ends: bool = False) -> bytes:
    """Send bytes and read to the end; a connection that is reset is an answer too.

    Args:
        ends: close the connection for writing, as one does who sends no more.
    """
    with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
        try:
            connection.sendall(request)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except TimeoutError as error:
            raise Failed(f"no answer within {ANSWER_S} s to {request[:300]!r}") from error
        except OSError:
            return b""


def _http(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1", errors="replace") + body


def _form(rng: Random, content: bytes) -> tuple[str, bytes]:
    name, file_name = rng.choice(("file", "file", "file", hostile_text(rng))), hostile_text(rng)
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n\r\n'
    return "multipart/form-data; boundary=B", head.encode(errors="replace") + content + b"\r\n--B--\r\n"


def _request(rng: Random, port: int, audio: bytes) -> bytes:
    body = audio if rng.random() < 0.3 else mutate_bytes(rng, audio)
    kind = "application/octet-stream"
    if rng.random() < 0.4:
        kind, body = _form(rng, body)
        body = body if rng.random() < 0.7 else mutate_bytes(rng, body)
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": kind,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    if rng.random() < 0.2:
        name = rng.choice(("Content-Length", "Content-Type", "Transfer-Encoding", "Authorization", "Expect", "Range"))
        headers[name] = rng.choice(("-1", "99999999999", "chunked", "Bearer \xe9", "100-continue", hostile_text(rng)))
    parameters = [
        f"{rng.choice(('top_k', 'hop_s', 'spectrogram'))}={quote(str(hostile_value(rng)).encode(errors='replace'))}"
        for _ in range(rng.choice((0, 0, 1, 2)))
    ]
    path = "/predict?" + "&".join(parameters)
    return _http(rng.choice(("POST", "POST", "POST", "PUT", "GET")), path, headers, body)


def _check(request: bytes, answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    if not found:
        return
    status = int(found[1])
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    if status >= 500 and status not in REFUSALS:
        raise Failed(f"status {status} {body[:300]!r} to {request[:1000]!r}")
    if b"application/json" in head.lower() and length:
        check_json(body[: int(length[1])].decode())


def attempt(rng: Random, materials: Materials, folder: Path) -> None:
    """Ask a server many things; none is answered with 500, and it still answers what is right."""
    audio = materials.clip.read_bytes()
    with _server(materials, folder / "log") as port, contextlib.ExitStack() as idle:
        for _ in range(N_IDLE):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), ANSWER_S))
        for _ in range(N_REQUESTS):
            request = _request(rng, port, audio)
            if damaged := rng.random() < 0.2:
                request = mutate_bytes(rng, request[:400]) + request[400:]
            _check(request, _ask(port, request, ends=damaged))
        headers = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(audio)), "Connection": "close"}
        answer = _ask(port, _http("POST", "/predict", headers, audio))
        if not answer.startswith(b"HTTP/1.1 200"):
            raise Failed(f"a whole recording is answered with {answer[:500]!r}")
        json.loads(answer.partition(b"\r\n\r\n")[2])
