"""The layer by matrices against the same operator by FFT, forward and backward, in turn in one process.

    python docs/scripts/bench_layer.py [--repetitions 20]

Prints median times, their ratio, and the peak of the memory allocated beyond the input.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from audiostride.layers import DiffStride, output_size

SHAPE = (16, 64, 100, 64)
SMOOTHNESS = 4.0


def fft_downsample(x: Tensor, strides: Tensor) -> Tensor:
    """The operator as published: FFT, mask, crop, inverse FFT, one axis after the other."""
    for axis, stride in zip((-2, -1), strides, strict=True):
        n_in = x.shape[axis]
        n_out = output_size(n_in, float(stride.detach()), SMOOTHNESS)
        k = torch.arange(n_out // 2 + 1)
        mask = ((SMOOTHNESS + n_in / (2 * stride) - k) / SMOOTHNESS).clamp(0, 1)
        spectrum = torch.fft.rfft(x, dim=axis).narrow(axis, 0, n_out // 2 + 1)
        spectrum = (spectrum.movedim(axis, -1) * mask).movedim(-1, axis)
        x = torch.fft.irfft(spectrum, n=n_out, dim=axis) * (n_out / n_in)
    return x


def peak_bytes(step: Callable[[], None]) -> int:
    """The most that torch's CPU allocator held during `step` beyond what it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    held = peak = 0
    for event in sorted(recorded.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    options = parser.parse_args()
    x = torch.randn(SHAPE, requires_grad=True)
    layer = DiffStride([2.0, 2.0], smoothness=SMOOTHNESS)
    strides = torch.tensor([2.0, 2.0], requires_grad=True)
    target = torch.randn_like(layer(x).detach())

    def by_matrices() -> None:
        layer(x).backward(target)
        x.grad = layer.strides.grad = None

    def by_fft() -> None:
        fft_downsample(x, strides).backward(target)
        x.grad = strides.grad = None

    error = (layer(x) - fft_downsample(x, strides)).abs().max().item()
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
        print(f"| {name} | {statistics.median(seconds[name]) * 1e3:.1f} | {peak_bytes(step) / 2**20:.0f} |")
    print(f"FFT / matrices: {ratio:.2f}, median of {options.repetitions} pairs; largest difference {error:.1e}")


if __name__ == "__main__":
    main()
