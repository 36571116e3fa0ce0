"""The program, called in the process of the tests."""

import sys

import pytest

from audiostride.cli import main as cli


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call the program with these arguments; its exit code."""
    monkeypatch.setattr(sys, "argv", ["audiostride", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)
