"""Does learning strides pay? The runs behind docs/results/strides.md.

    python docs/scripts/study_strides.py run DATA WORK [--studies A B C D fixed long] [--results FILE]
    python docs/scripts/study_strides.py tables [--results FILE]          print the tables in Markdown
    python docs/scripts/study_strides.py figures WORK [--results FILE]    draw the pictures

DATA holds `speech_commands_mini`, `nsynth_mini`, `scenes_mini` and `birds_mini`, in the layouts of the public data
sets. WORK keeps manifests and unfinished runs. A run has one thread: start the first line several times side by side,
with the same WORK. No process does what another has begun, and a run that was stopped goes on from its last checkpoint.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from matplotlib.figure import Figure

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
    "shared": ["model.downsampling=diffstride", "model.placement=per_block", "model.shared=true"],
    "per block": ["model.downsampling=diffstride", "model.placement=per_block"],
}
STUDIES = ("A", "B", "C", "D", "fixed", "long")
GOOD = [2.0, 2.0, 1.0, 2.0, 1.0, 2.0]
N_DRAWS, N_SEEDS, N_SEEDS_D, N_NETS = 6, 5, 3, 6
WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
RIVALS = ("strided", "spectral")


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
    for draw in range(N_DRAWS):
        if "A" in studies:
            for method in ("diffstride", *RIVALS):
                yield from (Job("A", task, method, f"draw {draw}", draw) for task in MAIN_TASKS)
    for seed in range(N_SEEDS):
        if "B" in studies:
            for method in ("diffstride", *RIVALS):
                yield from (Job("B", task, method, "good", seed) for task in MAIN_TASKS)
        if "D" in studies and seed < N_SEEDS_D:  # the other tasks are those of B
            yield from (Job("D", task, "diffstride", "good", seed) for task in ("scene", "bird", "all"))
        if "C" in studies and seed == 1:  # beside the nets of A
            yield from (Job("C", "speech", "diffstride", "good", 0, weight=weight) for weight in WEIGHTS)
    if "C" in studies:
        yield from (Job("C", "speech", "strided", f"draw {net}", 0) for net in range(10, 10 + N_NETS))
    for seed in range(N_SEEDS_D):
        if "D" in studies:
            for method in ("shared", "per block"):
                yield from (Job("D", task, method, "good", seed) for task in MAIN_TASKS)
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


def prepare_manifests(data: Path, work: Path) -> dict[str, Path]:
    """Write the manifest of each data set once."""
    paths = {}
    with FileLock(work / "manifests.lock"):
        for name, folder in {(name, folder) for name, folder, _ in TASKS.values()}:
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


def accuracy(line: dict[str, Any], task: str | None = None, split: str = "test") -> float:
    """Compute the share of files that a run classifies right, the mean over its tasks unless one is named."""
    right = line["right"][split]
    return float(np.mean([np.mean([*map(int, right[name])]) for name in ([task] if task else right)]))


def row(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print("| " + " | ".join(map(str, cells)) + " |")


def head(*cells: object) -> None:
    """Print the head of a Markdown table."""
    print()
    row(*cells)
    row(*["---"] * len(cells))


def chosen(lines: Sequence[dict[str, Any]], **wanted: object) -> list[dict[str, Any]]:
    """Choose the lines of jobs with these values, in the order of start and seed."""
    found = [line for line in lines if all(line["job"][key] == value for key, value in wanted.items())]
    return sorted(found, key=lambda line: (line["job"]["start"], line["job"]["seed"]))


def bootstrap(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """Compute a difference of accuracies and its 95 % interval: seeds and files are both drawn anew, in pairs."""
    a, b = (
        np.array([[*map(int, next(iter(line["right"]["test"].values())))] for line in lines])
        for lines in (first, second)
    )
    rng, differences = np.random.default_rng(0), a - b
    n_seeds, n_files = differences.shape
    means = [
        differences[np.ix_(rng.integers(0, n_seeds, n_seeds), rng.integers(0, n_files, n_files))].mean()
        for _ in range(2000)
    ]
    return float(differences.mean()), *(float(edge) for edge in np.quantile(means, (0.025, 0.975)))


def table_a(lines: Sequence[dict[str, Any]]) -> None:
    """Print accuracies from bad starts: over draws of twelve strides."""
    head("task", "method", "draws", "test: mean", "deviation", "lowest", "valid: mean")
    for task in MAIN_TASKS:
        for method in ("diffstride", *RIVALS, "fixed"):
            found = chosen(lines, study="A", task=task, method=method)
            if len(found) > 1:
                values = [accuracy(line) for line in found]
                valid = statistics.fmean(accuracy(line, split="valid") for line in found)
                spread = f"{statistics.stdev(values):.3f}"
                row(
                    task,
                    method,
                    len(found),
                    f"{statistics.fmean(values):.3f}",
                    spread,
                    f"{min(values):.3f}",
                    f"{valid:.3f}",
                )


def table_b(lines: Sequence[dict[str, Any]], steps: int) -> None:
    """Print accuracies from good starts, and DiffStride against each rival over the seeds that both have."""
    head("task", "method", "seeds", "test: mean (lowest-highest)", "valid: mean", "DiffStride minus it, 95 %")
    for task in MAIN_TASKS:
        learned = chosen(lines, study="B", task=task, method="diffstride", steps=steps)
        for method in ("diffstride", *RIVALS):
            found = chosen(lines, study="B", task=task, method=method, steps=steps)
            if not found:
                continue
            values = [accuracy(line) for line in found]
            valid = statistics.fmean(accuracy(line, split="valid") for line in found)
            n = min(len(found), len(learned))
            difference = ""
            if method != "diffstride" and n:
                mean, low, high = bootstrap(learned[:n], found[:n])
                difference = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
            mean_and_range = f"{statistics.fmean(values):.3f} ({min(values):.3f}-{max(values):.3f})"
            row(task, method, len(found), mean_and_range, f"{valid:.3f}", difference)


def nets(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose the nets whose accuracy is set against compute: those of A and C for speech."""
    of_speech = chosen(lines, task="speech", steps=600)
    return [line for line in of_speech if line["job"]["study"] in ("A", "C") and line["job"]["method"] != "fixed"]


