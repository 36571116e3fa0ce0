"""Train a recipe in double precision with 1, 2 and 4 processes, and print their weights side by side.

    python docs/scripts/compare_ranks.py RECIPE WORK [--steps 30] [--set KEY=VALUE …]

Prints the norm of the weights of each part of the model for each number of processes, and the largest difference of a
tensor from that of one process, relative to its norm.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from audiostride.runs.checkpoint import load_run

PROCESSES = (1, 2, 4)


def training_command(
    recipe: Path, run_dir: Path, settings: Sequence[str], n_processes: int, *, n_restarts: int = 0
) -> list[str]:
    """Write the command that trains a recipe anew in `n_processes`, which torchrun starts again `n_restarts` times."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}"]
    launcher = [*torchrun, f"--max-restarts={n_restarts}"] if n_processes > 1 else []
    options = [word for setting in settings for word in ("--set", setting)]
    train = ["-m", "audiostride", "train", str(recipe), "--run-dir", str(run_dir), "--overwrite", "--device", "cpu"]
    return [sys.executable, *launcher, *train, *options]


def weights(recipe: Path, run_dir: Path, settings: list[str], n: int) -> dict[str, Tensor]:
    """Train with `n` processes, and give the weights of the last checkpoint."""
    command = training_command(recipe, run_dir, settings, n)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return {name: value.double() for name, value in load_run(run_dir, "last").model.state_dict().items()}


def part(name: str) -> str:
    """Name the part of the model that a tensor belongs to."""
    words = name.split(".")
    return " ".join(words[1:3]) if words[1:2] == ["blocks"] else words[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    settings = ["training.precision=fp64", f"training.steps={options.steps}", *options.set]
    of_n = {n: weights(options.recipe, options.work / f"processes-{n}", settings, n) for n in PROCESSES}
    one = of_n[1]
    print("| norm of the weights | " + " | ".join(f"{n} process{'es' * (n > 1)}" for n in of_n) + " |")
    print("|---" * (len(of_n) + 1) + "|")
    for name in dict.fromkeys(map(part, one)):
        norms = [
            sum(float(value.square().sum()) for key, value in of.items() if part(key) == name) for of in of_n.values()
        ]
        print(f"| {name} | " + " | ".join(f"{norm**0.5:.9g}" for norm in norms) + " |")
    differences = [
        max(float((of[key] - one[key]).norm() / one[key].norm().clamp(min=1e-12)) for key in one)
        for of in of_n.values()
    ]
    print("| largest relative difference from 1 process | " + " | ".join(f"{d:.1e}" for d in differences) + " |")


if __name__ == "__main__":
    main()
