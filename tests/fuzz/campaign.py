"""Many attempts of every kind to make the program fail, each from a seed, in processes that may die."""

import resource
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from tests.fuzz import audio, calibration, kills, manifests, models, recipes, server
from tests.fuzz.materials import Materials
from tests.fuzz.outcome import Failed
from tests.fuzz.processes import CONTEXT

Attempt = Callable[[Random, Materials, Path], None]
KINDS: dict[str, Attempt] = {
    "recipes": recipes.attempt,
    "manifests": manifests.attempt,
    "audio": audio.attempt,
    "models": models.attempt,
    "calibration": calibration.attempt,
    "kills": kills.attempt,
    "server": server.attempt,
}
LIMIT_S = 300  # of an attempt, more than any of its own limits
MEMORY_BYTES = 6 * 2**30  # of a process


@dataclass
class Tally:
    """How many attempts of a kind there were, and what went wrong in which."""

    kind: str
    n_tried: int = 0
    seconds: float = 0.0
    failures: dict[int, str] = field(default_factory=dict)


def try_case(kind: str, seed: int, materials: Materials, scratch: Path) -> str | None:
    """Make one attempt; return what went wrong."""
    folder = scratch / f"{kind}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        KINDS[kind](Random(f"{kind}:{seed}"), materials, folder)  # noqa: S311
    except Failed as failure:
        return str(failure)
    except Exception:  # the attempt found what it did not expect
        return traceback.format_exc()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def _work(pipe: Connection, kind: str, seed: int, folder: Path, end: float) -> None:
    """Make attempts from `seed` on until a time of the monotonic clock, at least one."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    while True:
        pipe.send(try_case(kind, seed, Materials(folder), folder / "scratch"))
        seed += 1
        if time.monotonic() > end:
            return


def _results(kind: str, seed: int, folder: Path, end: float) -> Iterator[str | None]:
    """Yield what went wrong in the attempts from `seed` on; a process that dies or hangs is replaced."""
    while True:
        pipe, other_end = CONTEXT.Pipe(duplex=False)
        worker = CONTEXT.Process(target=_work, args=(other_end, kind, seed, folder, end))
        worker.start()
        other_end.close()
        try:
            while pipe.poll(LIMIT_S):
                yield pipe.recv()
                seed += 1
            yield f"no end within {LIMIT_S} s"
        except EOFError:
            worker.join()
            if worker.exitcode == 0:
                return
            yield f"the process ended with {worker.exitcode}"
        finally:
            worker.kill()
        seed += 1


def run_kind(kind: str, seed: int, seconds: float, folder: Path) -> Tally:
    """Make attempts of a kind for so many seconds, at least one."""
    tally, begin = Tally(kind), time.monotonic()
    for reason in _results(kind, seed, folder, begin + seconds):
        if reason is not None:
            tally.failures[seed + tally.n_tried] = reason
        tally.n_tried += 1
    tally.seconds = time.monotonic() - begin
    return tally


def run_campaign(kinds: list[str], seed: int, seconds: float, folder: Path, n_jobs: int) -> Iterator[Tally]:
    """Make attempts of all kinds, `n_jobs` kinds at a time, in about so many seconds."""
    share = seconds * min(n_jobs, len(kinds)) / len(kinds)
    with ThreadPoolExecutor(n_jobs) as pool:
        yield from pool.map(lambda kind: run_kind(kind, seed, share, folder), kinds)
