"""How the methods generalise to unseen speakers and instruments: the runs behind docs/study-notes.md.

    python docs/scripts/study.py run DATA RESULTS.jsonl [--shard I/N]   train and score what is missing
    python docs/scripts/study.py table RESULTS.jsonl                    print the tables in Markdown

DATA holds `speech_commands_mini` and `nsynth_mini` in the layouts of the public data sets. Runs are
independent: start several shards side by side, one thread each; a second start goes on where the first
ended.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch

from audiostride.checkpoint import load_run
from audiostride.data.manifest import Clip, write_manifest
from audiostride.datasets import prepare
from audiostride.recipe import load_recipe
from audiostride.run import train_recipe
from audiostride.scoring import score_run

# what the shipped recipe came to after the study
BASE = ["model.dropout=0", "training.steps=600", "training.validate_every=200"]
RECIPE = Path(__file__).parents[2] / "recipes/speech_commands/mini.yaml"
METHODS = ("strided_conv", "spectral_pooling", "diffstride")
SEEDS = (0, 1, 2)
CONDITIONS = {
    # name: (data, methods, settings beside those of the mini recipe)
    "speech, standard": ("speech", METHODS, ["frontend.normalization=standard"]),
    "speech, none": ("speech", METHODS, ["frontend.normalization=none"]),
    "instrument, standard": ("instrument", METHODS, ["frontend.normalization=standard"]),
    "speech, standard, pooling last": (
        "speech",
        METHODS[2:],
        ["frontend.normalization=standard", "model.order=conv_relu_bn_pool"],
    ),
    "speech, standard, per block": (
        "speech",
        METHODS[2:],
        ["frontend.normalization=standard", "model.placement=per_block"],
    ),
    "speech, mean": ("speech", METHODS, ["frontend.normalization=mean"]),
    "speech, standard, ramp outside": (
        "speech",
        METHODS[2:],
        ["frontend.normalization=standard", "model.ramp=outside"],
    ),
}


def instrument_manifest(root: Path, out: Path) -> None:
    """The families of NSynth as a manifest."""
    clips = []
    for split in ("train", "valid", "test"):
        folder = root / f"nsynth-{split}"
        for name, note in sorted(json.loads((folder / "examples.json").read_text()).items()):
            clips.append(Clip(folder / "audio" / f"{name}.wav", split, {"label": note["instrument_family_str"]}))
    write_manifest(out, clips, root)


def manifests(data: Path, folder: Path) -> dict[str, list[str]]:
    """Settings that point the recipe's task to each data set."""
    speech, instrument = folder / "speech.csv", folder / "instrument.csv"
    prepare("speech_commands", data / "speech_commands_mini", speech)
    instrument_manifest(data / "nsynth_mini", instrument)
    return {
        "speech": [f"tasks.words.manifest={speech}"],
        "instrument": [f"tasks.words.manifest={instrument}", f"tasks.words.root={data / 'nsynth_mini'}"],
    }


def run_one(settings: list[str], folder: Path) -> dict[str, object]:
    """Train, then score the best checkpoint on the test split and the last one on both unseen splits."""
    recipe = load_recipe(RECIPE, settings)
    began = time.monotonic()
    for _ in train_recipe(recipe, folder, torch.device("cpu"), overwrite=True):
        pass
    seconds = time.monotonic() - began
    best, last = load_run(folder, "best"), load_run(folder, "last")
    accuracy = {
        "test, best": score_run(best, "test").scores["words"].accuracy,
        "test": score_run(last, "test").scores["words"].accuracy,
        "valid": score_run(last, "valid").scores["words"].accuracy,
    }
    return {"accuracy": accuracy, "seconds": seconds, "strides": last.model.backbone.strides_by_axis()}


def run_all(data: Path, results: Path, shard: str) -> None:
    torch.set_num_threads(1)
    index, n_shards = map(int, shard.split("/"))
    jobs = [
        (condition, method, seed)
        for condition, (_, methods, _) in CONDITIONS.items()
        for seed in SEEDS
        for method in methods
    ]
    done = {tuple(json.loads(line)["job"]) for line in results.read_text().splitlines()} if results.exists() else set()
    with tempfile.TemporaryDirectory() as folder:
        at = manifests(data.absolute(), Path(folder))
        for job in jobs[index::n_shards]:
            if job in done:
                continue
            condition, method, seed = job
            name, _, settings = CONDITIONS[condition]
            settings = [*at[name], *BASE, *settings, f"model.downsampling={method}", f"seed={seed}"]
            line = {"job": job} | run_one(settings, Path(folder) / "run")
            with results.open("a") as file:
                file.write(json.dumps(line) + "\n")


def print_table(results: Path) -> None:
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    print("| data, normalisation | method | seeds | test, best | test, last | valid, last |")
    print("|---|---|---|---|---|---|")
    for condition, (_, methods, _) in CONDITIONS.items():
        for method in methods:
            runs = [line for line in lines if line["job"][:2] == [condition, method]]
            if runs:
                cells = [
                    f"{statistics.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"
                    for name in ("test, best", "test", "valid")
                    for values in [[run["accuracy"][name] for run in runs]]
                ]
                print(f"| {condition} | {method} | {len(runs)} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    run = commands.add_parser("run")
    run.add_argument("data", type=Path)
    run.add_argument("results", type=Path)
    run.add_argument("--shard", default="0/1")
    table = commands.add_parser("table")
    table.add_argument("results", type=Path)
    options = parser.parse_args()
    if options.command == "run":
        run_all(options.data, options.results, options.shard)
    else:
        print_table(options.results)


if __name__ == "__main__":
    main()
