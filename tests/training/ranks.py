"""Ranks as processes that are forked from a server which has imported torch once."""

import contextlib
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from audiostride.errors import ToldElsewhere

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["audiostride.training.run", "torch.distributed"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(rank: int, n: int, port: int, log: Path, work: Callable[..., None], arguments: Sequence[object]) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(n),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    with log.open("w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            work(*arguments)
        except ToldElsewhere:
            sys.exit(1)
        except ValueError as error:
            print(f"{type(error).__name__}: {error}")
            sys.exit(2)


class Processes:
    """Several ranks of one launch, each with a log."""

    def __init__(self, n: int, folder: Path, work: Callable[..., None], *arguments: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.codes: list[int | None] = []
        self.logs = [folder / f"rank{rank}.log" for rank in range(n)]
        port = free_port()
        self.processes = [
            CONTEXT.Process(target=_run, args=(rank, n, port, log, work, arguments), daemon=True)
            for rank, log in enumerate(self.logs)
        ]
        for process in self.processes:
            process.start()

    def wait(self, timeout_s: float = 200) -> list[int | None]:
        """Give the exit codes; what runs for longer is killed."""
        deadline = time.monotonic() + timeout_s
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.join()
        return [process.exitcode for process in self.processes]

    def texts(self) -> list[str]:
        return [log.read_text() if log.exists() else "" for log in self.logs]
