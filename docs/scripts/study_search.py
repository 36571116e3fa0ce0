"""Searching integer strides against learning them, at the same compute: the trainings behind docs/search.md.

    python docs/scripts/study_search.py run DATA WORK [--trials N] [--tasks speech pitch] [--results FILE]
    python docs/scripts/study_search.py plot [--results FILE] [--picture FILE]

DATA holds `speech_commands_mini` and `nsynth_mini`, in the layouts of the public data sets. WORK keeps manifests,
searches and unfinished runs. Each training has one thread. A run that was stopped goes on; start the first line once
per task side by side, with the same WORK.

Compute is counted in multiply-adds: those of a forward pass of a window, times the windows of a step, times the steps.
Every method spends the same budget, that of N trainings of N_STEPS steps with the recipe's own strides as strided
convolutions. A search draws the twelve strides of strided convolutions from 1, 2 and 3, trains N_STEPS steps
with each draw, and keeps what did best on the split valid. `diffstride` and `strided` spend the whole budget on one
training from the recipe's own strides.
"""

import argparse
import contextlib
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiostride.build import build_model, window_size
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from audiostride.runs.scoring import score_run
from audiostride.search.folder import SearchFolder
from audiostride.search.space import Parameter, Range, as_overrides
from audiostride.search.study import Sampler, Study
from audiostride.strides.advice import count_window_macs
from audiostride.training.run import train_recipe

sys.path.insert(0, str(Path(__file__).parent))
from study_strides import TASKS, prepare_manifests, read_lines

DOCS = Path(__file__).parents[1]
RECIPE = DOCS.parent / "recipes/speech_commands/mini.yaml"
RESULTS, PICTURE = DOCS / "results/search.jsonl", DOCS / "results/search.png"
N_TRIALS, N_STEPS, N_STRIDES, N_TRIALS_MAX = 6, 200, 6, 100
N_RANDOM = 3  # trials of a search before the sampler models them
SEARCHES: dict[str, tuple[Sampler, int]] = {
    "random": ("random", 0),
    "tpe": ("tpe", 1),
}  # sampler, seed
METHODS = ("diffstride", "strided", *SEARCHES)
SPACE = tuple(
    Parameter(f"model.stride_{axis}", Range("int", 1, 3), N_STRIDES, "study_search.py")
    for axis in ("time", "frequency")
)
STRIDED = ("model.downsampling=strided_conv",)
COLOURS = {"diffstride": "C3", "strided": "0.4", "random": "C0", "tpe": "C2"}
N_WINDOWS_SCALE = 1e12


@dataclass(frozen=True)
class Job:
    """One training; `trial` counts those of a search."""

    task: str
    method: str
    trial: int
    steps: int


def make_recipe(job: Job, manifest: Path, settings: tuple[str, ...]) -> Recipe:
    """Make the mini recipe with the task and the settings of a job."""
    _, _, label = TASKS[job.task]
    steps = (f"training.steps={job.steps}", f"training.validate_every={job.steps}")
    recipe = load_recipe(RECIPE, [*settings, *steps]).model_dump()
    return Recipe.model_validate(recipe | {"tasks": {job.task: {"manifest": str(manifest), "label": label}}})


def count_macs(recipe: Recipe, n_classes: int = 10) -> int:
    """Count the multiply-adds of a forward pass of a window; a head costs next to nothing."""
    return count_window_macs(build_model(recipe, {"any": ("class",) * n_classes}), window_size(recipe))


