"""Measure fresh installs: bytes of the environment, and how long `audiostride --help` and `audiostride predict` take.

    python docs/scripts/measure_installs.py --model model.onnx --markdown docs/results/installs.md
    python docs/scripts/measure_installs.py --model model.onnx --whole .venv    # an environment that is there

Every install goes into a new virtual environment below --work. The recording that is predicted is a minute of noise.
With --whole the files of audiostride[onnx] and of what it requires are added up in an environment that may hold more.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf

ROOT = Path(__file__).parents[2]
INSTALLS = {
    "audiostride-runtime": f"{ROOT / 'packaging/runtime'}",
    "audiostride-runtime[serve]": f"{ROOT / 'packaging/runtime'}[serve]",
    "audiostride[onnx]": f"{ROOT}[onnx]",
}
N_RUNS = 5
# what is installed, and no tree beside it
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
REQUIRED_BYTES = """
from importlib.metadata import distribution
from packaging.requirements import Requirement

todo, seen, sizes = [("audiostride", "onnx")], set(), {}
while todo:
    name, extra = todo.pop()
    if (name.lower(), extra) in seen:
        continue
    seen.add((name.lower(), extra))
    found = distribution(name)
    paths = [path.locate() for path in found.files or ()]
    sizes[found.metadata["Name"]] = sum(path.stat().st_size for path in paths if path.is_file())
    for needed in map(Requirement, found.requires or ()):
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            todo += [(needed.name, extra_of_it) for extra_of_it in ("", *needed.extras)]
print(sum(sizes.values()))
"""


def install(requirement: str, folder: Path) -> Path:
    """Make an environment and install into it; from the folder of the tree, not in editable mode."""
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", requirement], check=True)
    return folder


def megabytes(folder: Path) -> float:
    """Add the sizes of all files; those with several names count once."""
    sizes = {(stat.st_dev, stat.st_ino): stat.st_size for path in folder.rglob("*") if (stat := path.lstat())}
    return sum(sizes.values()) / 1e6


def required_megabytes(folder: Path) -> float:
    """Add the sizes of audiostride[onnx] and of all that it requires in an environment that may hold more."""
    command = [folder / "bin/python", "-c", REQUIRED_BYTES]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1e6


def seconds(command: Sequence[str | Path], cwd: Path) -> float:
    """Run a command a few times; the fastest."""
    times = []
    for _ in range(N_RUNS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=cwd, env=ENVIRONMENT)
        times.append(time.perf_counter() - began)
    return min(times)


def rows(work: Path, model: Path, whole: Path | None) -> Iterator[str]:
    """Yield the rows of the table, one for each install."""
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * 16000).clip(-1, 1)
    sf.write(work / "noise.wav", noise, 16000)
    for name, requirement in INSTALLS.items():
        is_whole = name.startswith("audiostride[")
        folder = whole if is_whole and whole else install(requirement, work / name.replace("[", "-").rstrip("]"))
        program = folder.absolute() / "bin/audiostride"
        predict = [program, "predict", model.absolute(), "noise.wav", "--out", "results", "--overwrite"]
        size = required_megabytes(folder) if folder == whole else megabytes(folder)
        numbers = f"{size:.0f} | {seconds([program, '--help'], work):.2f} | {seconds(predict, work):.2f}"
        yield f"| `{name}` | {numbers} |"


def main() -> None:
    """Install, measure, and print a table."""
    about, _, _ = __doc__.partition("\n\n    ")
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--model", type=Path, help="a model that audiostride export wrote", required=True)
    parser.add_argument("--work", type=Path, help="folder for the environments; by default one that is removed")
    parser.add_argument("--whole", type=Path, help="an environment with audiostride[onnx], in place of a new one")
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        lines = ["| install | MB | `--help` in s | `predict` of a minute in s |", "|---|---|---|---|"]
        for row in rows(work, arguments.model, arguments.whole):
            lines.append(row)
            print(row, file=sys.stderr)
    text = "\n".join(lines)
    print(text)
    if arguments.markdown:
        head = (
            "# Sizes and start-up times of the installs\n\nMade by `docs/scripts/measure_installs.py`, the fastest of"
        )
        arguments.markdown.write_text(f"{head} {N_RUNS} runs.\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
