"""Training and prediction killed at any moment: what goes on afterwards ends as what was never interrupted."""

import functools
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from audiostride.runs.folder import RunFolder
from tests.fuzz.materials import Materials
from tests.fuzz.outcome import Failed, Outcome
from tests.fuzz.processes import start

Command = tuple[object, ...]

END_S = 120
N_STEPS = 16
N_COPIES = 6  # of the recordings, so that a prediction lasts long enough to be killed
OWN = (".lock", "environment.json", ".predict")  # times and states, which are no results


def _finish(log: Path, *arguments: object) -> float:
    """Run the program to its end; return how long it took."""
    begin = time.monotonic()
    process = start(log, *arguments)
    process.join(END_S)
    if process.exitcode is None:
        process.kill()
        raise Failed(f"no end within {END_S} s: {log.read_text()[-2000:]}")
    Outcome(process.exitcode, "", log.read_text()).check()
    if process.exitcode:
        raise Failed(f"exit code {process.exitcode}: {log.read_text()[-2000:]}")
    return time.monotonic() - begin


def _kill(log: Path, after_s: float, *arguments: object) -> None:
    process = start(log, *arguments)
    process.join(after_s)
    process.kill()
    process.join()


def _results(folder: Path) -> dict[str, bytes]:
    """Read what a run or a prediction is: weights and temperatures, or tables, a picture and clips."""
    names = ("**/*.safetensors", "calibration.json", "*.csv", "*.jsonl", "**/*.txt", "hours.png", "clips/*/*.wav")
    files = sorted({path for name in names for path in folder.glob(name)})
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if path.name != "metrics.jsonl" and not set(path.relative_to(folder).parts) & set(OWN)
    }


def _train(materials: Materials, run: Path) -> Command:
    """Train, or go on with what there is."""
    options = (
        "--set",
        f"training.steps={N_STEPS}",
        "--device",
        "cpu",
        *(["--resume"] if RunFolder(run).exists() else []),
    )
    return "train", materials.recipe, "--run-dir", run, *options


def _predict(materials: Materials, out: Path, form: str) -> Command:
    return (
        "predict",
        materials.checkpoint,
        _many_recordings(materials),
        "--out",
        out,
        "--format",
        form,
        "--hop-s",
        "0.02",
        "--clips",
        out / "clips",
        "--clips-per-class",
        "20",
    )


@functools.cache
def _many_recordings(materials: Materials) -> Path:
    folder = materials.folder / "many"
    for i in range(N_COPIES):
        shutil.copytree(materials.manifest.parent, folder / str(i), dirs_exist_ok=True)
        for path in sorted((folder / str(i)).rglob("*.wav")):
            path.rename(path.with_name(f"{path.stem}_20240501_{i:02}5959.wav"))
    return folder


@functools.cache
def _whole_run(materials: Materials) -> tuple[float, dict[str, bytes]]:
    run = materials.folder / "whole-run"
    seconds = _finish(materials.folder / "whole-run.log", *_train(materials, run))
    return seconds, _results(run)


@functools.cache
def _whole_prediction(materials: Materials, form: str) -> tuple[float, dict[str, bytes]]:
    out = materials.folder / f"whole-{form}"
    seconds = _finish(materials.folder / f"{out}.log", *_predict(materials, out, form))
    return seconds, _results(out)


def _compare(results: dict[str, bytes], whole: dict[str, bytes]) -> None:
    if not whole:
        raise Failed("nothing was written")
    names = [name for name in whole.keys() | results.keys() if whole.get(name) != results.get(name)]
    if names:
        raise Failed(f"differ from what was never interrupted: {', '.join(sorted(names))}")


def _kill_often(rng: Random, target: Path, seconds: float, command: Callable[[Path], Command]) -> dict[str, bytes]:
    """Kill the program up to three times, let it end, and read what it leaves."""
    log = target.with_name("log")
    for _ in range(rng.randint(1, 3)):
        _kill(log, rng.uniform(0, seconds), *command(target))
    _finish(log, *command(target))
    return _results(target)


def attempt(rng: Random, materials: Materials, folder: Path) -> None:
    """Kill training or a prediction, and compare what it ends with."""
    if rng.random() < 0.5:
        seconds, whole = _whole_run(materials)
        results = _kill_often(rng, folder / "out", seconds, lambda run: _train(materials, run))
    else:
        form = rng.choice(("csv", "jsonl", "raven", "audacity"))
        seconds, whole = _whole_prediction(materials, form)
        results = _kill_often(rng, folder / "out", seconds, lambda out: _predict(materials, out, form))
    _compare(results, whole)