def train_and_score(job: Job, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Train to the end, or go on with it; give accuracies of the last checkpoint, compute and time."""
    resume = RunFolder(folder).last.exists()
    began = time.process_time()
    for _ in train_recipe(recipe, folder, torch.device("cpu"), resume=resume, overwrite=not resume):
        pass
    seconds = time.process_time() - began  # of the processor, however many share it
    last = load_run(folder, "last")
    accuracy = {split: score_run(last, split).scores[job.task].accuracy for split in ("valid", "test")}
    strides = last.model.strided_backbone.strides_by_axis()
    n_macs = count_macs(recipe) * recipe.training.batch_size * job.steps
    return {
        "job": asdict(job),
        "accuracy": accuracy,
        "strides": strides,
        "n_macs": n_macs,
        "seconds": round(seconds, 1),
    }


class _Runner:
    """Train jobs of a task and note their results."""

    def __init__(self, task: str, manifest: Path, work: Path, results: Path, n_trials: int) -> None:
        self.task, self.manifest, self.work, self.results = (
            task,
            manifest,
            work,
            results,
        )
        plain = make_recipe(Job(task, "strided", 0, N_STEPS), manifest, STRIDED)
        self.n_batch, self.plain_macs = plain.training.batch_size, count_macs(plain)
        self.budget = self.plain_macs * self.n_batch * N_STEPS * n_trials

    def done(self) -> list[dict[str, Any]]:
        """Read the results of the task."""
        return [line for line in read_lines(self.results) if line["job"]["task"] == self.task]

    def run(self, job: Job, settings: tuple[str, ...]) -> dict[str, Any]:
        """Give the results of a job, trained now unless it was."""
        known = [line for line in self.done() if line["job"] == asdict(job)]
        if known:
            return known[0]
        folder = self.work / f"{job.task}-{job.method}-{job.trial}"
        line = train_and_score(job, make_recipe(job, self.manifest, settings), folder)
        with FileLock(self.work / "results.lock"), self.results.open("a") as file:
            file.write(json.dumps(line) + "\n")
        shutil.rmtree(folder)
        return line

    def train_once(self, method: str) -> None:
        """Spend the budget on one training."""
        settings = STRIDED if method == "strided" else ()
        macs = count_macs(make_recipe(Job(self.task, method, 0, N_STEPS), self.manifest, settings))
        self.run(
            Job(self.task, method, 0, round(self.budget / (macs * self.n_batch))),
            settings,
        )

    def search_once(self, method: str) -> bool:
        """Train the next trial of a search; False once its budget is spent."""
        spent = sum(line["n_macs"] for line in self.done() if line["job"]["method"] == method)
        if spent >= self.budget:
            return False
        study = Study(
            SearchFolder(self.work / f"{self.task}-{method}"),
            SPACE,
            *SEARCHES[method],
            N_RANDOM,
        )
        if (taken := study.take(N_TRIALS_MAX)) is None:
            return False
        trial, lock = taken
        job = Job(self.task, method, trial.number, N_STEPS)
        line = self.run(job, (*STRIDED, *as_overrides(trial.settings)))
        study.finish(trial.number, line["accuracy"]["valid"])
        lock.release()
        return True


def run_all(data: Path, work: Path, results: Path, tasks: list[str], n_trials: int) -> None:
    """Train what no line of `results` tells of, the searches in turn."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    manifests = prepare_manifests(data.absolute(), work.absolute(), tasks)
    for task in tasks:
        with contextlib.suppress(Timeout), FileLock(work / f"{task}.lock", timeout=0):
            runner = _Runner(task, manifests[TASKS[task][0]], work, results, n_trials)
            left = list(SEARCHES)
            while len(runner.done()) < n_trials and left:  # so that all have something to tell soon
                left = [search for search in left if runner.search_once(search)]
            runner.train_once("diffstride")
            while left:
                left = [search for search in left if runner.search_once(search)]
            runner.train_once("strided")


def best_so_far(lines: list[dict[str, Any]], compute: str) -> tuple[list[float], list[float]]:
    """Give compute spent, and the test accuracy of the trial that is the best by the split valid until then."""
    spent = list(accumulate(line[compute] for line in lines))
    best = accumulate(lines, lambda a, b: b if b["accuracy"]["valid"] > a["accuracy"]["valid"] else a)
    return spent, [line["accuracy"]["test"] for line in best]


def draw(axes: Axes, lines: list[dict[str, Any]], compute: str) -> None:
    """Draw the searches as curves, and single trainings as points."""
    scale = N_WINDOWS_SCALE if compute == "n_macs" else 60
    for method in METHODS:
        of_method = [line for line in lines if line["job"]["method"] == method]
        if not of_method:
            continue
        spent, accuracy = best_so_far(of_method, compute)
        spent = [value / scale for value in spent]
        if method in SEARCHES:
            axes.step(
                spent,
                accuracy,
                where="post",
                color=COLOURS[method],
                marker=".",
                label=f"search, {method}",
            )
            single = [line["accuracy"]["test"] for line in of_method]
            axes.plot(spent, single, ".", color=COLOURS[method], alpha=0.3)
        else:
            label = "DiffStride, one training" if method == "diffstride" else "strided, one training"
            axes.plot(
                spent,
                accuracy,
                "*" if method == "diffstride" else "s",
                color=COLOURS[method],
                ms=10,
                label=label,
            )


def plot(results: Path, picture: Path) -> None:
    """Draw best-so-far accuracy against compute, and print a table of what each method reached."""
    lines = read_lines(results)
    tasks = [task for task in TASKS if any(line["job"]["task"] == task for line in lines)]
    figure = Figure(figsize=(4.5 * len(tasks), 7), layout="constrained")
    grid = figure.subplots(2, len(tasks), squeeze=False)
    print("| task | method | trainings | steps each | multiply-adds, 10^12 | minutes | valid | test |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for column, task in enumerate(tasks):
        of_task = [line for line in lines if line["job"]["task"] == task]
        for axes, compute in zip(grid[:, column], ("n_macs", "seconds"), strict=True):
            draw(axes, of_task, compute)
            axes.set_xlabel("multiply-adds of forward passes, 10^12" if compute == "n_macs" else "minutes")
            axes.set_ylabel("test accuracy of the best by valid")
        grid[0, column].set_title(task)
        for method in METHODS:
            _print_row(
                task,
                method,
                [line for line in of_task if line["job"]["method"] == method],
            )
    grid[0, 0].legend(fontsize="small")
    figure.savefig(picture, dpi=100)


def _print_row(task: str, method: str, lines: list[dict[str, Any]]) -> None:
    if lines:
        best = max(lines, key=lambda line: line["accuracy"]["valid"])
        macs = sum(line["n_macs"] for line in lines) / N_WINDOWS_SCALE
        minutes = sum(line["seconds"] for line in lines) / 60
        scores = f"{best['accuracy']['valid']:.3f} | {best['accuracy']['test']:.3f}"
        print(
            f"| {task} | {method} | {len(lines)} | {lines[0]['job']['steps']} | {macs:.2f} | {minutes:.1f} | {scores} |"
        )


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run, plotting = commands.add_parser("run"), commands.add_parser("plot")
    run.add_argument("data", type=Path)
    run.add_argument("work", type=Path)
    run.add_argument("--trials", type=int, default=N_TRIALS)
    run.add_argument("--tasks", nargs="+", default=["speech", "pitch"], choices=list(TASKS))
    plotting.add_argument("--picture", type=Path, default=PICTURE)
    for command in (run, plotting):
        command.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.command == "run":
        run_all(options.data, options.work, options.results, options.tasks, options.trials)
    else:
        plot(options.results, options.picture)


if __name__ == "__main__":
    main()
