"""Print the table of docs/search.md, and draw its picture.

    python docs/scripts/search_page.py [--results FILE] [--picture FILE]

The results are those of study_search.py beside this.
"""

import argparse
import sys
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parent))
from study_search import METHODS, PICTURE, RESULTS, SEARCHES
from study_strides import TASKS, read_lines

COLOURS = {"diffstride": "C3", "strided": "0.4", "random": "C0", "tpe": "C2"}
TERA = 1e12
AXES = {"n_macs": "multiply-adds of forward passes, 10^12", "seconds": "minutes of one processor"}
CAPTION = "Star: DiffStride. Square: strided convolutions. Pale: trials that validation did not choose."


def best_so_far(lines: list[dict[str, Any]], compute: str) -> tuple[list[float], list[float]]:
    """Give compute spent, and the test accuracy of the trial that is the best by the split valid until then."""
    spent = list(accumulate(line[compute] for line in lines))
    best = accumulate(lines, lambda a, b: b if b["accuracy"]["valid"] > a["accuracy"]["valid"] else a)
    return spent, [line["accuracy"]["test"] for line in best]


def draw(axes: Axes, lines: list[dict[str, Any]], compute: str) -> None:
    """Draw the searches as curves, and single trainings as points."""
    scale = TERA if compute == "n_macs" else 60
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
                markerfacecolor="none" if method == "strided" else None,  # the star may lie below
                label=label,
            )


def plot(results: Path, picture: Path) -> None:
    """Draw best-so-far accuracy against compute, and print a table of what each method reached."""
    lines = read_lines(results)
    tasks = [task for task in TASKS if any(line["job"]["task"] == task for line in lines)]
    is_timed = all("seconds" in line for line in lines)
    axes_names = AXES if is_timed else {"n_macs": AXES["n_macs"]}
    figure = Figure(figsize=(4.5 * len(tasks), 3.5 * len(axes_names)), layout="constrained")
    grid = figure.subplots(len(axes_names), len(tasks), squeeze=False)
    print("| task | method | trainings | steps each | multiply-adds, 10^12 | minutes of one processor | valid | test |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for column, task in enumerate(tasks):
        of_task = [line for line in lines if line["job"]["task"] == task]
        for axes, (compute, label) in zip(grid[:, column], axes_names.items(), strict=True):
            draw(axes, of_task, compute)
            axes.set_xlabel(label)
            axes.set_ylabel("test accuracy of the best by valid")
        grid[0, column].set_title(task)
        for method in METHODS:
            of_method = [line for line in of_task if line["job"]["method"] == method]
            if of_method:
                print_row(task, method, of_method, is_timed=is_timed)
    grid[0, 0].legend(fontsize="small")
    figure.text(0.01, -0.01, CAPTION, fontsize="small", va="top")
    figure.savefig(picture, dpi=100, bbox_inches="tight")


def print_row(task: str, method: str, lines: list[dict[str, Any]], *, is_timed: bool) -> None:
    """Print what a method has spent, and reached."""
    best = max(lines, key=lambda line: line["accuracy"]["valid"])
    macs = sum(line["n_macs"] for line in lines) / TERA
    minutes = f"{sum(line['seconds'] for line in lines) / 60:.1f}" if is_timed else "not measured"
    cells = [task, method, len(lines), lines[0]["job"]["steps"], f"{macs:.2f}", minutes]
    cells += [f"{best['accuracy'][split]:.3f}" for split in ("valid", "test")]
    print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    plot(options.results, options.picture)


if __name__ == "__main__":
    main()
