"""The layer by matrices against the same operator by FFT, forward and backward, in turn in one process.

    python docs/scripts/bench_layer.py [--repetitions 20]

Prints median times, their ratio, and the peak of the memory allocated beyond the input.
"""

import argparse
import statistics
import time

import torch

from audiostride.benchmark import FftDiffStride, peak_bytes
from audiostride.layers import DiffStride

SHAPE = (16, 64, 100, 64)
SMOOTHNESS = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    options = parser.parse_args()
    x = torch.randn(SHAPE, requires_grad=True)
    layer = DiffStride([2.0, 2.0], smoothness=SMOOTHNESS)
    reference = FftDiffStride(layer)
    target = torch.randn_like(layer(x).detach())

    def by_matrices() -> None:
        layer(x).backward(target)
        x.grad = layer.strides.grad = None

    def by_fft() -> None:
        reference(x).backward(target)
        x.grad = reference.strides.grad = None

    error = (layer(x) - reference(x)).abs().max().item()
    seconds: dict[str, list[float]] = {"matrices": [], "FFT": []}
    steps = {"matrices": by_matrices, "FFT": by_fft}
    for i in range(options.repetitions + 2):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if i >= 2:  # warm by then
                seconds[name].append(time.perf_counter() - began)
    ratio = statistics.median(b / a for a, b in zip(seconds["matrices"], seconds["FFT"], strict=True))
    shape = " x ".join(map(str, SHAPE))
    print(f"{shape}, strides 2 x 2, fp32, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("| | median ms | peak MiB |")
    print("|---|---|---|")
    for name, step in steps.items():
        print(f"| {name} | {statistics.median(seconds[name]) * 1e3:.1f} | {peak_bytes(step, x.device) / 2**20:.0f} |")
    print(f"FFT / matrices: {ratio:.2f}, median of {options.repetitions} pairs; largest difference {error:.1e}")


if __name__ == "__main__":
    main()