def table_c(lines: Sequence[dict[str, Any]]) -> None:
    """Print accuracy against multiply-adds."""
    head("method", "regulariser or start", "10^6 multiply-adds a window", "test", "valid")
    for line in sorted(nets(lines), key=lambda line: line["n_macs"]):
        job = line["job"]
        what = f"weight {job['weight']}" if job["study"] == "C" and job["weight"] else f"start: {job['start']}"
        row(
            job["method"],
            what,
            f"{line['n_macs'] / 1e6:.1f}",
            f"{accuracy(line):.3f}",
            f"{accuracy(line, split='valid'):.3f}",
        )


def alone(lines: Sequence[dict[str, Any]], task: str) -> list[dict[str, Any]]:
    """Choose the runs of a task from good starts, or those of all tasks together."""
    found = chosen(lines, task=task, method="diffstride", start="good", steps=600, weight=0.0)
    return [line for line in found if line["job"]["seed"] < N_SEEDS_D]


def passed(found: Sequence[dict[str, Any]], axis: str, key: str, digits: int) -> str:
    """Write what all layers pass as mean, lowest and highest over runs."""
    values = [line["passed"][axis][key] for line in found]
    return f"{statistics.fmean(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def folded(found: Sequence[dict[str, Any]], axis: str) -> str:
    """Write how much the layers that shorten an axis let fold, the mean over layers and runs."""
    values = [layer["folds"] for line in found for layer in line["layers"] if layer["axis"] == axis]
    return f"{statistics.fmean(value for value in values if value is not None):.0%}"


