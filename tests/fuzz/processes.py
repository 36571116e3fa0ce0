"""The program in processes of its own that start at once, to be killed or asked: forked where all is imported."""

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

from audiostride.cli import main as cli

PRELOADED = (
    "torch",
    "soundfile",
    "soxr",
    "audiostride.training.run",
    "audiostride.runs.scoring",
    "audiostride.loading",
)
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([*PRELOADED, "tests.fuzz.processes"])


def _main(arguments: list[str], log: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.argv = ["audiostride", *arguments]
    cli.main()


def start(log: Path, *arguments: object) -> BaseProcess:
    """Start the program; what it writes is added to `log`."""
    process = CONTEXT.Process(target=_main, args=([str(argument) for argument in arguments], str(log)))
    process.start()
    return process
