"""The paper's networks on small data: accuracy and multiply-adds of three ways to downsample.

    python docs/scripts/study_backbones.py run DATA WORK [--results FILE] [--seeds N]
    python docs/scripts/study_backbones.py table [--results FILE]

DATA holds `speech_commands_mini` and `nsynth_mini`, in the layouts of the public data sets. WORK keeps manifests and
unfinished runs. A run has one thread: start the first line several times side by side, with the same WORK. No process
does what another has begun, and a run that was stopped goes on from its last checkpoint. The second line prints
docs/results/backbones.md.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from audiostride.build import window_size
from audiostride.datasets import prepare
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from audiostride.runs.scoring import score_run
from audiostride.strides.advice import count_window_macs
from audiostride.training.run import train_recipe
from audiostride.vocabulary import BACKBONE

sys.path.insert(0, str(Path(__file__).parent))
from study_strides import METHODS, read_lines

HERE = Path(__file__).parent
RECIPES = HERE.parents[1] / "recipes"
RESULTS = HERE.parent / "results/backbones.jsonl"
TASKS = {  # folder of the recipes: (data set, folder of it, task, name in the table)
    "speech_commands": ("speech_commands", "speech_commands_mini", "words", "speech"),
    "nsynth_pitch": ("nsynth", "nsynth_mini", "pitch", "pitch"),
}
WAYS = {"strided": "strided convolutions", "spectral": "spectral pooling", "diffstride": "DiffStride"}
TITLES = {
    BACKBONE: "six blocks",
    "resnet18": "ResNet-18",
    "efficientnet_b0": "EfficientNet-B0",
    "densenet_bc121": "DenseNet-BC",
}


@dataclass(frozen=True)
class Job:
    """One training."""

    backbone: str
    task: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Give the name of its run."""
        return "-".join(str(value) for value in asdict(self).values())


def jobs(n_seeds: int) -> Iterator[Job]:
    """List the trainings, the quick ones first."""
    for seed in range(n_seeds):
        for backbone in TITLES:
            for task in TASKS:
                yield from (Job(backbone, task, method, seed) for method in WAYS)


def make_recipe(job: Job, manifest: Path) -> Recipe:
    """Make the recipe of a job: the mini recipe of its backbone, and that of ResNet-18 for the six blocks."""
    task = TASKS[job.task][2]
    settings = [f"tasks.{task}.manifest={manifest}", f"seed={job.seed}", *METHODS[job.method]]
    if job.backbone == BACKBONE:
        settings += [f"model.backbone={BACKBONE}", "model.width=0.25"]
    shipped = "resnet18" if job.backbone == BACKBONE else job.backbone
    return load_recipe(RECIPES / job.task / f"mini_{shipped}.yaml", settings)


def train(job: Job, manifest: Path, folder: Path) -> float:
    """Train to the end, or go on with it; give the seconds of this process that it took this time."""
    began = time.process_time()
    resume = RunFolder(folder).last.exists()
    recipe = make_recipe(job, manifest)
    for _ in train_recipe(recipe, folder, torch.device("cpu"), resume=resume, overwrite=not resume):
        pass
    return time.process_time() - began


def read(job: Job, folder: Path) -> dict[str, Any]:
    """Score the last checkpoint on a speaker, or on instruments, that it was not trained on; count what it computes."""
    last = load_run(folder, "last")
    score = score_run(last, "test").scores[TASKS[job.task][2]]
    return {
        "accuracy": score.accuracy,
        "n_files": score.n_files,
        "n_classes": len(last.classes[TASKS[job.task][2]]),
        "steps": last.step,
        "batch_size": last.recipe.training.batch_size,
        "width": last.recipe.model.width,
        "n_parameters": sum(parameter.numel() for parameter in last.model.parameters()),
        "n_macs": count_window_macs(last.model, window_size(last.recipe)),
        "strides": last.model.strided_backbone.strides_by_axis(),
    }


