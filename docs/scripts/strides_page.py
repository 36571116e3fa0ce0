"""Print the tables of docs/results/strides.md and docs/strides.md, and draw their pictures.

    python docs/scripts/strides_page.py tables [--results FILE]          print the tables in Markdown
    python docs/scripts/strides_page.py figures WORK [--results FILE]    draw the pictures

The results, and the runs in WORK, are those of study_strides.py beside this.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parent))
from study_strides import MAIN_TASKS, N_SEEDS_D, RESULTS, RIVALS, TASKS, VARIANTS, Job, read_lines

DOCS = Path(__file__).parents[1]


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


def difference(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> str:
    """Write by how much the first are ahead of the second, over the seeds or draws that both have."""
    n = min(len(first), len(second))
    mean, low, high = bootstrap(first[:n], second[:n])
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def table_a(lines: Sequence[dict[str, Any]]) -> None:
    """Print accuracies from bad starts, over draws of twelve strides; beside them what seeds alone change."""
    last = "DiffStride minus it, 95 %"
    head(
        "task", "method", "draws", "test: mean", "deviation", "of seeds from good starts", "lowest", "valid: mean", last
    )
    for task in MAIN_TASKS:
        learned = chosen(lines, study="A", task=task, method="diffstride")
        for method in ("diffstride", *RIVALS, "fixed"):
            found = chosen(lines, study="A", task=task, method=method)
            if len(found) > 1:
                values = [accuracy(line) for line in found]
                seeds = [accuracy(line) for line in chosen(lines, study="B", task=task, method=method, steps=600)]
                valid = statistics.fmean(accuracy(line, split="valid") for line in found)
                mean, deviation, lowest = statistics.fmean(values), statistics.stdev(values), min(values)
                of_seeds = f"{statistics.stdev(seeds):.3f}" if len(seeds) > 1 else ""
                ahead = difference(learned, found) if method != "diffstride" and learned else ""
                numbers = [f"{mean:.3f}", f"{deviation:.3f}", of_seeds, f"{lowest:.3f}", f"{valid:.3f}"]
                row(task, method, len(found), *numbers, ahead)


def table_b(lines: Sequence[dict[str, Any]], steps: int) -> None:
    """Print accuracies from good starts, and DiffStride against each rival over the seeds that both have."""
    head("task", "method", "seeds", "test: mean (lowest-highest)", "valid: mean", "DiffStride minus it, 95 %")
    for task in MAIN_TASKS:
        learned = chosen(lines, study="B", task=task, method="diffstride", steps=steps)
        for method in ("diffstride", *RIVALS):
            found = chosen(lines, study="B", task=task, method=method, steps=steps)
            if found:
                values = [accuracy(line) for line in found]
                valid = statistics.fmean(accuracy(line, split="valid") for line in found)
                ahead = difference(learned, found) if method != "diffstride" and learned else ""
                row(task, method, len(found), spread(values), f"{valid:.3f}", ahead)


def nets(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose the nets whose accuracy is set against compute: those of A and C for speech."""
    of_speech = chosen(lines, task="speech", steps=600)
    methods = ("diffstride", *RIVALS)
    return [line for line in of_speech if line["job"]["study"] in ("A", "C") and line["job"]["method"] in methods]


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


def alone(lines: Sequence[dict[str, Any]], task: str, steps: int = 600) -> list[dict[str, Any]]:
    """Choose the runs of a task from good starts, or those of all tasks together."""
    found = chosen(lines, task=task, method="diffstride", start="good", steps=steps, weight=0.0)
    return [line for line in found if line["job"]["seed"] < N_SEEDS_D]


def passed(found: Sequence[dict[str, Any]], axis: str, key: str, digits: int) -> str:
    """Write what all layers pass as mean, lowest and highest over runs."""
    values = [line["passed"][axis][key] for line in found]
    return spread(values, digits)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Write mean, lowest and highest; a single value alone."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def folded(found: Sequence[dict[str, Any]], axis: str) -> str:
    """Write how much the layers that shorten an axis let fold, the mean over layers and runs."""
    values = [layer["folds"] for line in found for layer in line["layers"] if layer["axis"] == axis]
    return f"{statistics.fmean(value for value in values if value is not None):.0%}"


def strides_of(found: Sequence[dict[str, Any]], block: int, axis: str) -> list[float]:
    """Collect the strides of a block and axis over runs."""
    layers = (layer for line in found for layer in line["layers"])
    return [layer["stride"] for layer in layers if (layer["block"], layer["axis"]) == (block, axis)]


