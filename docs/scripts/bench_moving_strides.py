"""Memory and time while the strides move at every step, so that map sizes change all the time.

    python docs/scripts/bench_moving_strides.py [--device cpu] [--steps 10000] [--width 0.05] [--batch 4]

Forward and backward of the backbone; prints what is allocated and reserved on a GPU, what is resident on a CPU.
"""

import argparse
import time
from pathlib import Path

import torch

from audiostride.models.backbone import TimeFrequencyCnn

N_LINES = 10


def memory_mib(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.memory_allocated() / 2**20:.0f} | {torch.cuda.memory_reserved() / 2**20:.0f}"
    status = Path("/proc/self/status").read_text()
    resident_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return f"{resident_kib / 2**10:.0f} | "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--width", type=float, default=0.05)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.manual_seed(0)
    model = TimeFrequencyCnn(width=options.width, ramp="inside").to(device)
    x = torch.randn(options.batch, 1, 64, 100, device=device)
    sizes = set()
    print("| step | sizes seen | ms per step | MiB | reserved MiB |\n|---|---|---|---|---|")
    began = time.perf_counter()
    for step in range(1, options.steps + 1):
        sizes.add(tuple(layer.n_out for layer in model.layer_strides(64, 100)))
        model(x).sum().backward()
        model.zero_grad()
        with torch.no_grad():
            for _, layer in model.downsamplers():
                layer.strides.add_(0.05 * torch.randn_like(layer.strides)).clamp_(1, 3)
        if step % max(1, options.steps // N_LINES) == 0:
            per_step_ms = 1e3 * (time.perf_counter() - began) / step
            print(f"| {step} | {len(sizes)} | {per_step_ms:.1f} | {memory_mib(device)} |", flush=True)


if __name__ == "__main__":
    main()
