"""How the processes that `torchrun` has started meet, and part."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from audiostride.errors import UserError
from audiostride.ranks.group import ALONE, TIMEOUT, Ranks
from audiostride.ranks.watch import Watch

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
POLL_S = 0.05
PATIENCE_S = 300.0  # for the other ranks to come


def _is_launched() -> bool:
    """Tell whether a launcher such as `torchrun` has started this process as one of several."""
    return all(name in os.environ for name in VARIABLES)


def _number(name: str, default: str | None = None) -> int:
    text = os.environ.get(name, default)
    if text is None or not text.isdecimal():
        raise UserError(f"the environment variable {name}: got {text!r}, expected a number, as torchrun sets it")
    return int(text)


def _open_store(rank: int, n: int) -> TCPStore:
    """Open the store of the launcher, or one that the first rank keeps."""
    of_launcher = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    address, port = os.environ["MASTER_ADDR"], _number("MASTER_PORT")
    is_master = rank == 0 and not of_launcher
    try:
        return TCPStore(
            address,
            port,
            n,
            is_master=is_master,
            timeout=timedelta(seconds=PATIENCE_S),
            wait_for_workers=False,
            multi_tenant=True,
        )
    except RuntimeError as error:
        what = "cannot be listened on" if is_master else "nobody answers there"
        raise UserError(f"MASTER_ADDR={address}, MASTER_PORT={port}: {what} ({error})") from error


def _get(store: Store, key: str) -> str | None:
    return store.get(key).decode() if store.check([key]) else None


def _agree_on_a_name(store: Store, rank: int, n: int) -> str:
    """Give all ranks that are alive the same fresh name, for a part of the store that nobody has used.

    The store of a launcher outlives its restarts and remembers what was written before them. So every rank writes a
    word of its own, and the first answers with a name and the words that it has seen. A rank takes the name once its
    own word is among them, and says so. The first answers anew whenever a word changes, until all have said so.

    Raises:
        UserError: not all have come in time.
    """
    word, deadline = uuid.uuid4().hex, time.monotonic() + PATIENCE_S
    store.set(f"meeting/word/{rank}", word)
    if rank > 0:
        while time.monotonic() < deadline:
            name, *words = (_get(store, "meeting/answer") or "none").split()
            if len(words) == n and words[rank] == word:
                store.set(f"meeting/taken/{name}/{rank}", "")
                return name
            time.sleep(POLL_S)
        raise UserError(f"rank {rank}: the other processes have not come within {PATIENCE_S:g} seconds")
    answered: list[str | None] = []
    while time.monotonic() < deadline:
        words_seen = [_get(store, f"meeting/word/{other}") for other in range(n)]
        if all(words_seen) and words_seen != answered:
            answered = words_seen
            store.set("meeting/answer", " ".join([word, *map(str, words_seen)]))
        if answered and all(store.check([f"meeting/taken/{word}/{other}"]) for other in range(1, n)):
            return word
        time.sleep(POLL_S)
    absent = [str(other) for other in range(1, n) if not store.check([f"meeting/taken/{word}/{other}"])]
    raise UserError(f"rank {', '.join(absent)} of {n} has not come within {PATIENCE_S:g} seconds")


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Meet the other processes of the launch for as long as the context lasts; a process alone is rank 0 of 1.

    Messages between CPUs go by gloo, between GPUs by NCCL. On a machine with GPUs each process takes the one of its
    local rank. When a rank dies, the others end too, with one line that names it.

    Raises:
        UserError: a variable of the environment that the launcher sets is wrong, not all ranks come in time, or there
            are fewer GPUs than processes.
    """
    if not _is_launched():
        yield ALONE
        return
    if dist.is_initialized():
        raise UserError("torch.distributed has a process group already; this function makes its own")
    rank, n = _number("RANK"), _number("WORLD_SIZE")
    store = _open_store(rank, n)
    if n == 1:
        yield Ranks(rank, n, store)
        return
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        local_rank, n_gpus = _number("LOCAL_RANK", "0"), torch.cuda.device_count()
        if local_rank >= n_gpus:
            raise UserError(f"rank {rank} is process {local_rank + 1} of this machine, which has {n_gpus} GPU(s)")
        torch.cuda.set_device(local_rank)
    fresh = PrefixStore(_agree_on_a_name(store, rank, n), store)
    watch = Watch(fresh, rank, n)
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpus else "gloo", store=fresh, rank=rank, world_size=n, timeout=TIMEOUT
        )
        watch.start()
        yield Ranks(rank, n, store)
        dist.barrier()
    except RuntimeError:
        watch.raise_if_a_rank_has_died()
        raise
    finally:
        watch.leave()
        if dist.is_initialized():
            dist.destroy_process_group()
