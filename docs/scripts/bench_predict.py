"""How fast `predict` is against a plain loop, and how much memory a long recording takes.

    python docs/scripts/bench_predict.py RUN [--onnx MODEL.onnx] [--repetitions 3] [--long-hours 6]

Renders recordings of noise at 16 kHz into a temporary folder: clips of 1 s and recordings of 60 s. Then prints how
many hours of them a minute of computing does, medians of interleaved repetitions: `predict_into` (what the command
calls, files and tables included), and loops of librosa.load and the model of the run, called once per recording with
all its windows, and once per window. All cut the same windows, one every half second. Last, the peak of resident
memory of the command for a recording of a minute and for one of many hours, each in a process of its own.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import soundfile as sf
import torch

from audiostride.data.consecutive import consecutive_windows
from audiostride.loading import load_model
from audiostride.models.classifier import AudioClassifier
from audiostride.prediction.folder import Settings, predict_into
from audiostride.prediction.model import WindowModel
from audiostride.runs.checkpoint import load_run

RATE = 16000
SETS = {"clips of 1 s": (2000, 1), "recordings of 60 s": (4, 60)}  # how many, seconds


def render(folder: Path, n_files: int, seconds: int) -> list[Path]:
    rng = np.random.default_rng(0)
    folder.mkdir()
    paths = [folder / f"{i:04}.wav" for i in range(n_files)]
    for path in paths:
        sf.write(path, rng.integers(-3000, 3000, seconds * RATE).astype(np.int16), RATE)
    return paths


def predicting(model: WindowModel, paths: list[Path], out: Path) -> None:
    settings = Settings("csv", tuple(model.classes), RATE, RATE // 2, 3, 0.0)
    for _ in predict_into(model, paths, out, settings, n_threads=2):
        pass
    shutil.rmtree(out)


@torch.inference_mode()
def looping(model: AudioClassifier, paths: list[Path], per_window: bool) -> None:
    for path in paths:
        samples, _ = librosa.load(path, sr=RATE)
        windows = torch.from_numpy(np.stack(list(consecutive_windows([samples], RATE, RATE // 2))))
        calls = windows.split(1) if per_window else [windows]
        for logits in zip(*(model(call).values() for call in calls), strict=True):
            torch.cat(logits).mean(0).softmax(0)


def peak_mib(run: Path, recording: Path, out: Path) -> float:
    """Of the command, in a process of its own."""
    command = [sys.executable, "-m", "audiostride.cli.main", "predict", str(run), str(recording), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"audiostride predict ended with {status}")
    return usage.ru_maxrss / 1024


def print_memory(run: Path, folder: Path, long_hours: float) -> None:
    peaks = []
    for name, seconds in (("1 minute", 60), (f"{long_hours:g} hours", round(3600 * long_hours))):
        path = folder / "long.wav"
        with sf.SoundFile(path, "w", RATE, 1) as file:
            for _ in range(seconds // 60):
                file.write(np.zeros(60 * RATE, np.int16))
        began = time.perf_counter()
        peaks.append(peak_mib(run, path, folder / name))
        print(f"peak memory, {name}: {peaks[-1]:.0f} MiB, in {time.perf_counter() - began:.0f} s", flush=True)
    print(f"{peaks[1] - peaks[0]:.0f} MiB more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--onnx", type=Path)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--long-hours", type=float, default=6.0)
    options = parser.parse_args()
    model, plain = load_model(options.run, "cpu"), load_run(options.run).model
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{os.cpu_count()} processors, {torch.get_num_threads()} threads of torch, {options.repetitions} times\n")
        for title, (n_files, seconds) in SETS.items():
            paths = render(folder / title, n_files, seconds)
            ways: dict[str, Callable[[list[Path]], None]] = {
                "predict": lambda paths: predicting(model, paths, folder / "out"),
                "loop, a call per recording": lambda paths: looping(plain, paths, per_window=False),
                "loop, a call per window": lambda paths: looping(plain, paths, per_window=True),
            }
            if options.onnx is not None:
                exported = load_model(options.onnx)
                ways["predict, ONNX"] = lambda paths, exported=exported: predicting(exported, paths, folder / "out")
            spent: dict[str, list[float]] = {way: [] for way in ways}
            for way in ways.values():
                way(paths[:2])
            for _ in range(options.repetitions):
                for way, call in ways.items():
                    began = time.perf_counter()
                    call(paths)
                    spent[way].append(time.perf_counter() - began)
            hours = n_files * seconds / 3600
            print(f"| {n_files} {title} | hours a minute | predict is faster by |\n|---|---|---|")
            fastest = statistics.median(spent["predict"])
            for way, times in spent.items():
                median = statistics.median(times)
                print(f"| {way} | {60 * hours / median:.2f} | {median / fastest:.1f} |", flush=True)
            print()
        print_memory(options.run, folder, options.long_hours)


if __name__ == "__main__":
    main()