def run_all(data: Path, work: Path, results: Path, n_seeds: int) -> None:
    """Train what no line of `results` tells of."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    manifests = {}
    for task, (data_set, folder, *_) in TASKS.items():
        manifests[task] = work.absolute() / f"{data_set}.csv"
        with FileLock(work / "manifests.lock"):
            if not manifests[task].exists():
                prepare(data_set, data.absolute() / folder, manifests[task])
    for job in jobs(n_seeds):
        with contextlib.suppress(Timeout), FileLock(work / f"{job.name}.lock", timeout=0):
            if asdict(job) in [line["job"] for line in read_lines(results)]:
                continue
            seconds = train(job, manifests[job.task], work / job.name)
            line = {"job": asdict(job), "seconds": round(seconds, 1), **read(job, work / job.name)}
            with FileLock(work / "results.lock"), results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            shutil.rmtree(work / job.name)


def cell(values: Sequence[float]) -> str:
    """Give a mean, and the deviation of several."""
    mean = f"{statistics.fmean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"


def numbers(strides: Sequence[float]) -> str:
    """Give strides in a few digits."""
    return " ".join(f"{stride:.2f}" for stride in strides)


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Write the page."""
    parts = [
        "# The paper's networks on small data",
        "Printed by `docs/scripts/study_backbones.py table` from `backbones.jsonl`, which `study_backbones.py run` "
        "makes. Each line is a training of the mini recipe of its backbone (`recipes/*/mini_*.yaml`; the six blocks "
        "at a quarter of their channels in the recipe of ResNet-18): 40 mel bands, 50 frames, integer strides to "
        "begin with, the learned ones with a ramp that folds. Accuracy is over the files of a speaker, or of "
        "instruments, that were not trained on. Multiply-adds are those of a window of one second, with the strides "
        "at the end. These trainings are short, and a seed differs from the next by several hundredths.",
    ]
    for task, (*_, title) in TASKS.items():
        of_task = [line for line in lines if line["job"]["task"] == task]
        if not of_task:
            continue
        n_files, n_classes = of_task[0]["n_files"], of_task[0]["n_classes"]
        rows = [
            f"## {title}: {n_files} test files, {n_classes} classes",
            "",
            "| backbone | width | steps x windows | seeds | downsampling | accuracy | multiply-adds (M) | parameters |",
            "|---|--:|--:|--:|---|--:|--:|--:|",
        ]
        for backbone, name in TITLES.items():
            for method, words in WAYS.items():
                found = [
                    line for line in of_task if (line["job"]["backbone"], line["job"]["method"]) == (backbone, method)
                ]
                if not found:
                    continue
                first = found[0]
                macs = statistics.fmean(line["n_macs"] for line in found) / 1e6
                values = cell([line["accuracy"] for line in found])
                length = f"{first['steps']:,} x {first['batch_size']}"
                rows.append(
                    f"| {name} | {first['width']:g} | {length} | {len(found)} | {words} | {values} | {macs:.1f} | "
                    f"{first['n_parameters']:,} |"
                )
        parts.append("\n".join(rows))
    learned = [line for line in lines if line["job"]["method"] == "diffstride" and line["job"]["seed"] == 0]
    rows = [
        "## Strides that were learned (first seed)",
        "",
        "| task | backbone | time | frequency |",
        "|---|---|---|---|",
    ]
    for line in learned:
        job, strides = line["job"], line["strides"]
        names = TASKS[job["task"]][3], TITLES[job["backbone"]]
        rows.append(f"| {' | '.join(names)} | {numbers(strides['time'])} | {numbers(strides['frequency'])} |")
    done = [line["job"] for line in lines]
    missing = [job for job in jobs(1) if asdict(job) not in done]
    if missing:
        names = (f"{TITLES[job.backbone]}, {TASKS[job.task][3]}, {WAYS[job.method]}" for job in missing)
        rows += ["", f"Not trained yet: {'; '.join(names)}."]
    return "\n\n".join([*parts, "\n".join(rows)]) + "\n"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="train what is not done yet")
    run.add_argument("data", type=Path)
    run.add_argument("work", type=Path)
    run.add_argument("--seeds", type=int, default=1)
    for command in (run, commands.add_parser("table", help="print the page")):
        command.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.command == "run":
        run_all(options.data, options.work, options.results, options.seeds)
    else:
        print(table(read_lines(options.results)), end="")


if __name__ == "__main__":
    main()