def table_d(lines: Sequence[dict[str, Any]]) -> None:
    """Print what tasks ask for, then one stride for both axes against one each."""
    head("task", "runs", "test", "cut-off, Hz", "cut-off, cycles/band", "folds, time", "folds, mel")
    for task in (*TASKS, "all"):
        if found := alone(lines, task):
            cells = [passed(found, axis, "nominal_cutoff", digits) for axis, digits in (("time", 2), ("frequency", 4))]
            mean = f"{statistics.fmean(accuracy(line) for line in found):.3f}"
            row(task, len(found), mean, *cells, *(folded(found, axis) for axis in ("time", "frequency")))
    head("block", *(f"{task}, {axis}" for axis in ("time", "mel") for task in (*TASKS, "all")))
    for block in range(1, 7):
        cells = []
        for axis in ("time", "frequency"):
            for task in (*TASKS, "all"):
                found = alone(lines, task)
                values = [
                    layer["stride"]
                    for line in found
                    for layer in line["layers"]
                    if (layer["block"], layer["axis"]) == (block, axis)
                ]
                cells.append(f"{statistics.fmean(values):.2f} ± {np.std(values):.2f}" if values else "")
        row(block, *cells)
    head("seed", "pitch, cycles/band", "instrument, cycles/band")
    pairs = zip(*(alone(lines, task) for task in ("pitch", "instrument")), strict=False)
    for pair in pairs:
        row(pair[0]["job"]["seed"], *(f"{line['passed']['frequency']['nominal_cutoff']:.4f}" for line in pair))
    head("task", "one stride for both axes", "one per axis", "runs of each")
    for task in MAIN_TASKS:
        shared, each = (chosen(lines, study="D", task=task, method=method) for method in ("shared", "per block"))
        if shared and each:
            row(task, *(f"{statistics.fmean(map(accuracy, found)):.3f}" for found in (shared, each)), len(shared))


def print_tables(results: Path) -> None:
    """Print all tables."""
    lines = read_lines(results)
    print("A: bad starts")
    table_a(lines)
    for steps in (600, 3000):
        print(f"\nB: good starts, {steps} steps")
        table_b(lines, steps)
    print("\nC: compute")
    table_c(lines)
    print("\nD: what tasks ask for")
    table_d(lines)


def draw_compute(results: Path, target: Path) -> None:
    """Draw accuracy against multiply-adds, with the hull of what strided convolutions reach."""
    lines, figure = read_lines(results), Figure(figsize=(6.4, 3.6), layout="constrained")
    panel = figure.subplots()
    for method, colour, marker, label in (
        ("strided", "#d55e00", "s", "strided convolutions, random integers"),
        ("diffstride", "#0072b2", "o", "DiffStride, regularised"),
    ):
        points = sorted(
            (line["n_macs"] / 1e6, accuracy(line)) for line in nets(lines) if line["job"]["method"] == method
        )
        best = list(accumulate((value for _, value in points), max))
        panel.plot([macs for macs, _ in points], best, color=colour, linewidth=1.2, drawstyle="steps-post")
        panel.plot(*zip(*points, strict=True), marker, color=colour, label=label)
    panel.set_xscale("log")
    panel.set_xlabel("10⁶ multiply-adds per window of 1 s")
    panel.set_ylabel("test accuracy")
    panel.grid(alpha=0.25, linewidth=0.5, which="both")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="lower right")
    figure.savefig(target, dpi=110)


def draw(results: Path, work: Path) -> None:
    """Draw the pictures of the pages: compute from the results, strides from the runs of D."""
    docs = HERE.parent
    draw_compute(results, docs / "results/compute.png")
    runs = [
        work / Job("B" if task in MAIN_TASKS else "D", task, "diffstride", "good", seed).name
        for task in TASKS
        for seed in range(N_SEEDS_D)
    ]
    with tempfile.TemporaryDirectory() as folder:
        named = []
        for run in filter(Path.exists, runs):  # `strides` names runs by their folders
            _, task, *_, seed, _, _ = run.name.split("-")
            named.append(Path(folder, f"{task}-{seed}"))
            named[-1].symlink_to(run.absolute())
        subprocess.run(["audiostride", "strides", *named, "--plot", docs / "strides-by-task.png"], check=True)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    run = commands.add_parser("run")
    run.add_argument("data", type=Path)
    run.add_argument("work", type=Path)
    run.add_argument("--studies", nargs="+", default=STUDIES[:4], choices=STUDIES)
    run.add_argument("--results", type=Path, default=RESULTS)
    tables = commands.add_parser("tables")
    tables.add_argument("--results", type=Path, default=RESULTS)
    figures = commands.add_parser("figures")
    figures.add_argument("work", type=Path)
    figures.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.command == "run":
        run_all(options.data, options.work, options.results, options.studies)
    elif options.command == "tables":
        print_tables(options.results)
    else:
        draw(options.results, options.work)


if __name__ == "__main__":
    main()
