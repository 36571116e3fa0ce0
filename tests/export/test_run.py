"""Exporting a run: what is written agrees with torch, or nothing is written."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from audiostride.errors import DataError, UserError
from audiostride.evaluation.calibration import Calibration
from audiostride.export.check import TOLERANCE, synthetic_windows
from audiostride.export.quantization import quantize_convolutions
from audiostride.export.run import export_run
from audiostride.prediction.onnx_model import OnnxModel
from audiostride.prediction.stream import why_too_short
from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import Checkpoint, load_run
from audiostride.runs.model import RunModel
from audiostride.runs.scoring import score_run
from audiostride.training.run import train_recipe
from tests.checkpoints import recalibrate
from tests.program import run


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    recipe = folder / "tone.yaml"
    recipe.write_text(
        f"tasks: {{tone: {{manifest: {corpus}}}, low: {{manifest: {corpus}, label: is_low}}}}\n"
        f"data: {{cache_dir: {folder / 'cache'}}}\n"
        "frontend: {normalization: peak, top_db: 60}\n"
        "model: {width: 0.06, ramp: inside}\n"
        "training: {steps: 6, batch_size: 6, learning_rate: 0.003, validate_every: 6, log_every: 6}\n"
    )
    for _ in train_recipe(load_recipe(recipe), folder / "run", torch.device("cpu")):
        pass
    return folder / "run"


@pytest.fixture
def checkpoint(trained: Path) -> Checkpoint:
    return load_run(trained)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiostride.export.check.TIMED_S", 0.01)


def test_exported_model_agrees_with_the_run(checkpoint: Checkpoint, tmp_path: Path) -> None:
    result = export_run(checkpoint, tmp_path / "m.onnx")
    model = OnnxModel(tmp_path / "m.onnx", n_threads=1)
    windows = synthetic_windows(16000, seed=3)
    expected, found = RunModel(checkpoint).logits(windows), model.logits(windows)
    for task in ("tone", "low"):
        np.testing.assert_allclose(found[task], expected[task], atol=TOLERANCE)
    assert model.classes == checkpoint.classes
    assert (model.sample_rate, model.n_window) == (16000, 16000)
    recipe = json.loads(model.metadata["recipe"])
    assert recipe["model"] == json.loads(checkpoint.recipe.model.model_dump_json())
    assert recipe["tasks"]["low"]["manifest"] == "manifest.csv"
    assert str(tmp_path.parent).encode() not in (tmp_path / "m.onnx").read_bytes()
    assert model.metadata["step"] == "6"
    assert result.verification.n_recorded > 0
    assert result.verification.difference < TOLERANCE / 2
    assert [variant.name for variant in result.variants] == ["torch", "ONNX"]


def test_any_number_of_windows(checkpoint: Checkpoint, tmp_path: Path) -> None:
    export_run(checkpoint, tmp_path / "m.onnx")
    model = OnnxModel(tmp_path / "m.onnx", n_threads=1)
    windows = np.random.default_rng(0).uniform(-1, 1, (130, 16000)).astype(np.float32)
    alone = np.concatenate([model.logits(windows[i : i + 1])["tone"] for i in (0, 64, 129)])
    np.testing.assert_allclose(model.logits(windows)["tone"][[0, 64, 129]], alone, atol=1e-5)
    assert model.logits(windows[:0])["low"].shape == (0, 2)
    with pytest.raises(ValueError, match=r"\(batch, 16000\)"):
        model.logits(windows[:, :-1])


def test_temperatures_of_the_calibration_go_along(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    recalibrate(tmp_path / "run", {"tone": Calibration(2.5, 0.2, 0.1, 6)})
    export_run(load_run(tmp_path / "run"), tmp_path / "m.onnx")
    exported = OnnxModel(tmp_path / "m.onnx")
    assert exported.temperatures == {"tone": 2.5, "low": 1.0}
    assert why_too_short(exported, 399) == "shorter than a frame of 25 ms"
    assert why_too_short(exported, 400) is None


def test_logits_that_differ_are_not_written(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = OnnxModel.logits

    def wrong(model: OnnxModel, windows: np.ndarray) -> dict[str, np.ndarray]:
        logits = right(model, windows)
        logits["low"][4:5] += np.float32(30)  # the speed is measured with single windows
        return logits

    monkeypatch.setattr(OnnxModel, "logits", wrong)
    told = r"differ from those of torch by 30 in the task 'low' for the window 5 of \d+ \(a click\)"
    with pytest.raises(DataError, match=told):
        export_run(checkpoint, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_int8_stores_less_and_tells_the_accuracy_of_every_form(checkpoint: Checkpoint, tmp_path: Path) -> None:
    done = []
    result = export_run(checkpoint, tmp_path / "m.onnx", quantize=True, on_progress=lambda *count: done.append(count))
    accuracies = [variant.accuracy for variant in result.variants]
    assert accuracies[0] == accuracies[1]
    assert set(accuracies[2] or ()) == {"tone", "low"}
    assert done[-1] == (18, 18)
    kinds = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert kinds.count("DequantizeLinear") > 12
    model = OnnxModel(tmp_path / "m.onnx", n_threads=1)
    assert model.classes == checkpoint.classes
    windows = synthetic_windows(16000)[5:]
    expected = RunModel(checkpoint).logits(windows)["tone"]
    assert 0 < np.abs(model.logits(windows)["tone"] - expected).max() < 1


def without_a_class(content: bytes, waveform: str, windows: np.ndarray) -> bytes:
    """The same model in floats, but its task `tone` finds the first class everywhere."""
    model = onnx.ModelProto.FromString(content)
    (bias,) = (constant for constant in model.graph.initializer if constant.name == "/heads/tone/bias")
    values = onnx.numpy_helper.to_array(bias) + np.array([100, 0, 0], np.float32)
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    return model.SerializeToString()


def test_int8_that_loses_classes_says_so(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("audiostride.export.quantization.quantize_convolutions", without_a_class)
    assert run(monkeypatch, "export", trained, "--out", tmp_path / "m.onnx", "--quantize", "int8") == 0
    told = capsys.readouterr()
    checkpoint = load_run(trained)
    kept = checkpoint.classes["tone"][0]
    found = [prediction.predicted for prediction in score_run(checkpoint, tasks=["tone"]).predictions]
    lost = sorted(set(found) - {kept})
    assert f"task tone: in 8 bits {sum(name != kept for name in found)} of 6 test clips get another" in told.err
    assert f"no test clip gets {', '.join(map(repr, lost))} any more; use the file without --quantize" in told.err
    assert "task low" not in told.err


def test_one_extreme_value_does_not_coarsen_the_steps_of_all_others() -> None:
    rows = np.random.default_rng(0).standard_normal((64, 100)).astype(np.float32)
    windows = rows.copy()
    windows[5, 50] = 300.0
    names = {"shape": np.array([-1, 1, 1, 100]), "flat": np.array([-1, 100]), "one": np.ones((1, 1, 1, 1), np.float32)}
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Reshape", ["waveform", "shape"], ["map"]),
            onnx.helper.make_node("Conv", ["map", "one"], ["same"], "/same"),
            onnx.helper.make_node("Reshape", ["same", "flat"], ["task"]),
        ],
        "same",
        [onnx.helper.make_tensor_value_info("waveform", onnx.TensorProto.FLOAT, ["batch", 100])],
        [onnx.helper.make_tensor_value_info("task", onnx.TensorProto.FLOAT, ["batch", 100])],
        [onnx.numpy_helper.from_array(value, name) for name, value in names.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    content = quantize_convolutions(model.SerializeToString(), "waveform", windows)
    (found,) = onnxruntime.InferenceSession(content).run(["task"], {"waveform": rows})
    assert 0 < np.sqrt(np.square(found - rows).mean()) < 0.1  # the steps that 300 asks for leave 0.34


def without_recordings(checkpoint: Checkpoint, tmp_path: Path) -> Checkpoint:
    """The same model; the recordings of its manifest are not there."""
    (tmp_path / "gone.csv").write_text("path,split,label,is_low\na.wav,valid,low,yes\nb.wav,train,mid,no\n")
    gone = {"manifest": str(tmp_path / "gone.csv")}
    tasks = {name: task.model_copy(update=gone) for name, task in checkpoint.recipe.tasks.items()}
    recipe = checkpoint.recipe.model_copy(update={"tasks": tasks})
    return Checkpoint(checkpoint.path, checkpoint.model, recipe, checkpoint.classes, checkpoint.step, {})


def test_without_recordings_it_says_what_it_was_verified_on(checkpoint: Checkpoint, tmp_path: Path) -> None:
    found = export_run(without_recordings(checkpoint, tmp_path), tmp_path / "m.onnx").verification
    assert found.n_recorded == 0
    assert found.note is not None
    assert "synthetic signals alone" in found.note


def test_int8_needs_recordings(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="int8 needs recordings"):
        export_run(without_recordings(checkpoint, tmp_path), tmp_path / "m.onnx", quantize=True)
    assert not (tmp_path / "m.onnx").exists()


def test_the_command_shows_the_forms_side_by_side(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "export", trained, "--out", tmp_path / "m.onnx", "--json", tmp_path / "m.json") == 0
    assert "logits of ONNX and torch differ by at most" in capsys.readouterr().out
    told = json.loads((tmp_path / "m.json").read_text())
    assert told["variants"][1]["n_bytes"] == (tmp_path / "m.onnx").stat().st_size


MISTAKES = {
    "opset too low": (["--opset", "9"], "--opset 9: expected 13 to 21"),
    "opset too high": (["--opset", "99"], "--opset 99: expected 13 to 21"),
    "other quantization": (["--quantize", "int4"], "'int4' is not"),
    "name without .onnx": (["--out", "{tmp}/model.bin"], "ends in .onnx"),
    "no such folder": (["--out", "{tmp}/none/m.onnx"], "no such folder"),
    "no such run": (["--checkpoint", "newest"], "'newest' is not one of 'best', 'last'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_clear_message(
    mistake: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, told = MISTAKES[mistake]
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    assert run(monkeypatch, "export", trained, "--out", tmp_path / "m.onnx", *arguments) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_exported_model(tmp_path: Path, checkpoint: Checkpoint) -> None:
    with pytest.raises(UserError, match="no such file"):
        OnnxModel(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(UserError, match="not an ONNX model"):
        OnnxModel(tmp_path / "text.onnx")
    export_run(checkpoint, tmp_path / "m.onnx")
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "m.onnx").read_bytes()[:5000])
    with pytest.raises(UserError, match="not an ONNX model"):
        OnnxModel(tmp_path / "cut.onnx")
    graph = onnx.load(tmp_path / "m.onnx")
    del graph.metadata_props[:]
    with pytest.raises(UserError, match="audiostride export"):
        OnnxModel.from_bytes(graph.SerializeToString(), tmp_path / "other.onnx")


def test_onnx_model_imports_no_torch(checkpoint: Checkpoint, tmp_path: Path) -> None:
    export_run(checkpoint, tmp_path / "m.onnx")
    code = (
        "import sys, numpy; from audiostride.prediction.onnx_model import OnnxModel;"
        f"OnnxModel({str(tmp_path / 'm.onnx')!r}).logits(numpy.zeros((1, 16000), 'float32'));"
        "print([m for m in ('torch', 'torchaudio', 'librosa', 'onnx') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_without_onnxruntime_the_pip_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "m.onnx").write_bytes(b"x")
    with pytest.raises(UserError, match=r"pip install .*onnxruntime"):
        OnnxModel(tmp_path / "m.onnx")


STRANGE = {
    "classes null": {"classes": "null"},
    "classes numbers": {"classes": '{"tone": [1, 2, 3], "low": ["no", "yes"]}'},
    "more classes than columns": {"classes": '{"tone": ["a", "b", "c", "d"], "low": ["no", "yes"]}'},
    "a class twice": {"classes": '{"tone": ["a", "a", "b"], "low": ["no", "yes"]}'},
    "other tasks": {"classes": '{"bird": ["a", "b", "c"], "low": ["no", "yes"]}'},
    "a task less": {"classes": '{"tone": ["a", "b", "c"]}'},
    "half of a surrogate pair": {"classes": r'{"tone": ["a", "b", "\ud800"], "low": ["no", "yes"]}'},
    "temperature 0": {"temperatures": '{"tone": 0, "low": 1.0}'},
    "temperature NaN": {"temperatures": '{"tone": NaN, "low": 1.0}'},
    "temperature null": {"temperatures": '{"tone": null, "low": 1.0}'},
    "temperature text": {"temperatures": '{"tone": "warm", "low": 1.0}'},
    "no temperature of a task": {"temperatures": '{"tone": 1.0}'},
    "temperatures a list": {"temperatures": "[1, 2]"},
    "rate 0": {"sample_rate": "0"},
    "rate of a gigahertz": {"sample_rate": "1000000000"},
    "rate text": {"sample_rate": "fast"},
    "window of another length": {"n_window": "8000"},
    "window negative": {"n_window": "-1"},
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_metadata_are_refused_in_one_line(name: str, exported: bytes) -> None:
    graph = onnx.ModelProto.FromString(exported)
    for entry in graph.metadata_props:
        entry.value = STRANGE[name].get(entry.key, entry.value)
    with pytest.raises(UserError, match=r"^x\.onnx: its metadata are damaged .*$"):
        OnnxModel.from_bytes(graph.SerializeToString(), Path("x.onnx"))


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    export_run(load_run(trained), path)
    return path.read_bytes()


def test_large_logits_may_differ_by_their_share(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        checkpoint.model.heads["task_low"].weight.mul_(3000)
    result = export_run(checkpoint, tmp_path / "m.onnx")
    assert result.verification.largest_logit > 100


def test_an_exported_model_is_evaluated_on_a_manifest(
    trained: Path, exported: bytes, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.onnx").write_bytes(exported)
    files = tmp_path / "run.json", tmp_path / "onnx.json"
    assert run(monkeypatch, "eval", trained, "--json", files[0]) == 0
    assert run(monkeypatch, "eval", tmp_path / "m.onnx", "--manifest", corpus, "--json", files[1]) == 0
    of_run, of_onnx = (json.loads(file.read_text())["tasks"] for file in files)
    for task in ("tone", "low"):
        assert of_onnx[task]["confusion"] == of_run[task]["confusion"]
        assert of_onnx[task]["ece"] == pytest.approx(of_run[task]["ece"], abs=1e-4)


@pytest.mark.parametrize(
    "command", [["predict", "a.wav", "--out", "out"], ["serve", "--port", "0"], ["listen"], ["eval"]]
)
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--device", "cuda"], "--device cuda: an exported model computes on the CPU, expected auto or cpu"),
        (["--checkpoint", "last"], "--checkpoint last: an exported model holds one checkpoint, which export chose"),
    ],
)
def test_what_only_runs_have_is_refused(
    command: list[str],
    options: list[str],
    told: str,
    exported: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(exported)
    Path("a.wav").touch()
    name, *arguments = command
    assert run(monkeypatch, name, "m.onnx", *arguments, *options) == 2
    assert told in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["eval"], "an exported model does not know its recordings; name a manifest"),
        (["compare"], "an exported model; this needs the run that it was exported from"),
        (["report", "--out", "{tmp}/x.html"], "an exported model; this needs the run that it was exported from"),
        (["strides"], "an exported model; this needs the run that it was exported from"),
    ],
)
def test_what_an_exported_model_lacks_is_said(
    command: list[str],
    told: str,
    exported: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "m.onnx").write_bytes(exported)
    name, *options = (word.format(tmp=tmp_path) for word in command)
    assert run(monkeypatch, name, tmp_path / "m.onnx", *options) == 2
    assert told in capsys.readouterr().err
