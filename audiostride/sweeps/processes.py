"""Trainings side by side, each a process of this program with a log file and a share of the threads."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

from audiostride.runs.folder import RunFolder

State = Literal["running", "done", "skipped", "failed", "stopped", "pruned"]

POLL_S = 0.2
GRACE_S = 20  # to save and end, before a process is killed
N_TAIL = 3  # lines of a log that a failure is told with
PACKAGE_FOLDER = str(Path(__file__).parents[2])
# the package of this process, also where it is not installed; -P: nothing else is imported from the working folder
START = "import sys; sys.path.append(sys.argv.pop(1)); sys.argv[0] = 'audiostride'; " + (
    "from audiostride.cli.main import main; main()"
)


@dataclass(frozen=True)
class Progress:
    """What is new of a run.

    Attributes:
        name: of the run.
        state: of the run now; a run that nothing is told of waits.
        lines: that its log has got since, of a failed one the last ones.
    """

    name: str
    state: State
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Training:
    """A training that is to begin: the name and the folder of the run, and the arguments of `audiostride train`."""

    name: str
    folder: Path
    arguments: Sequence[str]


def n_threads_each(n_jobs: int) -> int:
    """Share the processors among jobs; `OMP_NUM_THREADS`, if it is set and lower, stays."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share, given = max(1, n_cores // n_jobs), os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(given)) if given.isdecimal() and int(given) else share


class _Child:
    """Hold a training process in a session of its own, so that Ctrl-C reaches it through this process alone."""

    def __init__(self, training: Training, n_threads: int) -> None:
        training.folder.mkdir(parents=True, exist_ok=True)
        log = RunFolder(training.folder).log
        self.name, self.is_stopped = training.name, False
        with log.open("ab") as output:
            self._read = log.open("rb")
            self._read.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, PACKAGE_FOLDER, "train", *training.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": str(n_threads)},
                start_new_session=True,
            )
        self._partial, self._tail = b"", deque[str](maxlen=N_TAIL)

    def stop(self) -> None:
        """Ask it to save and end."""
        self.is_stopped = True
        with suppress(ProcessLookupError):
            self._process.terminate()

    @property
    def is_alive(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it and what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._read.close()

    def _new_lines(self) -> tuple[str, ...]:
        *whole, self._partial = (self._partial + self._read.read()).split(b"\n")
        lines = tuple(line.decode(errors="replace").rstrip() for line in whole)
        lines = tuple(filter(None, lines))
        self._tail.extend(lines)
        return lines

    def look(self) -> Progress:
        """Read what is new."""
        code = self._process.poll()  # before the log, which is whole once the process has ended
        lines = self._new_lines()
        if code is None:
            return Progress(self.name, "running", lines)
        self._read.close()
        if code == 0:
            return Progress(self.name, "done", lines)
        if self.is_stopped:
            return Progress(self.name, "stopped", lines)
        killed = (f"killed by {signal.Signals(-code).name}",) if code < 0 else ()
        return Progress(self.name, "failed", (*self._tail, *killed))


def train_side_by_side(
    trainings: Iterable[Training], n_jobs: int, stop: Event, cancelled: Container[str] = ()
) -> Iterator[Progress]:
    """Run `audiostride train` several times, up to `n_jobs` at once, and yield what is new.

    A training that fails does not end the others. Their output goes to the log in the run's folder.

    Args:
        trainings: each is asked for when a process is free, and what is new of those before has been yielded.
        n_jobs: processes at once, 1 or more; each has an equal share of the processors.
        stop: when set, all that are running save themselves and end, and no other begins.
        cancelled: names of trainings that save themselves and end; it may grow while this runs.
    """
    waiting, running = iter(trainings), list[_Child]()
    is_more = True
    try:
        while is_more or running:
            is_more = is_more and not stop.is_set()
            for child in running:
                if not child.is_stopped and (stop.is_set() or child.name in cancelled):
                    child.stop()
            while is_more and len(running) < n_jobs:
                training = next(waiting, None)
                if training is None:
                    is_more = False
                else:
                    running.append(_Child(training, n_threads_each(n_jobs)))
                    yield Progress(training.name, "running")
            for child in list(running):
                if (progress := child.look()).state != "running":
                    running.remove(child)
                if progress.state != "running" or progress.lines:
                    yield progress
            if running:
                time.sleep(POLL_S)
    finally:
        _end(running)


def _end(children: Sequence[_Child]) -> None:
    """End processes that nobody waits for any more: they are asked to save, and killed if they do not."""
    try:
        for child in children:
            child.stop()
        deadline = time.monotonic() + GRACE_S
        while any(child.is_alive for child in children) and time.monotonic() < deadline:
            time.sleep(POLL_S)
    finally:
        for child in children:
            child.kill()
