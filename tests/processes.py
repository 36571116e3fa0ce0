"""The program as a process of its own, with a disposition of SIGINT that the test sets."""

import subprocess
import sys
from typing import Any, Literal

Interrupts = Literal["SIG_DFL", "SIG_IGN"]

_LAUNCH = """
import os, signal, sys
signal.signal(signal.SIGINT, getattr(signal, sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""


def start_program(*arguments: object, interrupts: Interrupts = "SIG_DFL", **options: Any) -> "subprocess.Popen[str]":
    """Start the program; with SIG_IGN it inherits what a script gives to its jobs in the background."""
    launch = [sys.executable, "-c", _LAUNCH, interrupts]
    program = [sys.executable, "-m", "audiostride.cli.main", *map(str, arguments)]
    return subprocess.Popen([*launch, *program], text=True, **options)
