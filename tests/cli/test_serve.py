"""`audiostride serve` as a process: how it starts, refuses to, and ends."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from audiostride.cli import main as cli
from tests.processes import start_program


@contextmanager
def server(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its address, and what it said before."""
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    with start_program("serve", *arguments, "--port", "0", **pipes) as process:
        try:
            assert process.stderr is not None
            said = ""
            while not (found := re.search(r"serving on (http://\S+);", said)):
                line = process.stderr.readline()
                assert line, said
                said += line
            yield process, found[1], said
        finally:
            process.kill()


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal; the server ends without complaint."""
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output == ""
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "ended"


def test_sigterm_ends_it_whatever_clients_do(untrained: Path, field: Path) -> None:
    with server(untrained, "--host", "127.0.0.1", "--device", "cpu") as (process, url, said):
        assert said.startswith("task place: its probabilities are not calibrated\nserving on http://127.0.0.1:")
        assert requests.post(url + "/predict", data=(field / "stereo.wav").read_bytes(), timeout=30).status_code == 200
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as hanging:
            hanging.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
            assert requests.get(url + "/health", timeout=30).json()["status"] == "ok"
            end(process, signal.SIGTERM)


def test_names_are_those_of_the_machine_and_of_the_option(untrained: Path) -> None:
    with server(untrained, "--device", "cpu", "--allow-host", "audio.example.org") as (_, url, _):
        statuses = [
            requests.get(url + "/health", headers={"Host": host}, timeout=30).status_code
            for host in ("localhost", "audio.example.org", "evil.example")
        ]
    assert statuses == [200, 200, 403]


def test_beyond_this_machine_it_warns_without_a_token_and_ctrl_c_ends_it(untrained: Path) -> None:
    with server(untrained, "--host", "0.0.0.0", "--device", "cpu") as (process, url, said):  # noqa: S104
        assert "warning: without --token, everybody who reaches 0.0.0.0:" in said
        url = f"http://127.0.0.1:{url.rpartition(':')[2]}"
        assert requests.get(url + "/health", timeout=30).json()["status"] == "ok"
        end(process, signal.SIGINT)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--port", "70000"), 2, "--port 70000: expected 0 to 65535"),
        (("--max-mb", "0"), 2, "--max-mb 0: expected more than 0"),
        (("--timeout-s", "nan"), 2, "--timeout-s nan: expected"),
        (("--token", ""), 2, "--token: expected at least one character"),
        (("--allow-host", "a.example:80"), 2, "--allow-host a.example:80: expected a name without a port"),
        (("--host", "192.0.2.1", "--port", "0"), 2, "--host 192.0.2.1: not an address of this machine"),
        (("--host", "no such host", "--port", "0"), 2, "--host no such host: no such address"),
    ],
)
def test_mistakes_are_one_line(
    untrained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    arguments: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["audiostride", "serve", str(untrained), *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == code
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_a_taken_port_is_told(
    untrained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["audiostride", "serve", str(untrained), "--port", str(port)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == f"--port {port} on 127.0.0.1: already in use\n"


@pytest.mark.parametrize("name", ["fastapi", "uvicorn", "python_multipart"])
def test_a_missing_extra_gives_the_command_to_install_it(
    untrained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for module in [m for m in sys.modules if m == name or m.startswith((f"{name}.", "audiostride.serving."))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys, "argv", ["audiostride", "serve", str(untrained)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"serve needs {name}, which is not installed: pip install ")
    assert all(package in told for package in ("fastapi", "uvicorn", "python-multipart"))
