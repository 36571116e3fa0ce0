"""How the methods generalise to unseen speakers and instruments: the runs behind docs/results/front-end.md.

    python docs/scripts/study.py run DATA RESULTS.jsonl   train and score what is missing
    python docs/scripts/study.py table RESULTS.jsonl      print the tables in Markdown

DATA holds `speech_commands_mini` and `nsynth_mini` in the layouts of the public data sets. Runs are
independent: start several side by side with the same RESULTS, one thread each; none does what another has
begun, and a second start goes on where the first ended.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from audiostride.data.manifest import Clip, write_manifest
from audiostride.datasets import prepare
from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import load_run
from audiostride.runs.scoring import score_run
from audiostride.training.run import train_recipe

BASE = ["training.steps=600", "training.validate_every=300", "model.ramp=inside", "model.smoothness=2"]
RECIPE = Path(__file__).parents[2] / "recipes/speech_commands/mini.yaml"
METHODS = ("strided_conv", "spectral_pooling", "diffstride")
SEEDS = (0, 1, 2)
SMOOTHNESS_4 = "model.smoothness=4"
STANDARD, WHOLE_RANGE, NO_NOISE = (
    "frontend.normalization=standard",
    "frontend.top_db=null",
    "augmentation.noise_snr_db=null",
)
CONDITIONS = {
    # name: (data, methods, settings beside those of the mini recipe)
    "speech": ("speech", METHODS, []),
    # the same again: results of the other conditions are older than the layer's mixing of channels after resampling
    "speech, channels mixed after resampling": ("speech", METHODS[::2], []),
    "speech, smoothness 1": ("speech", METHODS[2:], ["model.smoothness=1"]),
    "speech, smoothness 4": ("speech", METHODS[2:], [SMOOTHNESS_4]),
    "instrument": ("instrument", METHODS, []),
    "speech, no noise": ("speech", METHODS[:1], [NO_NOISE]),
    "speech, strides frozen": ("speech", ("fixed_stride",), []),
    "speech, pooling last": ("speech", METHODS[2:], ["model.order=conv_relu_bn_pool"]),
    "speech, per block": ("speech", METHODS[2:], ["model.placement=per_block"]),
    "speech, standardised": ("speech", METHODS, [STANDARD, SMOOTHNESS_4]),
    "speech, standardised, whole range, no noise": (
        "speech",
        METHODS,
        [STANDARD, WHOLE_RANGE, NO_NOISE, SMOOTHNESS_4],
    ),
    "speech, not normalised, whole range, no noise": (
        "speech",
        METHODS[:1],
        ["frontend.normalization=none", WHOLE_RANGE, NO_NOISE],
    ),
    "speech, ramp outside": ("speech", METHODS[2:], ["model.ramp=outside"]),
}


def instrument_manifest(root: Path, out: Path) -> None:
    """The families of NSynth as a manifest."""
    clips = []
    for split in ("train", "valid", "test"):
        folder = root / f"nsynth-{split}"
        for name, note in sorted(json.loads((folder / "examples.json").read_text()).items()):
            clips.append(Clip(folder / "audio" / f"{name}.wav", split, {"label": note["instrument_family_str"]}))
    write_manifest(out, clips)


def manifests(data: Path, folder: Path) -> dict[str, Path]:
    """The manifest of each data set."""
    speech, instrument = folder / "speech.csv", folder / "instrument.csv"
    prepare("speech_commands", data / "speech_commands_mini", speech)
    instrument_manifest(data / "nsynth_mini", instrument)
    return {"speech": speech, "instrument": instrument}


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


def run_all(data: Path, results: Path) -> None:
    torch.set_num_threads(1)
    jobs = [
        (condition, method, seed)
        for condition, (_, methods, _) in CONDITIONS.items()
        for seed in SEEDS
        for method in methods
    ]
    with tempfile.TemporaryDirectory() as folder:
        at = manifests(data.absolute(), Path(folder))
        for condition, method, seed in jobs:
            lock = FileLock(Path(tempfile.gettempdir(), f"study {condition} {method} {seed}.lock"), timeout=0)
            with contextlib.suppress(Timeout), lock:
                if [condition, method, seed] in [line["job"] for line in read_lines(results)]:
                    continue
                name, _, settings = CONDITIONS[condition]
                settings = [f"tasks.words.manifest={at[name]}", *BASE, *settings]
                settings += [f"model.downsampling={method}", f"seed={seed}"]
                line = {"job": (condition, method, seed)} | run_one(settings, Path(folder) / "run")
                with results.open("a") as file:
                    file.write(json.dumps(line) + "\n")


def read_lines(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def print_table(results: Path) -> None:
    lines = read_lines(results)
    print("| data, settings | method | runs | test, best | test, last | valid, last |")
    print("|---|---|---|---|---|---|")
    for condition, (_, methods, _) in CONDITIONS.items():
        for method in methods:
            runs = [line for line in lines if line["job"][:2] == [condition, method]]
            if runs:
                cells = [_spread([run["accuracy"][name] for run in runs]) for name in ("test, best", "test", "valid")]
                print(f"| {condition} | {method} | {len(runs)} | {' | '.join(cells)} |")


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    run = commands.add_parser("run")
    run.add_argument("data", type=Path)
    run.add_argument("results", type=Path)
    table = commands.add_parser("table")
    table.add_argument("results", type=Path)
    options = parser.parse_args()
    if options.command == "run":
        run_all(options.data, options.results)
    else:
        print_table(options.results)


if __name__ == "__main__":
    main()
