"""All five tasks on small data sets, from the unpacked folders to a page of results: what made docs/results/mini.md.

    python docs/scripts/results_mini.py DATA RUN_DIR > docs/results/mini.md

DATA holds `scenes_mini`, `birds_mini`, `nsynth_mini` and `speech_commands_mini`, in the layouts of the public data
sets. Runs the commands that a user would: prepare and scan for each, then train, eval and strides for
`recipes/multitask/mini.yaml`.
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).parents[2] / "recipes/multitask/mini.yaml"
DATA_SETS = {
    "tut_scenes_2018": ("scenes_mini", ["scene"]),
    "bird_detection_2018": ("birds_mini", ["bird"]),
    "nsynth": ("nsynth_mini", ["instrument", "pitch"]),
    "speech_commands": ("speech_commands_mini", ["words"]),
}


def audiostride(*arguments: str | Path, exit_codes: tuple[int, ...] = (0,)) -> str:
    """Standard output of a command; messages go to the terminal."""
    done = subprocess.run(["audiostride", *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    if done.returncode not in exit_codes:
        raise SystemExit(f"audiostride {arguments[0]} ended with {done.returncode}")
    return done.stdout


def table(header: str, rows: list[list[object]]) -> None:
    n_columns = header.count("|") + 1
    print(f"| {header} |\n|{'---|' * n_columns}")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print()


def scan_row(name: str, manifest: Path) -> list[object]:
    found: dict[str, Any] = json.loads(audiostride("scan", manifest, "--json", "-", exit_codes=(0, 1)))
    kinds = [len(found[kind]) for kind in ("bad", "silent", "clipped", "duplicates")]
    return [f"`{name}`", found["n_files"], f"{found['total_s'] / 3600:.2f}", *kinds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run_dir", type=Path)
    options = parser.parse_args()
    settings, scans = [], []
    for name, (folder, tasks) in DATA_SETS.items():
        manifest = options.data / folder / "manifest.csv"
        audiostride("prepare", name, options.data / folder)
        scans.append(scan_row(name, manifest))
        settings += [argument for task in tasks for argument in ("--set", f"tasks.{task}.manifest={manifest}")]
    began = time.monotonic()
    audiostride("train", RECIPE, *settings, "--run-dir", options.run_dir, "--device", "cpu", "--overwrite")
    minutes = (time.monotonic() - began) / 60
    scores = json.loads(audiostride("eval", options.run_dir, "--json", "-"))["tasks"]
    strides = json.loads(audiostride("strides", options.run_dir, "--json", "-"))["layers"]

    print("# Five tasks on small data\n")
    print(
        "Made by `docs/scripts/results_mini.py`: `recipes/multitask/mini.yaml`, one model with five heads, trained in\n"
        f"{minutes:.1f} minutes on {os.cpu_count()} CPU cores. The data sets are small, in the public layouts."
    )
    print(
        "\nThis recipe standardises each window. The model of all tasks in\n"
        "[What five tasks ask for](../strides.md) has another front end, so its accuracies differ."
    )
    print("\n## What the files are\n")
    table("data set | files | hours | cannot be used | silent | clipped | in several splits", scans)
    print("## Accuracy on the split test\n")
    print("Majority is the share of the most frequent class: what a model reaches that has learned nothing.\n")
    rows: list[list[object]] = []
    for task, score in scores.items():
        values = [f"{score[key]:.3f}" for key in ("accuracy", "majority_accuracy", "macro_f1")]
        rows.append([task, len(score["classes"]), score["n_files"], *values])
    table("task | classes | files | accuracy | majority | macro F1", rows)
    print("## Strides\n")
    rows = []
    for row in strides:
        cutoff = f"{row['cutoff']:.3g} {row['cutoff_unit']}"
        rows.append([row["block"], row["axis"], f"{row['stride']:.3f}", f"{row['n_in']} to {row['n_out']}", cutoff])
    table("block | axis | stride | samples | cut-off", rows)


if __name__ == "__main__":
    main()
