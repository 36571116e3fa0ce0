"""Searching integer strides against learning them, at the same compute: the trainings behind docs/search.md.

    python docs/scripts/study_search.py run DATA WORK [--trials N] [--tasks speech pitch] [--results FILE]
    python docs/scripts/study_search.py time DATA WORK [--results FILE]
    python docs/scripts/study_search.py plot [--results FILE] [--picture FILE]

DATA holds `speech_commands_mini` and `nsynth_mini`, in the layouts of the public data sets. WORK keeps manifests,
searches and unfinished runs. Each training has one thread. A run that was stopped goes on; start the first line once
per task side by side, with the same WORK.

Compute is counted in multiply-adds: those of a forward pass of a window, times the windows of a step, times the steps.
Every method spends the same budget, that of N trainings of N_STEPS steps with the recipe's own strides as strided
convolutions. A search draws the twelve strides of strided convolutions from 1, 2 and 3, trains N_STEPS steps
with each draw, and keeps what did best on the split valid. `diffstride` and `strided` spend the whole budget on one
training from the recipe's own strides.

`time` measures each training anew, in seconds of the processor, since others may share it: the median of a few steps,
times the steps.
"""

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from audiostride.build import build_model, window_size
from audiostride.files import write_text_atomic
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from audiostride.runs.scoring import score_run
from audiostride.search.folder import SearchFolder
from audiostride.search.space import Parameter, Range, as_overrides
from audiostride.search.study import Study
from audiostride.strides.advice import count_window_macs
from audiostride.training.events import StepDone
from audiostride.training.run import train_recipe
from audiostride.vocabulary import Sampler

sys.path.insert(0, str(Path(__file__).parent))
from study_strides import TASKS, prepare_manifests, read_lines

DOCS = Path(__file__).parents[1]
RECIPE = DOCS.parent / "recipes/speech_commands/mini.yaml"
RESULTS, PICTURE = DOCS / "results/search.jsonl", DOCS / "results/search.png"
N_TRIALS, N_STEPS, N_STRIDES, N_TRIALS_MAX = 6, 200, 6, 100
N_TIMED = 8  # steps
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
    """Train to the end, or go on with it; give accuracies of the last checkpoint, and compute."""
    resume = RunFolder(folder).last.exists()
    for _ in train_recipe(recipe, folder, torch.device("cpu"), resume=resume, overwrite=not resume):
        pass
    last = load_run(folder, "last")
    accuracy = {split: score_run(last, split).scores[job.task].accuracy for split in ("valid", "test")}
    strides = last.model.strided_backbone.strides_by_axis()
    n_macs = count_macs(recipe) * recipe.training.batch_size * job.steps
    return {
        "job": asdict(job),
        "accuracy": accuracy,
        "strides": strides,
        "n_macs": n_macs,
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


def step_seconds(line: dict[str, Any], manifest: Path) -> float:
    """Measure a step of a training, in seconds of the processor: the median of a few after the first."""
    job = Job(**line["job"])
    strides = [
        f"model.stride_{axis}={json.dumps([int(s) for s in values])}" for axis, values in line["strides"].items()
    ]
    recipe = make_recipe(job, manifest, () if job.method == "diffstride" else (*STRIDED, *strides))
    clocks = []
    with tempfile.TemporaryDirectory() as folder:
        for event in train_recipe(recipe, Path(folder) / "run", torch.device("cpu")):
            if isinstance(event, StepDone):
                clocks.append(time.process_time())
            if len(clocks) > N_TIMED + 1:
                break
    return float(np.median(np.diff(clocks[1:])))


def time_all(data: Path, work: Path, results: Path) -> None:
    """Write the seconds of every training into `results`."""
    torch.set_num_threads(1)
    lines = read_lines(results)
    manifests = prepare_manifests(data.absolute(), work.absolute(), [line["job"]["task"] for line in lines])
    for line in lines:
        per_step = step_seconds(line, manifests[TASKS[line["job"]["task"]][0]])
        line["seconds"] = round(per_step * line["job"]["steps"], 1)
    write_text_atomic(results, "".join(json.dumps(line) + "\n" for line in lines))


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run, timing, plotting = map(commands.add_parser, ("run", "time", "plot"))
    for command in (run, timing):
        command.add_argument("data", type=Path)
        command.add_argument("work", type=Path)
    run.add_argument("--trials", type=int, default=N_TRIALS)
    run.add_argument("--tasks", nargs="+", default=["speech", "pitch"], choices=list(TASKS))
    plotting.add_argument("--picture", type=Path, default=PICTURE)
    for command in (run, timing, plotting):
        command.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.command == "run":
        run_all(options.data, options.work, options.results, options.tasks, options.trials)
    elif options.command == "time":
        time_all(options.data, options.work, options.results)
    else:
        from search_page import plot

        plot(options.results, options.picture)


if __name__ == "__main__":
    main()
