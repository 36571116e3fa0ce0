"""Strides that each of the five tasks learns alone: the runs behind docs/strides.md.

    python docs/scripts/strides_by_task.py run DATA RUNS       train what is missing, three seeds of every task
    python docs/scripts/strides_by_task.py advised DATA RUNS   train what words-0 is advised, and itself again beside it
    python docs/scripts/strides_by_task.py page DATA RUNS      print the tables of docs/strides.md
    python docs/scripts/strides_by_task.py plot DATA RUNS      write the pictures of docs/strides.md

DATA holds `scenes_mini`, `birds_mini`, `nsynth_mini` and `speech_commands_mini`, in the layouts of the public data
sets. A run goes to RUNS/TASK-SEED. Start several side by side with the same RUNS, one thread each (OMP_NUM_THREADS=1):
none does what another has begun, and a second start goes on where the first ended.
"""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

from filelock import FileLock, Timeout
from PIL import Image

from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder

RECIPES = Path(__file__).parents[2] / "recipes"
TASKS = {  # task: (recipe, data set, folder of it)
    "pitch": ("nsynth_pitch", "nsynth", "nsynth_mini"),
    "instrument": ("nsynth_instrument", "nsynth", "nsynth_mini"),
    "words": ("speech_commands", "speech_commands", "speech_commands_mini"),
    "scene": ("tut_scenes_2018", "tut_scenes_2018", "scenes_mini"),
    "bird": ("bird_detection_2018", "bird_detection_2018", "birds_mini"),
}
SEEDS = (0, 1, 2)
N_STEPS = 800  # about five minutes on two cores


def train(task: str, seed: int, data: Path, runs: Path) -> None:
    """Train one run, or go on with it, unless it is done."""
    recipe, name, folder = TASKS[task]
    run, manifest = runs / f"{task}-{seed}", data / folder / "manifest.csv"
    with FileLock(runs / f".{task}-{seed}.lock", timeout=0):
        done = runs / f".{task}-{seed}.done"
        if done.exists():
            return
        with FileLock(runs / f".{name}.lock"):
            if not manifest.exists():
                subprocess.run(["audiostride", "prepare", name, data / folder], check=True)
        settings = [f"training.steps={N_STEPS}", f"seed={seed}", f"tasks.{task}.manifest={manifest}"]
        options = [option for setting in settings for option in ("--set", setting)]
        mode = "--resume" if (run / "checkpoints/last.safetensors").exists() else "--overwrite"
        recipe_file = RECIPES / recipe / "mini.yaml"
        subprocess.run(["audiostride", "train", recipe_file, "--run-dir", run, mode, *options], check=True)
        done.touch()


