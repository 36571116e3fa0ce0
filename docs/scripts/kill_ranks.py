"""Kill random ranks of a training again and again, and compare its weights with those of one that was left alone.

    python docs/scripts/kill_ranks.py RECIPE WORK [--ranks 2] [--kills 20] [--seed 0] [--set KEY=VALUE …]

Prints a row for every kill: the rank, when it was killed, the step of the last checkpoint, and how long it took until
all processes were started anew. WORK gets the two run folders; a table is printed at the end.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder

sys.path.insert(0, str(Path(__file__).parent))
from compare_ranks import training_command


def start(recipe: Path, run_dir: Path, settings: list[str], n_ranks: int, n_restarts: int) -> "subprocess.Popen[bytes]":
    """Start a training of several processes that overwrites the run."""
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    with (run_dir.parent / f"{run_dir.name}.log").open("wb") as log:
        return subprocess.Popen(
            training_command(recipe, run_dir, settings, n_ranks, n_restarts=n_restarts),
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )


def ranks_of(launcher: int) -> dict[int, int]:
    """Find the processes of the ranks that a launcher has running."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            environment = (path.parent / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ranks = [int(variable[5:]) for variable in environment if variable.startswith(b"RANK=")]
        if int(parent) == launcher and state != "Z" and ranks:
            found[ranks[0]] = int(path.parent.name)
    return found


def last_step(run_dir: Path) -> int:
    """Read the step of the last checkpoint, 0 for none."""
    states = [int(path.name.split("-")[1].split(".")[0]) for path in RunFolder(run_dir).states()]
    return max(states, default=0)


def wait_for_ranks(launcher: "subprocess.Popen[bytes]", n: int, unlike: set[int]) -> dict[int, int]:
    """Wait until all ranks run in new processes; none where the launcher has ended."""
    while launcher.poll() is None:
        ranks = ranks_of(launcher.pid)
        if len(ranks) == n and not unlike & set(ranks.values()):
            return ranks
        time.sleep(0.05)
    return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=20, help="seconds from a start to a kill")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    whole, killed = options.work / "whole", options.work / "killed"
    if start(options.recipe, whole, options.set, options.ranks, 0).wait() != 0:
        raise SystemExit(f"the training that nobody kills has failed: {options.work / 'whole.log'}")

    draw = random.Random(options.seed)  # noqa: S311
    launcher = start(options.recipe, killed, options.set, options.ranks, options.kills)
    began, ranks, n_kills = time.monotonic(), {}, 0
    print(" kill  rank  after s  checkpoint  all started anew after s")
    while n_kills < options.kills:
        ranks = wait_for_ranks(launcher, options.ranks, set(ranks.values()))
        time.sleep(draw.uniform(0, options.longest))
        if launcher.poll() is not None:
            break
        rank = draw.randrange(options.ranks)
        step, at = last_step(killed), time.monotonic()
        try:
            os.kill(ranks[rank], signal.SIGKILL)
        except ProcessLookupError:
            break
        n_kills += 1
        anew = wait_for_ranks(launcher, options.ranks, set(ranks.values()))
        took = f"{time.monotonic() - at:.1f}" if anew else "-"
        print(f"{n_kills:5}  {rank:4}  {at - began:7.1f}  {step:10}  {took:>24}", flush=True)
    code = launcher.wait()
    if code != 0:
        raise SystemExit(f"the training ended with {code}: {options.work / 'killed.log'}")
    a, b = (load_run(run, "last").model.state_dict() for run in (whole, killed))
    n_equal = sum(torch.equal(a[name], b[name]) for name in a)
    print(f"{n_kills} kills; {n_equal} of {len(a)} tensors of the last checkpoint are equal bit for bit")


if __name__ == "__main__":
    main()
