"""Does learning strides pay? The trainings behind docs/results/strides.md; strides_page.py beside this prints the page.

    python docs/scripts/study_strides.py DATA WORK [--studies A B C D defaults fixed long] [--results FILE]

DATA holds `speech_commands_mini`, `nsynth_mini`, `scenes_mini` and `birds_mini`, in the layouts of the public data
sets. WORK keeps manifests and unfinished runs. A run has one thread: start the first line several times side by side,
with the same WORK. No process does what another has begun, and a run that was stopped goes on from its last checkpoint.
"""

import argparse
import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout

from audiostride.build import window_size
from audiostride.datasets import prepare
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint, load_run
from audiostride.runs.folder import RunFolder
from audiostride.runs.scoring import score_run
from audiostride.strides.advice import count_window_macs
from audiostride.strides.reading import run_strides
from audiostride.strides.recipes import nearest_integers
from audiostride.training.run import train_recipe

HERE = Path(__file__).parent
RECIPE = HERE.parents[1] / "recipes/speech_commands/mini.yaml"
RESULTS = HERE.parent / "results/strides.jsonl"
TASKS = {  # task: (data set, folder of it, label)
    "speech": ("speech_commands", "speech_commands_mini", "label"),
    "pitch": ("nsynth", "nsynth_mini", "pitch"),
    "instrument": ("nsynth", "nsynth_mini", "instrument"),
    "scene": ("tut_scenes_2018", "scenes_mini", "scene"),
    "bird": ("bird_detection_2018", "birds_mini", "bird"),
}
MAIN_TASKS = ("speech", "pitch", "instrument")
METHODS = {
    "strided": ["model.downsampling=strided_conv"],
    "spectral": ["model.downsampling=spectral_pooling"],
    "fixed": ["model.downsampling=fixed_stride"],
    "diffstride": ["model.downsampling=diffstride"],
    "smoothness 4": ["model.downsampling=diffstride", "model.smoothness=4"],
    "smoothness 8": ["model.downsampling=diffstride", "model.smoothness=8"],
    "smoothness 8, not learned": ["model.downsampling=diffstride", "model.learn_smoothness=false"],
    "smoothness 16, not learned": [
        "model.downsampling=diffstride",
        "model.smoothness=16",
        "model.learn_smoothness=false",
    ],
    "strides at twice the rate": ["model.downsampling=diffstride", "training.stride_learning_rate=0.01"],
    "pooling last": ["model.downsampling=diffstride", "model.order=conv_relu_bn_pool"],
    "shared": ["model.downsampling=diffstride", "model.placement=per_block", "model.shared=true"],
    "per block": ["model.downsampling=diffstride", "model.placement=per_block"],
}
STUDIES = ("A", "B", "C", "D", "defaults", "fixed", "long")
GOOD = [2.0, 2.0, 1.0, 2.0, 1.0, 2.0]
N_DRAWS, N_SEEDS, N_SEEDS_D, N_NETS = 6, 5, 3, 6
WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
RIVALS = ("strided", "spectral")
VARIANTS = tuple(METHODS)[4:-2]


@dataclass(frozen=True)
class Job:
    """One training: what it learns, how it downsamples, where its strides begin ("good" or a draw)."""

    study: str
    task: str
    method: str
    start: str
    seed: int
    steps: int = 600
    weight: float = 0.0  # of the complexity regulariser

    @property
    def name(self) -> str:
        """Give the name of its run."""
        return "-".join(str(value) for value in asdict(self).values()).replace(" ", "_")


def drawn_strides(draw: int) -> tuple[list[float], list[float]]:
    """Draw strides between 1 and 3 for every block: those of time, those of frequency."""
    strides = np.round(np.random.default_rng(draw).uniform(1, 3, 12), 2).tolist()
    return strides[:6], strides[6:]


def jobs(studies: Sequence[str]) -> Iterator[Job]:
    """List the trainings of some studies, so that each of them soon has something to tell."""
    for i in range(max(N_DRAWS, N_SEEDS)):
        if "A" in studies and i < N_DRAWS:
            for method in ("diffstride", *RIVALS):
                yield from (Job("A", task, method, f"draw {i}", i) for task in MAIN_TASKS)
        if "B" in studies and i < N_SEEDS:
            for method in ("diffstride", *RIVALS):
                yield from (Job("B", task, method, "good", i) for task in MAIN_TASKS)
        if "D" in studies and i < N_SEEDS_D:  # the other tasks are those of B
            yield from (Job("D", task, "diffstride", "good", i) for task in ("scene", "bird", "all"))
        if "C" in studies and i == 1:  # beside the nets of A
            yield from (Job("C", "speech", "diffstride", "good", 0, weight=weight) for weight in WEIGHTS)
    if "C" in studies:
        yield from (Job("C", "speech", "strided", f"draw {net}", 0) for net in range(10, 10 + N_NETS))
    for seed in range(N_SEEDS_D):
        if "D" in studies:
            for method in ("shared", "per block"):
                yield from (Job("D", task, method, "good", seed) for task in MAIN_TASKS)
    for seed in range(N_SEEDS_D):  # what is the default was chosen by these, and by "per block" of D
        if "defaults" in studies:
            for method in VARIANTS:
                yield from (Job("defaults", task, method, "good", seed) for task in MAIN_TASKS)
    for draw in range(N_DRAWS):  # the control of A: strides and ramps frozen where they begin
        if "fixed" in studies:
            yield from (Job("A", task, "fixed", f"draw {draw}", draw) for task in MAIN_TASKS)
    for seed in range(N_SEEDS):  # B with five times the steps
        if "long" in studies:
            for method in ("diffstride", *RIVALS):
                yield from (Job("B", task, method, "good", seed, 3000) for task in MAIN_TASKS)