def audiostride(*arguments: str | Path) -> str:
    """Standard output of a command; messages go to the terminal."""
    return subprocess.run(["audiostride", *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout


def all_runs(runs: Path) -> list[Path]:
    return [runs / f"{task}-{seed}" for task in TASKS for seed in SEEDS]


def advised(runs: Path) -> None:
    """Train the recipe advised for words-0, and that of words-0 again, side by side with one thread each."""
    recipe = runs / "advised.yaml"
    audiostride("strides", runs / "words-0", "--advise-recipe", recipe)
    recipes = {"words-as-it-was": runs / "words-0/recipe.yaml", "words-advised": recipe}
    running = [
        subprocess.Popen(
            ["audiostride", "train", of_run, "--run-dir", runs / name, "--overwrite"],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for name, of_run in recipes.items()
    ]
    exit_codes = [process.wait() for process in running]
    if any(exit_codes):
        raise SystemExit("a training failed")


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |")


def page(runs: Path) -> None:
    """Print accuracy, strides and what passes of every task, then pitch against instrument."""
    compared = json.loads(audiostride("strides", *all_runs(runs), "--json", "-"))
    of_run = {Path(run["run"]).name: run for run in compared["runs"]}
    accuracy = {name: score(runs / name) for name in of_run}
    row("task", "test accuracy, three seeds", "-3 dB, Hz", "-3 dB, cycles/band", "nominal, cycles/band")
    row(*["---"] * 5)
    for task in TASKS:
        names = [f"{task}-{seed}" for seed in SEEDS]
        passed = {
            (axis, key): [of_run[name]["response"][axis][key] for name in names]
            for axis in ("time", "frequency")
            for key in ("cutoff_3db", "nominal_cutoff")
        }
        row(
            task,
            spread([accuracy[name] for name in names], 3),
            spread(passed["time", "cutoff_3db"], 2),
            spread(passed["frequency", "cutoff_3db"], 4),
            spread(passed["frequency", "nominal_cutoff"], 4),
        )
    print()
    row("block", *(f"{task}, {axis}" for axis in ("time", "mel") for task in TASKS))
    row(*["---"] * (1 + 2 * len(TASKS)))
    groups = {group["name"]: group["layers"] for group in compared["groups"]}
    for block in range(1, 7):
        cells = [
            next(layer["stride"] for layer in groups[task] if (layer["block"], layer["axis"]) == (block, axis))
            for axis in ("time", "frequency")
            for task in TASKS
        ]
        row(block, *(f"{cell['mean']:.2f} ± {cell['sd']:.2f}" for cell in cells))
    print("\npitch against instrument, cut-off of all layers along mel in cycles per band:\n")
    row("seed", "pitch, -3 dB", "instrument, -3 dB", "pitch, nominal", "instrument, nominal")
    row(*["---"] * 5)
    for seed in SEEDS:
        found = {task: of_run[f"{task}-{seed}"]["response"]["frequency"] for task in ("pitch", "instrument")}
        keys = ("cutoff_3db", "nominal_cutoff")
        row(seed, *(f"{found[task][key]:.4f}" for key in keys for task in ("pitch", "instrument")))
    names = ("words-as-it-was", "words-advised")
    if all((runs / name).exists() for name in names):
        print("\nthe recipe advised for words-0, trained beside the original, one thread each:\n")
        row("", "hop", "mel bands", "test accuracy", "windows per s", "multiply-adds per window, 10^6")
        row(*["---"] * 6)
        macs = json.loads(audiostride("strides", runs / "words-0", "--advise", "--json", "-"))["advice"]
        for name, n_macs in zip(names, (macs["n_macs"], macs["suggestions"][-1]["n_macs"]), strict=True):
            frontend = load_run(runs / name).recipe.frontend
            speed = statistics.median(
                line["windows_per_s"] for line in RunFolder(runs / name).read_metrics() if "loss" in line
            )
            row(
                name,
                frontend.hop_length,
                frontend.n_mels,
                f"{score(runs / name):.3f}",
                f"{speed:.0f}",
                f"{n_macs / 1e6:.1f}",
            )


def score(run: Path) -> float:
    (task,) = json.loads(audiostride("eval", run, "--json", "-"))["tasks"].values()
    return float(task["accuracy"])


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def plot(runs: Path) -> None:
    docs = Path(__file__).parents[1]
    pictures = {
        "strides-by-task.png": ("strides", all_runs(runs)),
        "strides-pitch.png": ("strides", [runs / "pitch-0"]),
        "accuracy-against-compute.png": (
            "compare",
            [*(runs / f"words-{seed}" for seed in SEEDS), runs / "words-advised"],
        ),
    }
    for name, (command, of_runs) in pictures.items():
        audiostride(command, *of_runs, "--plot", docs / name)
        Image.open(docs / name).convert("RGB").quantize(48).save(docs / name, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "advised", "page", "plot"])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    if options.what == "advised":
        return advised(options.runs)
    if options.what == "page":
        return page(options.runs)
    if options.what == "plot":
        return plot(options.runs)
    for seed in SEEDS:
        for task in TASKS:
            try:
                train(task, seed, options.data, options.runs)
            except Timeout:
                continue  # another process is at it
    return None


if __name__ == "__main__":
    main()
