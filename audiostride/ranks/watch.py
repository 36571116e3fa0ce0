"""How ranks notice that one of them has died, which a message that waits for it would not tell for long."""

import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from torch.distributed import Store  # type: ignore[attr-defined]

from audiostride.errors import ToldElsewhere, UserError

BEAT_S = 1.0  # between two signs of life
SILENCE_S = 30.0  # after which a rank of another machine counts as dead
GRACE_S = 5.0  # for the main thread to end by itself, before the process is ended


def _here() -> str:
    """Name what the number of a process is unique in: a machine, or a container."""
    name = socket.gethostname()
    with suppress(OSError):
        name += " " + os.readlink("/proc/self/ns/pid")
    return name


def _is_running(process: int) -> bool:
    """Tell whether a process of this machine is there and no zombie."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


class Watch:
    """Give signs of life, and look for those of the other ranks, in a thread of its own.

    A rank of the same machine is dead when its process is gone; one of another machine when it gives no sign for
    `SILENCE_S`. A rank that leaves in order says so.

    Args:
        store: that all ranks share.
        rank: of this process.
        n: ranks in all.
    """

    def __init__(self, store: Store, rank: int, n: int) -> None:
        self._rank, self._n = rank, n
        self._store = store.clone()  # a connection of its own: nothing waits for the main thread's
        self._has_left, self._lock = threading.Event(), threading.Lock()
        self._seen: dict[int, tuple[str, float]] = {}  # of each rank its last sign, and when it came
        self._store.set(f"process/{rank}", json.dumps([_here(), os.getpid()]))
        self._processes: dict[int, tuple[str, int]] = {}

    def start(self) -> None:
        """Begin to watch; all ranks have made their watch before."""
        for other in range(self._n):
            if other != self._rank:
                machine, process = json.loads(self._store.get(f"process/{other}"))
                self._processes[other] = machine, process
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def leave(self) -> None:
        """Stop watching, and tell the others that this rank ends in order."""
        self._has_left.set()
        with self._lock, suppress(RuntimeError):
            self._store.set(f"left/{self._rank}", "")

    def raise_if_a_rank_has_died(self) -> None:
        """Name the rank that a failed message was for, if it is dead; wait until that is certain.

        Raises:
            UserError: a rank is dead, and this is the first that is alive. ToldElsewhere: it is another one.
        """
        deadline = time.monotonic() + SILENCE_S + 2 * BEAT_S
        while time.monotonic() < deadline and not self._has_left.is_set():
            with self._lock:
                dead, ended = self._find_dead()
            if dead:
                self._has_left.set()
                if self._rank == min(set(range(self._n)) - set(dead)):
                    raise UserError(_message(dead[0]))
                raise ToldElsewhere
            if ended:
                raise ToldElsewhere
            time.sleep(BEAT_S / 4)

    def _find_dead(self) -> tuple[list[int], bool]:
        """List the ranks that are dead; and tell whether another one has left in order."""
        now, dead, has_ended = time.monotonic(), [], False
        for other, (machine, process) in self._processes.items():
            if self._store.check([f"left/{other}"]):
                has_ended = True
            elif machine == _here():
                if not _is_running(process):
                    dead.append(other)
            else:
                key = f"beat/{other}"
                sign = self._store.get(key).decode() if self._store.check([key]) else ""
                if other not in self._seen or self._seen[other][0] != sign:
                    self._seen[other] = sign, now
                elif now - self._seen[other][1] > SILENCE_S:
                    dead.append(other)
        return dead, has_ended

    def _run(self) -> None:
        beat, ended_at = 0, None
        while not self._has_left.wait(BEAT_S):
            beat += 1
            try:
                with self._lock:
                    self._store.set(f"beat/{self._rank}", str(beat))
                    dead, has_ended = self._find_dead()
            except RuntimeError:  # the launcher, which keeps the store, is gone
                dead, has_ended = [], True
            if not dead and not has_ended:
                continue
            now = time.monotonic()
            ended_at = ended_at or now
            if now - ended_at < GRACE_S:
                continue
            if dead and self._rank == min(set(range(self._n)) - set(dead)):
                with suppress(OSError):
                    print(_message(dead[0]), file=sys.stderr, flush=True)
            os._exit(1)


def _message(dead: int) -> str:
    return f"rank {dead} has ended, so the others end too; go on from the last checkpoint with --resume"