def table_strides(lines: Sequence[dict[str, Any]], steps: int) -> None:
    """Print the strides of every block after so many steps from good starts."""
    runs = {task: found for task in (*TASKS, "all") if (found := alone(lines, task, steps))}
    for axis in ("time", "frequency"):
        head(f"stride along {axis}, block", *runs)
        for block in range(1, 7):
            row(block, *(spread(strides_of(found, block, axis), 2) for found in runs.values()))


def table_d(lines: Sequence[dict[str, Any]]) -> None:
    """Print what tasks ask for, then one stride for both axes against one each."""
    head("task", "runs", "test", "cut-off, Hz", "cut-off, cycles/band", "folds, time", "folds, mel")
    for task in (*TASKS, "all"):
        if found := alone(lines, task):
            cells = [passed(found, axis, "nominal_cutoff", digits) for axis, digits in (("time", 2), ("frequency", 4))]
            mean = f"{statistics.fmean(accuracy(line) for line in found):.3f}"
            row(task, len(found), mean, *cells, *(folded(found, axis) for axis in ("time", "frequency")))
    table_strides(lines, 600)
    head(
        "seed", "pitch, cycles/band", "instrument, cycles/band", "pitch, folds along mel", "instrument, folds along mel"
    )
    for pair in zip(*(alone(lines, task) for task in ("pitch", "instrument")), strict=False):
        cut_offs = (f"{line['passed']['frequency']['nominal_cutoff']:.4f}" for line in pair)
        row(pair[0]["job"]["seed"], *cut_offs, *(folded([line], "frequency") for line in pair))
    head("task", "one stride for both axes", "one per axis", "runs of each", "difference, 95 %")
    for task in MAIN_TASKS:
        shared, each = (chosen(lines, study="D", task=task, method=method) for method in ("shared", "per block"))
        if shared and each:
            means = (f"{statistics.fmean(map(accuracy, found)):.3f}" for found in (shared, each))
            row(task, *means, len(shared), difference(shared, each))


def table_defaults(lines: Sequence[dict[str, Any]]) -> None:
    """Print what other settings than the default reach from good starts, on the seeds that were run."""
    head("setting", *(f"{task}, test (runs)" for task in MAIN_TASKS))
    for method in ("diffstride", *VARIANTS, "per block"):
        cells = []
        for task in MAIN_TASKS:
            found = chosen(lines, task=task, method=method, start="good", steps=600, weight=0.0)
            cells.append(f"{statistics.fmean(map(accuracy, found)):.3f} ({len(found)})" if found else "")
        if any(cells):
            row("the default" if method == "diffstride" else method, *cells)


def print_tables(results: Path) -> None:
    """Print all tables."""
    lines = read_lines(results)
    print("A: bad starts")
    table_a(lines)
    for steps in (600, 3000):
        print(f"\nB: good starts, {steps} steps")
        table_b(lines, steps)
    table_strides(lines, 3000)
    print("\nC: compute")
    table_c(lines)
    print("\nD: what tasks ask for")
    table_d(lines)
    print("\nthe defaults")
    table_defaults(lines)


def draw_compute(results: Path, target: Path) -> None:
    """Draw accuracy against multiply-adds, with the hull of what strided convolutions reach."""
    lines, figure = read_lines(results), Figure(figsize=(6.4, 3.6), layout="constrained")
    panel = figure.subplots()
    for method, colour, marker, label in (
        ("strided", "#d55e00", "s", "strided convolutions, random integers"),
        ("diffstride", "#0072b2", "o", "DiffStride"),
    ):
        points = sorted(
            (line["n_macs"] / 1e6, accuracy(line)) for line in nets(lines) if line["job"]["method"] == method
        )
        best = list(accumulate((value for _, value in points), max))
        panel.plot([macs for macs, _ in points], best, color=colour, linewidth=1.2, drawstyle="steps-post")
        panel.plot(*zip(*points, strict=True), marker, color=colour, label=label)
    panel.set_xscale("log")
    panel.minorticks_off()
    panel.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    panel.set_xlabel("10⁶ multiply-adds per window of 1 s")
    panel.set_ylabel("test accuracy")
    panel.grid(alpha=0.25, linewidth=0.5, which="both")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="lower right")
    figure.savefig(target, dpi=110)


def draw(results: Path, work: Path) -> None:
    """Draw the pictures of the pages: compute from the results, strides from the runs of D."""
    draw_compute(results, DOCS / "results/compute.png")
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
            shutil.copytree(run, named[-1])
        subprocess.run(["audiostride", "strides", *named, "--plot", DOCS / "strides-by-task.png"], check=True)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    tables = commands.add_parser("tables")
    figures = commands.add_parser("figures")
    figures.add_argument("work", type=Path)
    for command in (tables, figures):
        command.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.command == "tables":
        print_tables(options.results)
    else:
        draw(options.results, options.work)


if __name__ == "__main__":
    main()
