"""Strides that each of the five tasks learns alone: the runs behind docs/strides.md.

    python docs/scripts/strides_by_task.py run DATA RUNS     train what is missing, three seeds of every task

DATA holds `scenes_mini`, `birds_mini`, `nsynth_mini` and `speech_commands_mini`, in the layouts of the public data
sets. A run goes to RUNS/TASK-SEED. Start several side by side with the same RUNS, one thread each (OMP_NUM_THREADS=1):
none does what another has begun, and a second start goes on where the first ended.
"""

import argparse
import subprocess
from pathlib import Path

from filelock import FileLock, Timeout

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run"])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        for task in TASKS:
            try:
                train(task, seed, options.data, options.runs)
            except Timeout:
                continue  # another process is at it


if __name__ == "__main__":
    main()
