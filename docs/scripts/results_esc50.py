"""ESC-50, cross-validated with three ways to downsample; the results are lines of docs/results/esc50.jsonl.

    python docs/scripts/results_esc50.py run DATA WORK [--folds ...] [--methods ...] [--seeds ...] [--set KEY=VALUE ...]
    python docs/scripts/results_esc50.py table

DATA is a folder in the layout of ESC-50. WORK keeps the manifest, decoded clips and runs. A run trains
`recipes/esc50/mini.yaml` on all folds but one, on one thread, and its last checkpoint is scored on that fold. What the
results tell of is not done again, and a run that was stopped goes on from its last checkpoint. `--set` changes the
recipe, and the results tell so.
"""

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from audiostride.build import window_size
from audiostride.datasets import prepare
from audiostride.evaluation.spread import Spread
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from audiostride.runs.scoring import score_run
from audiostride.strides.advice import count_window_macs
from audiostride.sweeps.crossval import find_folds, fold_variants
from audiostride.sweeps.variants import file_name
from audiostride.training.run import train_recipe

HERE = Path(__file__).parent
RECIPE = HERE.parents[1] / "recipes/esc50/mini.yaml"
RESULTS = HERE.parent / "results/esc50.jsonl"
METHODS = {"strided": "strided_conv", "spectral": "spectral_pooling", "diffstride": "diffstride"}


def read_lines() -> list[dict[str, Any]]:
    """Read what is done."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def train(recipe: Recipe, folder: Path) -> float:
    """Train to the end, or go on with it; give the seconds of processor time in all."""
    spent = folder.parent / f"{folder.name}.seconds"
    resume = RunFolder(folder).last.exists()
    before = float(spent.read_text()) if resume else 0.0
    began = time.process_time()
    for event in train_recipe(recipe, folder, "cpu", resume=resume, overwrite=not resume):
        if getattr(event, "step", 0) % recipe.training.log_every == 0:
            spent.write_text(str(before + time.process_time() - began))
    return before + time.process_time() - began


def read(folder: Path) -> dict[str, Any]:
    """Score a run on its test fold, and read its strides and its cost."""
    run = load_run(folder, "last")
    score = score_run(run, "test").scores["sound"]
    strides = run.model.strided_backbone.strides_by_axis()
    return {
        "accuracy": score.accuracy,
        "n_files": score.n_files,
        "n_macs": count_window_macs(run.model, window_size(run.recipe)),
        "n_parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "strides": {axis: [round(stride, 3) for stride in values] for axis, values in strides.items()},
    }


def run_all(
    data: Path, work: Path, folds: Sequence[str], methods: Sequence[str], seeds: Sequence[int], settings: Sequence[str]
) -> None:
    """Train what no line of the results tells of, fold after fold."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    manifest = work.absolute() / "manifest.csv"
    if not manifest.exists():
        prepare("esc50", data.absolute(), manifest)
    common = [f"tasks.sound.manifest={manifest}", f"data.cache_dir={work.absolute() / 'cache'}"]
    known = find_folds(load_recipe(RECIPE, common), "none")
    for seed, fold, method in product(seeds, folds or known, methods):
        (variant,) = fold_variants([fold], known, "none")
        own = [f"model.downsampling={METHODS[method]}", f"seed={seed}"]
        recipe = load_recipe(RECIPE, [*common, *settings, *variant.settings, *own])
        job = {"method": method, "fold": fold, "seed": seed, "n_folds": len(known), "settings": list(settings)}
        if any(job.items() <= line.items() for line in read_lines()):
            continue
        folder = work / file_name("-".join((method, fold, str(seed), *settings)))
        cpu_s = train(recipe, folder)
        line = job | {"steps": recipe.training.steps, "cpu_s": round(cpu_s, 1)} | read(folder)
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")


def rows(lines: Iterable[dict[str, Any]]) -> Iterator[list[str]]:
    """Give a row of the table per method, seed and settings, over the folds."""
    of_run: dict[tuple[tuple[str, ...], str, int, int, int], list[dict[str, Any]]] = {}
    for line in lines:
        of_run.setdefault(
            (tuple(line["settings"]), line["method"], line["seed"], line["n_folds"], line["steps"]), []
        ).append(line)
    for (settings, method, seed, n_folds, steps), of_folds in sorted(of_run.items()):
        of_folds.sort(key=lambda line: line["fold"])
        spread = Spread(tuple(line["accuracy"] for line in of_folds))
        yield [
            method,
            ", ".join(f"`{setting}`" for setting in settings if not setting.startswith("training.steps=")) or "-",
            f"{steps:,}",
            str(seed),
            f"{len(of_folds)} of {n_folds}",
            ", ".join(f"{value:.3f}" for value in spread.values),
            f"{spread.mean:.3f}",
            "-" if spread.deviation is None else f"{spread.deviation:.3f}",
            f"{sum(line['cpu_s'] for line in of_folds) / len(of_folds) / 60:.1f}",
            f"{sum(line['n_macs'] for line in of_folds) / len(of_folds) / 1e6:.0f}",
        ]


def print_table() -> None:
    """Print the results in Markdown."""
    titles = (
        "method | other settings | steps | seed | folds | accuracy of each | mean | deviation | CPU minutes | "
        "10^6 multiply-adds a window"
    )
    print(f"| {titles} |\n|{' --- |' * (titles.count('|') + 1)}")
    for row in rows(read_lines()):
        print(f"| {' | '.join(row)} |")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("data", type=Path)
    run.add_argument("work", type=Path)
    run.add_argument("--folds", nargs="+", default=())
    run.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    run.add_argument("--seeds", nargs="+", type=int, default=[0])
    run.add_argument("--set", nargs="+", default=[], dest="settings", metavar="KEY=VALUE")
    commands.add_parser("table")
    options = parser.parse_args()
    if options.command == "run":
        run_all(options.data, options.work, options.folds, options.methods, options.seeds, options.settings)
    print_table()


if __name__ == "__main__":
    main()
