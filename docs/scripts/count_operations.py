"""Count the operations of a training step: each is a launch on a GPU, some microseconds whatever its size.

    python docs/scripts/count_operations.py [--width 0.25] [--by-name METHOD]

Views and reads of single numbers are left out; they launch nothing. Adam updates all parameters at once (foreach).
"""

import argparse
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.models.downsampler import project_strides_
from audiostride.training.optimizer import make_optimizer
from audiostride.training.step import forward_backward

METHODS: dict[str, dict[str, Any]] = {
    "strided": {"downsampling": "strided_conv"},
    "spectral": {"downsampling": "spectral_pooling"},
    "fixed": {"downsampling": "fixed_stride", "ramp": "folded", "smoothness": 16},
    "diffstride": {"downsampling": "diffstride", "ramp": "folded", "smoothness": 16, "learn_smoothness": True},
    "diffstride, outside": {"downsampling": "diffstride", "ramp": "outside"},
}
NO_LAUNCH = {  # views, memory that is set aside, reads, and marks for a profiler
    *("_unsafe_view", "empty", "new_empty_strided", "_local_scalar_dense", "detach", "lift_fresh", "is_same_size"),
    *("_record_function_enter_new", "_record_function_exit"),
}


class Counting(TorchDispatchMode):
    """Counts what is dispatched and is no view."""

    def __init__(self) -> None:
        super().__init__()
        self.n_of: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.rpartition("::")[2]
        is_view = any(a.alias_info is not None and not a.alias_info.is_write for a in func._schema.arguments)
        if not is_view and name not in NO_LAUNCH:
            self.n_of[name] += 1
        return func(*args, **(kwargs or {}))


def count_step(method: str, width: float) -> Counter[str]:
    """Count a training step after two others, which fill the caches."""
    torch.manual_seed(0)
    model = AudioClassifier(LogMel(), TimeFrequencyCnn(**METHODS[method], width=width), {"words": 10})
    optimizer = make_optimizer(model, 1e-3, 1e-3)
    for group in optimizer.param_groups:
        group["foreach"] = True
    waveform, targets = torch.randn(4, 16000), {"words": torch.tensor([0, 1, 2, 3])}

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        forward_backward(model, waveform, targets)
        optimizer.step()
        project_strides_(model.backbone)

    return counted(step)


def counted(step: Callable[[], None]) -> Counter[str]:
    """Count the operations of the third call."""
    step()
    step()
    with Counting() as counting:
        step()
    return counting.n_of


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--by-name", choices=METHODS)
    options = parser.parse_args()
    if options.by_name:
        for name, n in count_step(options.by_name, options.width).most_common():
            print(f"{n:5} {name}")
        return
    n_of = {method: count_step(method, options.width).total() for method in METHODS}
    print("| method | operations | times strided |\n|---|---|---|")
    for method, n in n_of.items():
        print(f"| {method} | {n} | {n / n_of['strided']:.2f} |")


if __name__ == "__main__":
    main()
