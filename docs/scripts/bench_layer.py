"""The layer by matrices against the same operator by FFT, forward and backward, in turn in one process.

    python docs/scripts/bench_layer.py [--device cpu] [--repetitions 20]

Prints median times, their ratio, and the peak of the memory allocated beyond the input, for maps with two axes, for
sequences with one and for volumes with three.
"""

import argparse
import statistics

import torch

from audiostride.benchmark.fft import FftDiffStride
from audiostride.benchmark.measure import seconds
from audiostride.layers import DiffStride
from audiostride.models.costs import peak_bytes

SHAPES = {  # shape of the input: axes that are downsampled
    (16, 64, 100, 64): (-2, -1),
    (16, 64, 400): (-1,),
    (16, 8, 2000): (-1,),
    (4, 8, 32, 32, 32): (-3, -2, -1),
}
STRIDE = 2.0


def compare(shape: tuple[int, ...], axes: tuple[int, ...], device: torch.device, repetitions: int) -> list[object]:
    """A row of the table."""
    x = torch.randn(shape, requires_grad=True, device=device)
    layer = DiffStride([STRIDE] * len(axes), axes).to(device)
    layers = {"matrices": layer, "FFT": FftDiffStride(layer).to(device)}
    target = torch.randn_like(layer(x).detach())
    error = (layers["matrices"](x) - layers["FFT"](x)).abs().max().item()

    def step(name: str) -> None:
        layers[name](x).backward(target)
        x.grad = layers[name].strides.grad = None

    taken: dict[str, list[float]] = {name: [] for name in layers}
    for i in range(repetitions + 2):
        for name in layers:
            taken_s = seconds(lambda name=name: step(name), device)  # type: ignore[misc]
            if i >= 2:  # warm by then
                taken[name].append(taken_s)
    ratio = statistics.median(b / a for a, b in zip(taken["matrices"], taken["FFT"], strict=True))
    times = [f"{statistics.median(taken[name]) * 1e3:.1f}" for name in layers]
    peaks = [f"{peak_bytes(lambda name=name: step(name), device) / 2**20:.0f}" for name in layers]  # type: ignore[misc]
    return [" x ".join(map(str, shape)), len(axes), *times, f"{ratio:.2f}", *peaks, f"{error:.0e}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repetitions", type=int, default=20)
    options = parser.parse_args()
    print(f"stride 2, fp32, {options.device}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| input | axes | matrices, ms | FFT, ms | FFT / matrices | matrices, MiB | FFT, MiB | largest difference |")
    print("|---|---|---|---|---|---|---|---|")
    for shape, axes in SHAPES.items():
        row = compare(shape, axes, torch.device(options.device), options.repetitions)
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