def is_drawn(job: Job) -> bool:
    """Tell whether the strides of a run are drawn, so that its folder is kept."""
    return job == Job(job.study, job.task, "diffstride", "good", job.seed) and job.seed < N_SEEDS_D


def prepare_manifests(data: Path, work: Path, tasks: Sequence[str] = tuple(TASKS)) -> dict[str, Path]:
    """Write the manifest of each data set of some tasks once."""
    paths = {}
    with FileLock(work / "manifests.lock"):
        for name, folder in {TASKS[task][:2] for task in tasks}:
            paths[name] = work / f"{name}.csv"
            if not paths[name].exists():
                prepare(name, data / folder, paths[name])
    return paths


def make_recipe(job: Job, manifests: dict[str, Path]) -> Recipe:
    """Make the recipe of a job: the mini recipe with other tasks and strides."""
    time_strides, mel_strides = (GOOD, GOOD) if job.start == "good" else drawn_strides(int(job.start.split()[1]))
    if job.method == "strided":
        time_strides, mel_strides = nearest_integers(time_strides), nearest_integers(mel_strides)
    settings = [
        *METHODS[job.method],
        f"model.stride_time={time_strides}",
        f"model.stride_frequency={mel_strides}",
        f"training.steps={job.steps}",
        f"training.validate_every={job.steps}",
        f"training.complexity_weight={job.weight}",
        f"seed={job.seed}",
    ]
    recipe = load_recipe(RECIPE, settings).model_dump()
    names = TASKS if job.task == "all" else {job.task: TASKS[job.task]}
    tasks = {task: {"manifest": str(manifests[name]), "label": label} for task, (name, _, label) in names.items()}
    return Recipe.model_validate(recipe | {"tasks": tasks})


def train(job: Job, manifests: dict[str, Path], folder: Path) -> float:
    """Train to the end, or go on with it; give the seconds that it took this time."""
    began = time.monotonic()
    resume = RunFolder(folder).last.exists()
    recipe = make_recipe(job, manifests)
    for _ in train_recipe(recipe, folder, torch.device("cpu"), resume=resume, overwrite=not resume):
        pass
    return time.monotonic() - began


def read(folder: Path) -> dict[str, Any]:
    """Score the last checkpoint on splits of unseen speakers and instruments, and read its strides."""
    last: Checkpoint = load_run(folder, "last")
    scored = {split: score_run(last, split) for split in ("test", "valid")}
    right = {
        split: {
            task: "".join("01"[p.label == p.predicted] for p in score.predictions if p.task == task)
            for task in score.scores
        }
        for split, score in scored.items()
    }
    strides = run_strides(folder, last).as_dict()
    passed = {
        axis: {key: response[key] for key in ("cutoff_3db", "nominal_cutoff")}
        for axis, response in strides["response"].items()
    }
    n_macs = count_window_macs(last.model, window_size(last.recipe))
    return {"right": right, "layers": strides["layers"], "passed": passed, "n_macs": n_macs}


def run_all(data: Path, work: Path, results: Path, studies: Sequence[str]) -> None:
    """Train what no line of `results` tells of."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    manifests = prepare_manifests(data.absolute(), work.absolute())
    for job in jobs(studies):
        with contextlib.suppress(Timeout), FileLock(work / f"{job.name}.lock", timeout=0):
            if asdict(job) in [line["job"] for line in read_lines(results)]:
                continue
            seconds = train(job, manifests, work / job.name)
            line = {"job": asdict(job), "seconds": round(seconds, 1), **read(work / job.name)}
            with FileLock(work / "results.lock"), results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            if not is_drawn(job):
                shutil.rmtree(work / job.name)


def read_lines(results: Path) -> list[dict[str, Any]]:
    """Read what is done."""
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--studies", nargs="+", default=STUDIES[:4], choices=STUDIES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    run_all(options.data, options.work, options.results, options.studies)


if __name__ == "__main__":
    main()
