"""What a run costs: its own layers, its own log."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import audiostride.comparison.cost as run_cost
from audiostride.build import build_model
from audiostride.comparison.cost import measure_cost
from audiostride.models.costs import recorded_layers
from audiostride.runs.checkpoint import Checkpoint, load_run
from audiostride.strides.cutoffs import read_strides


def test_cost_is_that_of_the_layers(trained_runs: Path) -> None:
    run = load_run(trained_runs / "learned-0")
    cost = measure_cost(run)
    with torch.no_grad(), recorded_layers(run.model) as layers:
        run.model(torch.randn(1, 16000))
    assert cost.macs == sum(layer.n_macs for layer in layers)
    assert cost.n_parameters == sum(layer.n_parameters for layer in layers)
    last = {reading.axis: reading.n_out for reading in read_strides(run.model, 16000)}
    assert cost.last_map == (last["frequency"], last["time"])


def test_smaller_maps_cost_less(trained_runs: Path) -> None:
    costs = [measure_cost(load_run(trained_runs / name)) for name in ("strided", "both")]
    assert costs[0].macs < costs[1].macs
    assert costs[0].peak_bytes < costs[1].peak_bytes


def with_batch(run: Checkpoint, n_rows: int) -> Checkpoint:
    training = run.recipe.training.model_copy(update={"batch_size": n_rows})
    return replace(run, recipe=run.recipe.model_copy(update={"training": training}))


def test_memory_is_that_of_the_recipes_batch(trained_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(trained_runs / "strided")
    computed = {n_rows: measure_cost(with_batch(run, n_rows)).peak_bytes for n_rows in (8, 16, 48)}
    assert computed[16] / computed[8] == pytest.approx(2, rel=0.2)
    monkeypatch.setattr(run_cost, "SMALL_BATCHES", (32, 64))  # now it is measured
    assert computed[48] == pytest.approx(measure_cost(with_batch(run, 48)).peak_bytes, rel=0.001)


def test_a_frozen_trunk_keeps_no_maps_for_the_backward_pass(trained_runs: Path) -> None:
    run = load_run(trained_runs / "strided")
    recipe = run.recipe.model_copy(update={"model": run.recipe.model.model_copy(update={"width": 0.5})})
    run = replace(run, recipe=recipe, model=build_model(recipe, run.classes))  # its maps outweigh the front end
    frozen = run.recipe.training.model_copy(update={"freeze_trunk": True})
    cost = measure_cost(replace(run, recipe=run.recipe.model_copy(update={"training": frozen})))
    assert cost.peak_bytes < 0.7 * measure_cost(run).peak_bytes


def test_the_model_stays_as_it_is(trained_runs: Path) -> None:
    run = load_run(trained_runs / "learned-0")
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    measure_cost(run)
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.model.state_dict().items())
    assert not run.model.training


def test_speed_is_the_median_of_the_log(trained_runs: Path, tmp_path: Path) -> None:
    shutil.copytree(trained_runs / "strided", tmp_path / "run")
    lines = [{"step": i, "windows_per_s": speed} for i, speed in enumerate((10.0, 60.0, 1000.0, 0.0, "fast"))]
    (tmp_path / "run/metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "{cut of")
    cost = measure_cost(load_run(tmp_path / "run"))
    assert (cost.windows_per_s, cost.step_s) == (60, 0.1)


def test_no_log_no_speed(trained_runs: Path, tmp_path: Path) -> None:
    shutil.copy(trained_runs / "strided/checkpoints/best.safetensors", tmp_path)
    cost = measure_cost(load_run(tmp_path / "best.safetensors"))
    assert (cost.windows_per_s, cost.step_s) == (None, None)
