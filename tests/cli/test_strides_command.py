"""`audiostride strides`: one run, several, their history, pictures and recipes, and what it answers to mistakes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from audiostride.build import build_model
from audiostride.cli.strides_tables import _half_power, show_advice, show_history, show_run, sparkline
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint
from audiostride.strides.advice import advise
from audiostride.strides.reading import RunStrides, StrideHistory, run_strides
from audiostride.strides.response import ChainResponse
from audiostride.training.run import train_recipe
from tests.program import run

RECIPE = """
tasks: {{tone: {{manifest: {corpus}}}}}
data: {{cache_dir: {cache}}}
frontend: {{normalization: standard}}
model: {{width: 0.06, ramp: inside, smoothness: 1}}
training: {{steps: 4, batch_size: 6, learning_rate: 0.003, stride_learning_rate: 0.05, validate_every: 4, log_every: 1}}
"""


@pytest.fixture(scope="module")
def runs(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs tone-0, tone-1 (another seed), fixed-0 (strided) and coarse-0 (another front end)."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = folder / "tone.yaml"
    recipe.write_text(RECIPE.format(corpus=corpus, cache=folder / "cache"))
    wanted = {
        "tone-0": [],
        "tone-1": ["seed=1"],
        "fixed-0": ["model.downsampling=strided_conv"],
        "coarse-0": ["frontend.n_mels=40"],
    }
    for name, settings in wanted.items():
        for _ in train_recipe(load_recipe(recipe, settings), folder / name, torch.device("cpu")):
            pass
    return folder


def untrained_strides(**model: object) -> RunStrides:
    """The strides of a model as it was initialised."""
    recipe = Recipe.model_validate({"tasks": {"tone": {"manifest": "m.csv"}}, "model": {"width": 0.06, **model}})
    classes = {"tone": ("high", "low")}
    checkpoint = Checkpoint(Path("x.safetensors"), build_model(recipe, classes).eval(), recipe, classes, 1, {})
    return run_strides(Path("run"), checkpoint)


def as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run(monkeypatch, "strides", *arguments, "--json", "-") == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_one_run_has_its_layers_response_and_history(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = as_json(monkeypatch, capsys, runs / "tone-0", "--history")
    assert len(result["layers"]) == 12
    response = result["response"]["time"]
    assert 0 < response["cutoff_3db"] < 50
    history = result["history"]
    assert history["steps"] == [1, 2, 3, 4]
    last = [layer["stride"] for layer in result["layers"] if layer["axis"] == "time"]
    np.testing.assert_allclose(history["time"][-1], last, rtol=1e-6)


def test_seeds_of_a_recipe_have_mean_and_spread(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = as_json(monkeypatch, capsys, runs / "tone-0", runs / "tone-1", runs / "fixed-0")
    strides = [run["layers"][0]["stride"] for run in result["runs"]]
    groups = {group["name"]: group["layers"] for group in result["groups"]}
    assert set(groups) == {"tone", "fixed-0"}
    assert groups["tone"][0]["n"] == 2
    assert groups["tone"][0]["stride"]["mean"] == pytest.approx(np.mean(strides[:2]))
    assert groups["tone"][0]["stride"]["sd"] == pytest.approx(np.std(strides[:2], ddof=1))
    assert groups["fixed-0"][0]["stride"] == {"mean": 2.0, "sd": 0.0}


def test_tables_fit_in_80_columns(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(monkeypatch, "strides", runs / "tone-0", "--history", "--advise") == 0
    assert run(monkeypatch, "strides", runs / "tone-0", runs / "tone-1", runs / "fixed-0", runs / "coarse-0") == 0
    shown = capsys.readouterr().out
    assert "advice for the next design" in shown
    lines = [line for line in shown.splitlines() if str(runs) not in line]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("ramp", ["inside", "outside", "folded"])
@pytest.mark.parametrize("smoothness", [999.4, 1000.0, 1e6])
def test_a_run_with_wide_ramps_fits_in_80_columns(
    ramp: str, smoothness: float, capsys: pytest.CaptureFixture[str]
) -> None:
    show_run(untrained_strides(ramp=ramp, smoothness=smoothness))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_ramp_that_is_longer_than_the_map_ends_beyond(capsys: pytest.CaptureFixture[str]) -> None:
    strides = untrained_strides(ramp="folded", smoothness=4.0)
    show_run(strides)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if " time " in line or " frequency " in line]
    layers = [reading.as_dict() for reading in strides.learned.readings]
    assert [row[7] for row in rows[: len(layers)]] == [
        "beyond" if r["ramp_end"] > r["cutoff"] * r["effective_stride"] else f"{r['ramp_end']:.3f}" for r in layers
    ]
    assert {row[7] == "beyond" for row in rows[: len(layers)]} == {False, True}


def test_half_power_is_shown_as_the_two_gratings_around_it(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    responses = as_json(monkeypatch, capsys, runs / "tone-0")["response"]
    edges = {}
    for axis, response in responses.items():
        above = next(i for i, gain in enumerate(response["gains"]) if gain**2 < 0.5)
        low, high = (round(response["frequencies"][i], 3) for i in (above - 1, above))
        edges[axis] = f"{low:g} and {high:g}"
    assert run(monkeypatch, "strides", runs / "tone-0") == 0
    shown = capsys.readouterr().out
    assert f"time: -3 dB between {edges['time']} Hz," in shown
    assert f"frequency: -3 dB between {edges['frequency']} cycles/band," in shown


def test_half_power_of_several_runs_spans_from_the_lowest_grating_to_the_highest() -> None:
    def response(cutoff_bin: int | None) -> ChainResponse:
        gains = np.ones(5)
        gains[cutoff_bin or 5 :] = 0
        return ChainResponse("time", "Hz", np.arange(5.0), gains, np.zeros(5), None, 2.0, ())

    assert _half_power([response(2), response(4)]) == "1 and 4"
    assert _half_power([response(2), response(None)]) == "1 and 2, or nowhere"
    assert _half_power([response(None)]) == "nowhere"


def test_rows_are_time_then_frequency_in_every_block(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = [[str(block), axis] for block in range(1, 7) for axis in ("time", "frequency")]
    for options in ((), ("--history",)):
        assert run(monkeypatch, "strides", runs / "tone-0", *options) == 0
        rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line[:1].isdigit()]
        assert rows == expected
    show_run(untrained_strides(placement="per_block"))
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line[:1].isdigit()]
    assert rows == expected


def test_notes_explain_the_columns_that_are_shown(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of_one_run = ("eff.:", "bins:", "beyond:", "folds:")
    assert run(monkeypatch, "strides", runs / "tone-0") == 0
    shown = capsys.readouterr().out
    assert all(note in shown for note in (*of_one_run, "-3 dB:", "nominal:", "folded:"))
    assert len(shown.splitlines()) <= 24, "it fits a terminal"
    assert run(monkeypatch, "strides", runs / "tone-0", runs / "coarse-0") == 0
    shown = capsys.readouterr().out
    assert all(note in shown for note in ("-3 dB:", "nominal:", "folded:"))
    assert not any(note in shown for note in of_one_run)


def test_only_what_is_asked_for_is_shown(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "strides", runs / "tone-0", "--history") == 0
    shown = capsys.readouterr().out
    assert "steps 1 to 4" in shown
    assert "cut-off" not in shown
    assert run(monkeypatch, "strides", runs / "tone-0", "--plot", tmp_path / "p.svg") == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert f"--plot: {tmp_path / 'p.svg'}" in told.err


def test_json_in_a_file_is_named_and_on_standard_output_is_alone(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "strides", runs / "tone-0", "--json", tmp_path / "a.json") == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert f"--json: {tmp_path / 'a.json'}\n" in told.err
    assert run(monkeypatch, "strides", runs / "tone-0", "--json", "-") == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == json.loads((tmp_path / "a.json").read_text())
    assert told.err == ""


def test_fixed_strides_are_given_and_said_to_be_fixed(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "strides", runs / "fixed-0") == 0
    output = capsys.readouterr()
    assert "2.000" in output.out
    assert "these strides are fixed: downsampling is strided_conv" in output.err


def test_different_front_ends_are_told(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "strides", runs / "tone-0", runs / "coarse-0") == 0
    assert "frontend.n_mels is 64 in tone-0 and 40 in coarse-0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")], ids=["png", "svg", "pdf"]
)
def test_plots_are_written_in_the_format_of_their_name(
    ending: str, start: bytes, runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = [tmp_path / f"{i}.{ending}" for i in range(2)]
    for file in files:
        assert run(monkeypatch, "strides", runs / "tone-0", runs / "tone-1", runs / "coarse-0", "--plot", file) == 0
    assert files[0].read_bytes().startswith(start)
    if ending == "png":
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_frozen_run_evaluates_as_the_original(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "strides", runs / "tone-0", "--freeze", tmp_path / "frozen.yaml") == 0
    assert load_recipe(tmp_path / "frozen.yaml").model.downsampling == "fixed_stride"
    capsys.readouterr()
    assert run(monkeypatch, "strides", tmp_path / "frozen") == 0
    assert f"{tmp_path / 'frozen'}: these strides are fixed: downsampling is fixed_stride" in capsys.readouterr().err
    rows = []
    for place in (runs / "tone-0", tmp_path / "frozen"):
        table = tmp_path / "predictions.csv"
        assert run(monkeypatch, "eval", place, "--predictions", table) == 0
        rows.append(table.read_text())
    assert rows[0] == rows[1]
    assert run(monkeypatch, "strides", runs / "tone-0", "--freeze", tmp_path / "frozen.yml") == 2
    assert "frozen is there already" in capsys.readouterr().err


def test_the_integer_recipe_is_one_of_strided_convolutions(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "integer.yaml"
    assert run(monkeypatch, "strides", runs / "tone-0", "--freeze", out, "--integer") == 0
    assert load_recipe(out).model.downsampling == "strided_conv"
    assert list(tmp_path.iterdir()) == [out]


def test_the_advised_recipe_trains(runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "advised.yaml"
    assert run(monkeypatch, "strides", runs / "tone-0", "--advise-recipe", out) == 0
    assert yaml.safe_load(out.read_text())["frontend"]["hop_length"] > 160
    assert run(monkeypatch, "train", out, "--run-dir", tmp_path / "run", "--device", "cpu") == 0


def test_advice_for_strided_convolutions_says_that_they_do_not_filter(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "strides", runs / "fixed-0", "--advise") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for axis in ("time", "frequency"):
        assert f"Along {axis} the first block does not filter: what is faster than its cut-off folds." in shown
    assert "saved" not in shown
    assert "nearest integer strides" not in shown


def test_advice_says_where_there_is_nothing_to_save(capsys: pytest.CaptureFixture[str]) -> None:
    strides = untrained_strides(ramp="outside", stride_time=[1.0] * 6, stride_frequency=[1.0] * 6)
    show_advice(advise(strides.checkpoint), strides)
    shown = capsys.readouterr().out
    assert "nothing to save, the hop stays at 160 samples." in shown
    assert "nothing to save, the 64 mel bands stay." in shown
    assert "strided convolutions, nearest integers: all folds" in shown
    assert "0.0%" not in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    "options", [["--freeze"], ["--integer", "--freeze"], ["--advise-recipe"]], ids=["freeze", "integer", "advise"]
)
def test_no_recipe_is_replaced(
    options: list[str],
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("my recipe")
    assert run(monkeypatch, "strides", runs / "tone-0", *options, mine) == 2
    assert f"{options[-1]} {mine}: is there already; name another file" in capsys.readouterr().err
    assert mine.read_text() == "my recipe"
    assert list(tmp_path.iterdir()) == [mine]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{runs}/tone-0", "{runs}/tone-0"], "given twice"),
        (["{runs}/none"], "none: no such run"),
        (["{runs}/tone-0", "{tmp}"], "not a run folder"),
        (["{runs}/tone-0", "--plot", "{tmp}/p.gif"], "expected a name that ends with .png, .svg, .pdf"),
        (["{runs}/tone-0", "--plot", "{tmp}/none/p.png"], "no such folder"),
        (["{runs}/tone-0", "--integer"], "--integer: needs --freeze"),
        (["{runs}/tone-0", "{runs}/tone-1", "--freeze", "{tmp}/f.yaml"], "take one run, got 2"),
        (["{runs}/fixed-0", "--freeze", "{tmp}/f.yaml"], "are fixed already"),
        (["{runs}/tone-0", "--freeze", "{tmp}/f.safetensors"], "expected a name that ends with .yaml or .yml"),
        (["{runs}/tone-0", "--freeze", "{runs}/tone-0/recipe.yaml"], "would replace"),
        (["{runs}/fixed-0", "--advise-recipe", "{tmp}/a.yaml"], "no front end is advised; --advise says why"),
        (
            ["{runs}/tone-0", "--advise-recipe", "{tmp}/a.txt"],
            "expected a name that ends with .yaml or .yml",
        ),
        (
            ["{runs}/tone-0", "--freeze", "{tmp}/a.yaml", "--advise-recipe", "{tmp}/a.yaml"],
            "--advise-recipe {tmp}/a.yaml: would replace {tmp}/a.yaml, which the command reads or writes",
        ),
        (
            ["{runs}/tone-0", "--plot", "{tmp}/a.png", "--json", "{tmp}/a.png"],
            "--json {tmp}/a.png: would replace {tmp}/a.png",
        ),
        (["{runs}/tone-0", "--freeze", "{tmp}/a.yaml", "--json", "{tmp}/a"], "--json {tmp}/a: would replace {tmp}/a"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    arguments: list[str],
    told: str,
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    filled = [argument.format(runs=runs, tmp=tmp_path) for argument in arguments]
    assert run(monkeypatch, "strides", *filled) == 2
    assert told.format(tmp=tmp_path) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_sparkline_spans_from_the_lowest_to_the_highest() -> None:
    line = sparkline([1.0, 1.5, 2.0])
    assert (line[0], line[-1], len(line)) == ("▁", "█", 3)
    assert sparkline([2.0] * 100) == "▁" * 18


def test_the_history_has_the_range_of_every_stride(capsys: pytest.CaptureFixture[str]) -> None:
    learned = untrained_strides()
    steps = np.arange(10_000, 1_000_001, 10_000)
    values = np.full((len(steps), 6), 2.0)
    values[7, 0] = 2.005  # between the steps that the sparkline shows
    logged = replace(learned, history=StrideHistory(steps, {"time": values, "frequency": values}))
    show_history({"run": [logged]})
    _, _, head, _, row, *rows = capsys.readouterr().out.splitlines()
    assert re.split("  +", head.strip())[2:] == ["step 10000", "step 1000000", "lowest", "highest", "lowest to highest"]
    assert row.split()[:6] == ["1", "time", "2.000", "2.000", "2.000", "2.005"]
    assert row.split()[6] == "▁" * 18
    assert max(map(len, (head, row, *rows))) <= 80
