"""`audiostride bench`: what downsampling costs on this machine."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import check_outputs, print_line, progress, show, table, write_json
from audiostride.cli.options import Device, JsonFile
from audiostride.errors import UserError
from audiostride.vocabulary import Precision

if TYPE_CHECKING:
    from audiostride.benchmark.measure import Cost

EXAMPLES = """
audiostride bench
audiostride bench --batch 32 --width 0.25
"""


WAYS = {
    ("layer", False): "layer alone, forward",
    ("layer", True): "layer alone, forward and backward",
    ("model", False): "five-task model, inference",
    ("model", True): "five-task model, training step without the optimiser",
}


def _show(costs: "list[Cost]") -> None:
    for (what, backward), title in WAYS.items():
        rows = table("method", "ms", "ratio", "peak MiB", "GMACs", "x roofline", "output")
        for cost in costs:
            if (cost.what, cost.backward) == (what, backward):
                rows.add_row(
                    cost.method if cost.ramp is None else f"{cost.method} {cost.ramp}",
                    f"{cost.seconds * 1e3:.1f}",
                    "-" if cost.ratio is None else f"{cost.ratio:.2f}",
                    f"{cost.peak_bytes / 2**20:,.0f}",
                    f"{cost.macs / 1e9:.2f}",
                    f"{cost.seconds / cost.roofline_s:.1f}",
                    "x".join(map(str, cost.output_shape)),
                )
        show(title, rows)


def command(
    *,
    device: Device = "auto",
    methods: Annotated[
        str | None,
        typer.Option(
            show_default="all",
            help="Ways to downsample to measure, separated by commas. Ratios need strided_conv among them.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Number of windows of 1 s in a batch.")] = 256,
    width: Annotated[
        float, typer.Option(min=0.01, max=16, help="Factor of the number of channels of the model.")
    ] = 1.0,
    precision: Annotated[Precision, typer.Option(help="Numbers that the model holds and computes with.")] = "fp32",
    repetitions: Annotated[
        int, typer.Option(min=1, help="Number of repetitions of every measurement; the median counts.")
    ] = 5,
    json_file: JsonFile = None,
) -> None:
    """Measure time and memory of every way to downsample.

    Each is measured alone and in the whole model, forward and with backward, against strided convolutions.
    """
    check_outputs([("--json", json_file)])

    import torch

    from audiostride.benchmark.cases import METHODS
    from audiostride.benchmark.measure import benchmark
    from audiostride.device import choose_device

    names = list(METHODS) if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    if unknown := [name for name in names if name not in METHODS] or ([] if names else [methods or ""]):
        raise UserError(f"--methods {unknown[0]}: expected some of {', '.join(METHODS)}")
    chosen = choose_device(device)
    with progress("repetitions") as on_progress:
        costs = list(
            benchmark(
                names,
                chosen,
                batch=batch,
                width=width,
                bf16=precision == "bf16",
                repetitions=repetitions,
                on_progress=on_progress,
            )
        )
    device_name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else str(chosen)
    settings = {"device": device_name, "threads": torch.get_num_threads(), "torch": torch.__version__}
    settings |= {"batch": batch, "width": width, "precision": precision, "repetitions": repetitions}
    if json_file is not None:
        write_json(json_file, {"settings": settings, "costs": [asdict(cost) for cost in costs]})
    if json_file != "-":
        print_line(", ".join(f"{name} {value}" for name, value in settings.items()))
        _show(costs)
