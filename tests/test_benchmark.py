"""The benchmark: its reference computes what it stands for, and every method is measured in every way."""

import json

import pytest
import torch

from audiostride.benchmark.cases import METHODS, Case, cases, make_model
from audiostride.benchmark.fft import FftDiffStride
from audiostride.benchmark.measure import Cost, benchmark
from audiostride.layers import DiffStride
from audiostride.models.costs import recorded_layers
from audiostride.vocabulary import Ramp
from tests.program import run as run_program


@pytest.mark.parametrize("ramp", ["inside", "outside"])
@pytest.mark.parametrize("strides", [[2.0, 2.0], [1.3, 2.7]])
def test_the_reference_by_fft_is_the_layer(ramp: Ramp, strides: list[float]) -> None:
    torch.manual_seed(0)
    x, layer = torch.randn(2, 3, 64, 100), DiffStride(strides, ramp=ramp)
    reference = FftDiffStride(layer)
    torch.testing.assert_close(reference(x), layer(x), rtol=1e-4, atol=1e-5)
    weights = torch.randn_like(layer(x))
    gradients = [torch.autograd.grad((module(x) * weights).sum(), module.strides)[0] for module in (reference, layer)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_models_of_the_same_ramp_end_in_maps_of_the_same_size(method: str) -> None:
    sizes = {}
    for case in cases([method]):
        model = make_model(case, width=0.05).eval()
        maps: list[torch.Tensor] = []
        model.backbone.register_forward_hook(lambda _, __, output, maps=maps: maps.append(output))
        model(torch.randn(2, 16000))
        sizes[case.ramp] = tuple(maps[0].shape[2:])
    expected = {"folded": (4, 7), "inside": (8, 8), "outside": (20, 22)}
    if method == "diffstride_fft":
        del expected["folded"]
    assert sizes == (expected if None not in sizes else {None: (4, 7) if method == "strided_conv" else (4, 6)})


def macs(case: Case) -> int:
    model = make_model(case, width=1.0).eval()
    with torch.no_grad(), recorded_layers(model) as layers:
        model(torch.randn(1, 16000))
    return sum(layer.n_macs for layer in layers)


def test_multiply_adds_of_strided_convolutions_are_those_of_their_shapes() -> None:
    assert macs(Case("strided_conv", None)) / 1e6 == pytest.approx(428, abs=0.5)


def test_folded_diffstride_costs_few_more_multiply_adds_than_strided_convolutions() -> None:
    strided, folded = macs(Case("strided_conv", None)), macs(Case("diffstride", "folded"))
    assert strided < folded < 1.5 * strided


@pytest.mark.parametrize("ramp", ["inside", "outside"])
def test_mixing_channels_in_the_cheaper_order_saves_multiply_adds(ramp: Ramp) -> None:
    # by FFT nothing is fused, and only the convolutions are counted
    assert macs(Case("diffstride", ramp)) < macs(Case("diffstride_fft", ramp))


@pytest.fixture(scope="module")
def costs() -> list[Cost]:
    return list(benchmark(batch=2, width=0.05, repetitions=1))


def test_every_method_is_measured_in_every_way(costs: list[Cost]) -> None:
    measured = {(cost.what, cost.backward, cost.method, cost.ramp) for cost in costs}
    assert len(measured) == len(costs) == 2 * 2 * len(cases(METHODS))


def test_the_ratio_of_strided_convolutions_is_one(costs: list[Cost]) -> None:
    assert {cost.ratio for cost in costs if cost.method == "strided_conv"} == {1.0}


def test_costs_are_positive(costs: list[Cost]) -> None:
    assert all(cost.seconds > 0 and cost.roofline_s > 0 and cost.bytes_moved > 0 for cost in costs)


def test_training_holds_more_memory_than_inference(costs: list[Cost]) -> None:
    memory = {(cost.method, cost.ramp, cost.backward): cost.peak_bytes for cost in costs if cost.what == "model"}
    assert all(n_bytes >= memory[method, ramp, False] > 0 for (method, ramp, _), n_bytes in memory.items())


def test_without_strided_convolutions_there_is_no_ratio() -> None:
    assert {cost.ratio for cost in benchmark(["diffstride"], batch=2, width=0.05, repetitions=1)} == {None}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    return run_program(monkeypatch, "bench", "--device", "cpu", *arguments)


def test_the_command_writes_json_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("--methods", "strided_conv,diffstride", "--batch", "2", "--width", "0.05", "--repetitions", "1")
    assert run(monkeypatch, *small, "--json", "-") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["settings"]["batch"] == 2
    assert {cost["method"] for cost in result["costs"]} == {"strided_conv", "diffstride"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--methods", "fft"], "--methods fft: expected some of strided_conv"),
        (["--methods", ","], "--methods ,: expected some of"),
        (["--precision", "int8"], "'int8' is not one of 'fp32', 'bf16'"),
    ],
)
def test_mistakes_are_told(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert told in capsys.readouterr().err
