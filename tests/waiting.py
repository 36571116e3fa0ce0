"""Waiting for what another process writes."""

import time
from pathlib import Path


def wait_for(*paths: Path) -> None:
    """Wait until all paths are there, five minutes at most."""
    deadline = time.monotonic() + 300
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline, f"{paths} never came"
        time.sleep(0.1)
