"""Learned strides of ResNet-18 on images: three ways to downsample from six initial strides.

    python examples/cifar/cifar_study.py run cifar10 cifar-10-binary.tar.gz [--seeds 3] [--device cuda]
    python examples/cifar/cifar_study.py run cifar100 cifar-100-binary.tar.gz [--seeds 3] [--device cuda]
    python examples/cifar/cifar_study.py run digits [--seeds 1]
    python examples/cifar/cifar_study.py table digits

The data sets of CIFAR are trained by the protocol of the paper; the digits of scikit-learn are a small form of it for a
CPU. A line is added to the file of results when a training is done, and what has a line is not trained again. Several
processes may work side by side.
"""

import argparse
import contextlib
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from cifar_images import CIFAR_FILES, Images, load_cifar, load_digits
from cifar_training import ImageClassifier, Protocol, accuracy, train_epochs
from filelock import FileLock, Timeout

from audiostride.errors import UserError
from audiostride.vocabulary import Downsampling

HERE = Path(__file__).parent
STARTS = ((2, 2, 2), (2, 2, 3), (1, 3, 1), (3, 1, 3), (3, 1, 2), (3, 2, 3))  # of the paper, one stride per stage
WAYS: dict[Downsampling, str] = {
    "strided_conv": "strided convolutions",
    "spectral_pooling": "spectral pooling",
    "diffstride": "DiffStride",
}
PROTOCOLS = {
    "cifar10": Protocol(),
    "cifar100": Protocol(),
    # the maps of the paper's ramp would be as large as the digits themselves, so the ramp folds
    "digits": Protocol(
        epochs=40,
        decay_epochs=(20, 30),
        batch_size=64,
        learning_rate=0.1,
        stride_learning_rate=0.01,
        weight_decay=5e-4,
        padding=1,
        flip=False,
        width=0.125,
        ramp="folded",
    ),
}


@dataclass(frozen=True)
class Job:
    """One training."""

    data_set: str
    method: Downsampling
    start: tuple[int, ...]
    seed: int


def jobs(data_set: str, n_seeds: int) -> Iterator[Job]:
    """List the trainings, all methods of a start one after the other."""
    for seed in range(n_seeds):
        for start in STARTS:
            yield from (Job(data_set, method, start, seed) for method in WAYS)


def read_lines(results: Path) -> list[dict[str, Any]]:
    """Read what is done."""
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def _key(job: Job) -> dict[str, Any]:
    return asdict(job) | {"start": list(job.start)}


def train(job: Job, images: Images, protocol: Protocol, device: torch.device) -> dict[str, Any]:
    """Train one network and test it."""
    torch.manual_seed(job.seed)
    n_channels = images.train_x.shape[1]
    model = ImageClassifier(job.method, job.start, protocol, n_channels, images.n_classes).to(device)
    *_, loss = train_epochs(model, images, protocol, job.seed, device)
    found = accuracy(model, images.test_x, images.test_y, device)
    strides = model.backbone.strides_by_axis()
    return {"accuracy": found, "loss": loss, "rows": strides["frequency"], "columns": strides["time"]}


def run(data_set: str, images: Images, protocol: Protocol, results: Path, n_seeds: int, device: torch.device) -> None:
    """Train what no line of `results` tells of."""
    for job in jobs(data_set, n_seeds):
        name = "-".join(map(str, (job.data_set, job.method, *job.start, job.seed)))
        with contextlib.suppress(Timeout), FileLock(results.with_name(f".{name}.lock"), timeout=0):
            if _key(job) in [line["job"] for line in read_lines(results)]:
                continue
            line = {"job": _key(job), **train(job, images, protocol, device)}
            with FileLock(results.with_name(f".{results.name}.lock")), results.open("a") as file:
                file.write(json.dumps(line) + "\n")


def _cell(values: Sequence[float]) -> str:
    mean = f"{100 * statistics.fmean(values):.1f}"
    return mean if len(values) < 2 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def table(lines: Sequence[dict[str, Any]], data_set: str) -> str:
    """Write the table of a data set: accuracy in per cent, mean and standard deviation over trainings."""
    of_set = [line for line in lines if line["job"]["data_set"] == data_set]
    rows = [f"| initial strides | {' | '.join(WAYS.values())} |", "|---|--:|--:|--:|"]
    of_method: dict[str, list[float]] = {method: [] for method in WAYS}
    for start in STARTS:
        cells = []
        for method in WAYS:
            found = [
                line["accuracy"]
                for line in of_set
                if (line["job"]["method"], tuple(line["job"]["start"])) == (method, start)
            ]
            of_method[method] += found
            cells.append(_cell(found) if found else "-")
        rows.append(f"| {start} | {' | '.join(cells)} |")
    cells = [_cell(values) if values else "-" for values in of_method.values()]
    rows.append(f"| mean over all | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("run", help="train what is not done yet")
    training.add_argument("data_set", choices=PROTOCOLS)
    training.add_argument("archive", type=Path, nargs="?", help="of CIFAR, or its folder")
    training.add_argument("--seeds", type=int, default=1)
    training.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    printing = commands.add_parser("table", help="print the table of what is done")
    printing.add_argument("data_set", choices=PROTOCOLS)
    for command in (training, printing):
        command.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    options = parser.parse_args()
    if options.command == "table":
        print(table(read_lines(options.results), options.data_set), end="")
        return
    if (options.archive is None) == (options.data_set in CIFAR_FILES):
        parser.error("the data sets of CIFAR need their archive, the digits have none")
    try:
        images = load_digits() if options.archive is None else load_cifar(options.data_set, options.archive)
        run(options.data_set, images, PROTOCOLS[options.data_set], options.results, options.seeds, options.device)
    except UserError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
