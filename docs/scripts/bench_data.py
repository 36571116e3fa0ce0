"""How fast windows come, how fast a scan is, and what memory a large cache takes.

    python docs/scripts/bench_data.py [--device cuda] [--files 8000] [--repetitions 5]

Renders WAV files of 4 s of noise at 16 kHz into a temporary folder, then prints, medians of interleaved repetitions:
one-second windows per second from a cold cache (decoding), from a warm one, from one in the memory of a device, and
with soundfile reading each window from its WAV; the time of a scan against that of decoding alone; and the resident
memory while windows are drawn from a sparse cache of 10 GB.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile as sf
import torch

from audiostride.data.batches import Source, TaskBatches, prefetch
from audiostride.data.cache import pack_audio
from audiostride.data.manifest import Clip, Manifest, read_manifest, write_manifest
from audiostride.data.packed import PackedClip, PackedFile, Samples
from audiostride.data.scan import scan_manifest
from audiostride.data.windows import RandomWindows

RATE, SECONDS, BATCH, N_BATCHES = 16000, 4, 256, 200
N_WORKERS = os.cpu_count() or 1


def windows_per_s(batches: TaskBatches) -> float:
    began = time.perf_counter()
    rows = sum(len(batch.waveform) for batch in prefetch(batches, range(N_BATCHES), N_WORKERS))
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return rows / (time.perf_counter() - began)


def batches_of(clips: list[Samples], device: str = "cpu") -> TaskBatches:
    windows = RandomWindows(clips, RATE, seed=0, device=torch.device(device))
    return TaskBatches([Source(windows, {"task": torch.zeros(len(clips), dtype=torch.int64)})], BATCH)


def cold(paths: list[Path], folder: Path) -> float:
    """Windows per second if each were used once."""
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    pack_audio(paths, RATE, folder)
    return len(paths) * SECONDS / (time.perf_counter() - began)


def from_files(paths: list[Path]) -> float:
    rng, n_windows = np.random.default_rng(0), 4 * BATCH
    began = time.perf_counter()
    for index, start in zip(rng.integers(0, len(paths), n_windows), rng.integers(0, 3 * RATE, n_windows), strict=True):
        sf.read(paths[index], RATE, int(start), dtype="int16")
    return n_windows / (time.perf_counter() - began)


def decoding(paths: list[Path]) -> float:
    """Seconds to decode all files."""
    began = time.perf_counter()
    for path in paths:
        sf.read(path, dtype="float32")
    return time.perf_counter() - began


def scanning(manifest: Manifest) -> float:
    began = time.perf_counter()
    scan_manifest(manifest, n_workers=1)
    return time.perf_counter() - began


def run_s(*command: str) -> float:
    """Seconds that a program takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def resident_mib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024


def print_memory(folder: Path, n_bytes: int = 10 * 2**30) -> None:
    """Draw windows from ten-minute clips that fill a sparse file."""
    path = folder / "sparse.i16"
    with path.open("wb") as file:
        file.truncate(n_bytes)
    n_clip = 600 * RATE
    file = PackedFile(path)
    clips = [PackedClip(file, first, n_clip) for first in range(0, n_bytes // 2 - n_clip, n_clip)]
    batches, seen = batches_of(list(clips)), []
    for step, _ in enumerate(prefetch(batches, range(2000), N_WORKERS)):
        if step % 500 == 100:
            seen.append(resident_mib())
    print(f"resident memory while 2,000 batches of {BATCH} are drawn from {n_bytes / 2**30:.0f} GiB: {seen} MiB")


def print_medians(title: str, unit: str, ways: dict[str, Callable[[], float]], repetitions: int) -> None:
    results: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, way in ways.items():
            results[name].append(way())
    print(f"| {title} | {unit} |\n|---|---|")
    for name, values in results.items():
        print(f"| {name} | {statistics.median(values):,.1f} |")
    print()


def render(folder: Path, n_files: int) -> Iterable[Path]:
    rng = np.random.default_rng(0)
    for i in range(n_files):
        path = folder / f"{i}.wav"
        sf.write(path, rng.integers(-3000, 3000, SECONDS * RATE).astype(np.int16), RATE)
        yield path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=None)
    parser.add_argument("--files", type=int, default=8000)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = list(render(folder, options.files))
        packed = list(pack_audio(paths, RATE, folder / "warm").samples.values())
        warm = batches_of(list(packed))
        ways = {
            "cold cache, decoding": lambda: cold(paths, folder / "cold"),
            "warm cache": lambda: windows_per_s(warm),
            "soundfile, each window from its WAV": lambda: from_files(paths),
        }
        if options.device is not None:
            on_device = batches_of(list(packed), options.device)
            ways[f"cache on {options.device}"] = lambda: windows_per_s(on_device)
        print(f"{N_WORKERS} processors, {options.files} files of {SECONDS} s, batches of {BATCH} windows of 1 s\n")
        print_medians("windows from", "windows per s", ways, options.repetitions)
        write_manifest(folder / "m.csv", [Clip(path, "train") for path in paths])
        manifest = read_manifest(folder / "m.csv")
        times = {
            "decoding alone, one process": lambda: decoding(paths),
            "scan, one process": lambda: scanning(manifest),
            f"the command audiostride scan, {N_WORKERS} processes": lambda: run_s(
                "audiostride", "scan", str(folder / "m.csv")
            ),
        }
        print_medians(f"{options.files} files", "s", times, options.repetitions)
        print_memory(folder)


if __name__ == "__main__":
    main()
