"""`audiostride serve`: a model behind HTTP, and a page to try it."""

import errno
import ipaddress
import logging
import socket
from typing import Annotated

import typer

from audiostride.cli.console import say
from audiostride.cli.options import Device, ModelPath, Threshold, WhichCheckpoint, note_checkpoint
from audiostride.cli.predict import note_uncalibrated
from audiostride.errors import UserError
from audiostride.extras import install_command
from audiostride.vocabulary import MAX_UPLOAD_MB, MAX_UPLOAD_S, UPLOAD_TIMEOUT_S

EXAMPLES = """
audiostride serve runs/birds
audiostride serve birds.onnx --token SECRET
"""


SHUTDOWN_S = 3  # that requests have to end in


def bind(host: str, port: int) -> socket.socket:
    """Give a socket that listens; port 0 is any that is free.

    Raises:
        UserError: no such address on this machine. OSError: the port is taken or not allowed.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"--host {host}: no such address ({error})") from error
    try:
        return socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UserError(f"--host {host}: not an address of this machine") from error
        told = "already in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise OSError(error.errno, told, f"--port {port} on {host}") from error


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches the address.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    return ipaddress.ip_address(host).is_loopback


def command(
    *,
    run: ModelPath,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is all addresses of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="AUDIOSTRIDE_TOKEN", help="Secret that clients must send in the header Authorization: Bearer TOKEN."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Answer to this name too, such as that of a proxy; may be repeated."),
    ] = None,
    threshold: Threshold = None,
    device: Device = "auto",
    checkpoint: WhichCheckpoint = "best",
    max_mb: Annotated[float, typer.Option(help="Size in MB of the largest file that is taken.")] = MAX_UPLOAD_MB,
    max_s: Annotated[
        float, typer.Option(help="Length in seconds of the longest recording that is taken.")
    ] = MAX_UPLOAD_S,
    timeout_s: Annotated[
        float, typer.Option(help="Seconds that an upload may take, and again its answer.")
    ] = UPLOAD_TIMEOUT_S,
) -> None:
    """Serve a model over HTTP, with a page to try it.

    It answers audio files that are sent to /predict with what the model hears in them. The page is at /.
    """
    try:
        import python_multipart  # noqa: F401
        import uvicorn

        from audiostride.serving.app import build_app
        from audiostride.serving.connections import BACKLOG, Connection, LogLimit, most_connections
        from audiostride.serving.origin import Hosts, host_name
        from audiostride.serving.service import Limits
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("audiostride"):
            raise
        raise UserError(f"serve needs {error.name}, which is not installed: {install_command('serve')}") from error
    from audiostride.loading import load_model
    from audiostride.prediction.selection import check_threshold

    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: expected 0 to 65535")
    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise UserError("--token: expected at least one character, ASCII, without spaces around it")
    check_threshold(threshold)
    for option, value in (("--max-mb", max_mb), ("--max-s", max_s), ("--timeout-s", timeout_s)):
        if not 0 < value <= 1e6:
            raise UserError(f"{option} {value:g}: expected more than 0, up to 1000000")
    for name in allow_host or ():
        if host_name(name) != name.lower():
            raise UserError(f"--allow-host {name}: expected a name without a port, as in audio.example.org")
    with bind(host, port) as listening:
        note_checkpoint(run, checkpoint)
        model = load_model(run, device, checkpoint)
        note_uncalibrated(model, tuple(model.classes))
        hosts = Hosts(host, tuple(allow_host or ()))
        limits, name = Limits(max_mb, max_s, timeout_s), run.resolve().stem
        app = build_app(model, limits, token, threshold=threshold, hosts=hosts, name=name)
        address, bound_port = listening.getsockname()[:2]
        if token is None and not is_loopback(address):
            say(f"warning: without --token, everybody who reaches {address}:{bound_port} can use the model")
        Connection.max_connections = most_connections()
        config = uvicorn.Config(
            app,
            http=Connection,  # of h11, which discards what comes after an early answer, so that the answer is read
            backlog=BACKLOG,
            ws="none",
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        for logger in ("asyncio", "uvicorn.error"):
            logging.getLogger(logger).addFilter(LogLimit())
        try:
            say(f"serving on http://{f'[{address}]' if ':' in address else address}:{bound_port}; Ctrl-C ends")
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:  # after the shutdown, for the signal that asked for it
            say("ended")
