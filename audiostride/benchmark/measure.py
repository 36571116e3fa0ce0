"""What downsampling costs: every method in turn in one process, against strided convolutions."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from audiostride.benchmark.cases import MAPS, METHODS, N_SAMPLES, Case, cases, make_layer, make_model
from audiostride.models.costs import peak_bytes, recorded_layers
from audiostride.vocabulary import Ramp

What = Literal["layer", "model"]


@dataclass(frozen=True)
class Cost:
    """One way to run one case. Times are medians in seconds; the ratio is that to strided convolutions.

    `roofline_s` is what the operations or the bytes take at the measured speed of the device, the larger of both.
    """

    what: What
    method: str
    ramp: Ramp | None
    backward: bool
    seconds: float
    ratio: float | None
    peak_bytes: int
    macs: int
    bytes_moved: int
    roofline_s: float
    output_shape: tuple[int, ...]


class _Runner:
    """One case on one device: its steps, and what they cost in operations and bytes."""

    def __init__(self, what: What, case: Case, device: torch.device, *, batch: int, width: float, bf16: bool) -> None:
        self.what, self.case, self.device, self.bf16 = what, case, device, bf16
        self.module = (make_layer(case) if what == "layer" else make_model(case, width)).to(device)
        shape = (batch, *MAPS) if what == "layer" else (batch, N_SAMPLES)
        dtype = torch.bfloat16 if bf16 and what == "layer" else torch.float32
        self.x = torch.randn(shape, device=device, dtype=dtype, requires_grad=what == "layer")
        self.n_bytes = 2 if bf16 else 4
        self.n_passes = 2 if what == "layer" else 3  # backward: the gradient of the input, and that of weights
        with torch.no_grad(), recorded_layers(self.module) as layers:
            self._forward()
        self.output_shape = [layer.output_shape for layer in layers if len(layer.output_shape) == len(MAPS)][-1]
        self.macs = batch * sum(layer.n_macs for layer in layers)
        self.n_values = batch * sum(_size(layer.input_shape) + _size(layer.output_shape) for layer in layers)

    def _forward(self) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            output = self.module(self.x)
        return output if isinstance(output, Tensor) else torch.cat(list(output.values()), 1)

    def run(self, *, backward: bool) -> None:
        self.module.train(backward)
        if not backward:
            with torch.inference_mode():
                self._forward()
            return
        output = self._forward()
        torch.autograd.backward(output, torch.ones_like(output))
        self.x.grad = None
        self.module.zero_grad()

    def seconds(self, *, backward: bool) -> float:
        return seconds(lambda: self.run(backward=backward), self.device)

    def roofline(self, macs_per_s: float, bytes_per_s: float, *, backward: bool) -> tuple[int, float]:
        """Give bytes that have to move, and the seconds below which the step cannot be done."""
        passes = self.n_passes if backward else 1
        n_bytes = passes * self.n_values * self.n_bytes
        return n_bytes, max(passes * self.macs / macs_per_s, n_bytes / bytes_per_s)


def _size(shape: Sequence[int]) -> int:
    return int(torch.Size(shape).numel())


def seconds(step: Callable[[], object], device: torch.device) -> float:
    """Say how long `step` takes, by the events of a GPU or the clock of the CPU."""
    if device.type != "cuda":
        began = time.perf_counter()
        step()
        return time.perf_counter() - began
    with torch.cuda.device(device):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        before.record()
        step()
        after.record()
        torch.cuda.synchronize()
    return float(before.elapsed_time(after)) / 1e3


def _best(step: Callable[[], object], device: torch.device) -> float:
    return min([seconds(step, device) for _ in range(6)][1:])  # the first fills caches


def device_speed(device: torch.device, *, bf16: bool) -> tuple[float, float]:
    """Multiply-adds per second of a large matrix product, and bytes per second read and written by a copy."""
    n = 4096 if device.type == "cuda" else 1024
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    source = torch.empty(2**26, device=device)
    target = torch.empty_like(source)
    return n**3 / _best(lambda: a @ a, device), 2 * source.nbytes / _best(lambda: target.copy_(source), device)


def benchmark(
    methods: Sequence[str] = METHODS,
    device: torch.device = torch.device("cpu"),  # noqa: B008
    *,
    batch: int = 256,
    width: float = 1.0,
    bf16: bool = False,
    repetitions: int = 5,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[Cost]:
    """Measure every method alone and in the whole model, forward and with backward, each in turn `repetitions` times.

    Args:
        methods: some of `METHODS`; the ratios need "strided_conv" among them.
        batch: windows of 1 s, or maps of 64 x 64 x 100 for the layer alone.
        width: multiplies the channels of the model.
        bf16: autocast to bfloat16 with float32 sums.
        on_progress: called with the repetitions done and in all.
    """
    macs_per_s, bytes_per_s = device_speed(device, bf16=bf16)
    kinds: tuple[What, ...] = ("layer", "model")
    n_done, n_all = 0, len(kinds) * repetitions * len(cases(methods))
    for what in kinds:
        runners = [_Runner(what, case, device, batch=batch, width=width, bf16=bf16) for case in cases(methods)]
        times: dict[tuple[int, bool], list[float]] = {(i, b): [] for i in range(len(runners)) for b in (False, True)}
        for repetition in range(-1, repetitions):
            for i, runner in enumerate(runners):
                for backward in (False, True):
                    taken_s = runner.seconds(backward=backward)
                    if repetition >= 0:  # warm by then
                        times[i, backward].append(taken_s)
                if repetition >= 0 and on_progress is not None:
                    n_done += 1
                    on_progress(n_done, n_all)
        reference = next((i for i, runner in enumerate(runners) if runner.case.method == "strided_conv"), None)
        for i, runner in enumerate(runners):
            for backward in (False, True):
                n_bytes, roofline_s = runner.roofline(macs_per_s, bytes_per_s, backward=backward)
                ratio = None
                if reference is not None:
                    pairs = zip(times[i, backward], times[reference, backward], strict=True)
                    ratio = statistics.median(one / other for one, other in pairs)
                yield Cost(
                    what,
                    runner.case.method,
                    runner.case.ramp,
                    backward,
                    statistics.median(times[i, backward]),
                    ratio,
                    peak_bytes(lambda runner=runner, backward=backward: runner.run(backward=backward), device),  # type: ignore[misc]
                    runner.macs * (runner.n_passes if backward else 1),
                    n_bytes,
                    roofline_s,
                    runner.output_shape,
                )
