"""A headless Chromium for tests of pages, driven through its DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import websocket

NAMES = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
MISSING = "no Chromium, which the tests of pages need, as in: sudo apt-get install chromium"
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which root and many containers cannot have; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",  # a microphone that beeps
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-port=0",
)
START_S = 60


def find_chromium() -> str:
    """Find the program; the test that asks is skipped where there is none, or fails with `REQUIRE_CHROMIUM`."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail(MISSING) if os.environ.get("REQUIRE_CHROMIUM") else pytest.skip(MISSING)
    return program


class Browser:
    """One page of a browser with an empty profile.

    Args:
        profile: an empty folder of its own.

    Attributes:
        console: what the page logged as an error or a warning, and its uncaught exceptions, since `open`.
        requests: the address of everything that the page asked for since `open`.
    """

    def __init__(self, profile: Path) -> None:
        program = find_chromium()
        self.console: list[str] = []
        self.requests: list[str] = []
        self._last_id = 0
        log = (profile / "chromium.log").open("w")
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile / 'profile'}", "about:blank"], stdout=log, stderr=log
        )
        log.close()
        try:
            self._socket = self._connect(profile)
            target = self._send("Target.createTarget", url="about:blank")["targetId"]
            self._session: str | None = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
                self._send(f"{domain}.enable")
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def _connect(self, profile: Path) -> websocket.WebSocket:
        self._session = None
        file, end = profile / "profile/DevToolsActivePort", time.monotonic() + START_S
        while not (file.exists() and len(lines := file.read_text().splitlines()) == 2):
            log = profile / "chromium.log"
            assert self._process.poll() is None, f"Chromium ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"Chromium did not start: {log.read_text()[-2000:]}"
            time.sleep(0.05)
        return websocket.create_connection(f"ws://127.0.0.1:{lines[0]}{lines[1]}", timeout=60, suppress_origin=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; its result."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while (answer := json.loads(self._socket.recv())).get("id") != self._last_id:
            self._note(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _note(self, event: dict[str, Any]) -> None:
        content = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled" if content["type"] in ("error", "warning", "assert"):
                self.console.append(" ".join(str(a.get("value", a.get("description"))) for a in content["args"]))
            case "Runtime.exceptionThrown":
                details = content["exceptionDetails"]
                self.console.append(details.get("exception", {}).get("description", details["text"]))
            case "Log.entryAdded" if content["entry"]["level"] in ("error", "warning"):
                self.console.append(f"{content['entry']['text']} {content['entry'].get('url', '')}".strip())
            case "Network.requestWillBeSent":
                self.requests.append(content["request"]["url"])

    def open(self, url: str, width: int = 1280, height: int = 800) -> None:
        """Show a page in a window of `width` x `height` pixels, and wait until it has loaded."""
        self.resize(width, height)
        self._send("Page.navigate", url="about:blank")
        self.wait_for("location.href == 'about:blank' && document.readyState == 'complete'")
        self.console.clear()
        self.requests.clear()
        failure = self._send("Page.navigate", url=url).get("errorText")
        assert failure is None, f"{url}: {failure}"
        self.wait_for("location.href != 'about:blank' && document.readyState == 'complete'")

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self._send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression in the page; of a promise, what it resolves to."""
        answer = self._send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        details = answer.get("exceptionDetails")
        assert details is None, f"{script}: {details.get('exception', {}).get('description', details['text'])}"
        return answer["result"].get("value")

    def wait_for(self, script: str, timeout_s: float = 30) -> None:
        """Wait until an expression holds in the page; one that fails while the page changes does not hold yet."""
        end = time.monotonic() + timeout_s
        while True:
            answer = self._send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
            if "exceptionDetails" not in answer and answer["result"].get("value"):
                return
            assert time.monotonic() < end, f"not within {timeout_s:g} s: {script}; console: {self.console}"
            time.sleep(0.05)

    def set_file(self, selector: str, *paths: Path) -> None:
        """Choose files in an `<input type="file">`, as a person would."""
        root = self._send("DOM.getDocument")["root"]["nodeId"]
        node = self._send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._send("DOM.setFileInputFiles", nodeId=node, files=[str(path.absolute()) for path in paths])

    def screenshot(self, path: Path, *, full_page: bool = False) -> None:
        """Write what the window shows, or all of the page, as PNG."""
        content = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=full_page)["data"]
        path.write_bytes(base64.b64decode(content))
