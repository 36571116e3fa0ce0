"""Two processes with one thread each against one process with two threads: windows per second, in turn.

    python docs/scripts/bench_ranks.py RECIPE WORK [--rounds 3] [--steps 60] [--set KEY=VALUE …]

Prints a row per way to train with the medians over rounds, and the median of their ratios. The first line of each log
is left out: it holds the start.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from audiostride.runs.folder import RunFolder

sys.path.insert(0, str(Path(__file__).parent))
from compare_ranks import training_command

WAYS = {"1 process, 2 threads": (1, 2), "2 processes, 1 thread each": (2, 1)}
LOG_EVERY = 10


def windows_per_s(recipe: Path, run_dir: Path, settings: list[str], n_ranks: int, n_threads: int) -> float:
    """Train, and give the median of the lines in the log after the first."""
    subprocess.run(
        training_command(recipe, run_dir, settings, n_ranks),
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": str(n_threads)},
        capture_output=True,
    )
    lines = [line["windows_per_s"] for line in RunFolder(run_dir).read_metrics() if "windows_per_s" in line]
    return statistics.median(lines[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    settings = [
        *(f"training.steps={options.steps}", f"training.validate_every={options.steps}"),
        *(f"training.log_every={LOG_EVERY}", "training.batch_norm_batches=0"),
        *options.set,
    ]
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, (n_ranks, n_threads) in WAYS.items():
            run_dir = options.work / f"ranks-{n_ranks}"
            found[way].append(windows_per_s(options.recipe, run_dir, settings, n_ranks, n_threads))
    print("| | windows/s |\n|---|---|")
    for way, values in found.items():
        print(f"| {way} | {statistics.median(values):.0f} |")
    one, two = found.values()
    ratio = statistics.median(b / a for a, b in zip(one, two, strict=True))
    print(f"\nratio of the second to the first, median of {options.rounds} rounds: {ratio:.2f}")


if __name__ == "__main__":
    main()
