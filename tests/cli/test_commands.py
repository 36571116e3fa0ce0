"""The commands from end to end, and what they answer to mistakes."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiostride.runs.checkpoint import load_run
from tests.checkpoints import recalibrate
from tests.program import run


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, trained by the program itself."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = folder / "tone.yaml"
    recipe.write_text(
        f"tasks: {{tone: {{manifest: {corpus}}}}}\n"
        f"data: {{cache_dir: {folder / 'cache'}}}\n"
        "frontend: {normalization: standard}\n"
        "model: {width: 0.06, ramp: inside}\n"
        "training: {steps: 30, batch_size: 12, learning_rate: 0.01, validate_every: 30, log_every: 10}\n"
    )
    command = [sys.executable, "-m", "audiostride.cli.main", "train", str(recipe), "--run-dir", str(folder / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.parametrize(
    "arguments",
    [
        ["strides", "{run}"],
        ["eval", "{run}"],
        ["compare", "{run}"],
        ["thresholds", "{run}", "--target", "f1"],
        ["report", "{run}", "--out", "{tmp}/a.html"],
        ["export", "{run}", "--out", "{tmp}/a.onnx"],
        ["predict", "{run}", "{corpus}", "--out", "{tmp}/out"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_missing_best_checkpoint_is_named_with_the_one_in_its_place(
    arguments: list[str],
    trained: Path,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    copy = shutil.copytree(trained, tmp_path / "run")
    (copy / "checkpoints" / "best.safetensors").unlink()
    filled = [argument.format(run=copy, tmp=tmp_path, corpus=corpus.parent) for argument in arguments]
    note = f"{copy}: there is no best.safetensors, so last.safetensors is used\n"
    assert run(monkeypatch, *filled) == 0
    assert capsys.readouterr().err.count(note) == 1


def test_no_checkpoint_is_named_where_the_asked_for_one_is_there(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for which in ("best", "last"):
        assert run(monkeypatch, "strides", trained, "--checkpoint", which, "--json", "-") == 0
        assert capsys.readouterr().err == ""


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys; from audiostride.cli import main;"
        "print([m for m in ('torch', 'librosa', 'numpy', 'pydantic', 'rich', 'pooch', 'requests') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_import_leaves_compiler_librosa_and_matplotlib_alone() -> None:
    code = (
        "import sys, audiostride; audiostride.DiffStride, audiostride.AudioClassifier, audiostride.score_run;"
        "print([m for m in ('torch._dynamo', 'torch._inductor', 'librosa', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_eval_prints_json_and_nothing_else(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "eval", trained, "--json", "-") == 0
    task = json.loads(capsys.readouterr().out)["tasks"]["tone"]
    assert (task["n_files"], task["majority_accuracy"]) == (6, pytest.approx(1 / 3))
    assert task["accuracy"] == pytest.approx(np.trace(task["confusion"]) / 6)


def test_the_tiny_corpus_is_learned(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "eval", trained, "--split", "train", "--json", "-")
    assert json.loads(capsys.readouterr().out)["tasks"]["tone"]["accuracy"] > 0.6


def test_predictions_agree_with_the_score(trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = tmp_path / "scores.json", tmp_path / "predictions.csv"
    assert run(monkeypatch, "eval", trained, "--json", files[0], "--predictions", files[1]) == 0
    task = json.loads(files[0].read_text())["tasks"]["tone"]
    rows = list(csv.DictReader(files[1].read_text().splitlines()))
    assert sum(row["label"] == row["predicted"] for row in rows) / len(rows) == pytest.approx(task["accuracy"])
    assert sum(int(row["n_windows"]) for row in rows) == task["n_windows"]


def test_eval_tells_the_error_before_and_after_calibration(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tmp_path / "scores.json", tmp_path / "predictions.csv"
    assert run(monkeypatch, "eval", trained, "--split", "valid", "--json", files[0], "--predictions", files[1]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    task = json.loads(files[0].read_text())["tasks"]["tone"]
    fitted = json.loads((trained / "calibration.json").read_text())["tasks"]["tone"]
    assert task["ece"] == pytest.approx(fitted["ece_before"], abs=1e-3)
    assert fitted["kept"] or task["ece_calibrated"] == task["ece"]
    shares = [float(row["probability"]) for row in csv.DictReader(files[1].read_text().splitlines())]
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    shutil.copy(trained / "checkpoints/best.safetensors", tmp_path / "run/checkpoints")
    recalibrate(tmp_path / "run", {})
    run(monkeypatch, "eval", tmp_path / "run", "--split", "valid", "--json", files[0], "--predictions", files[1])
    assert json.loads(files[0].read_text())["tasks"]["tone"]["ece_calibrated"] is None
    raw = [float(row["probability"]) for row in csv.DictReader(files[1].read_text().splitlines())]
    colder = fitted["temperature"] < 1
    assert all((a > b) == colder for a, b in zip(shares, raw, strict=True))


def test_overlapping_windows_are_more(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    n_windows = []
    for hop_s in ("1.0", "0.25"):
        run(monkeypatch, "eval", trained, "--hop-s", hop_s, "--json", "-")
        n_windows.append(json.loads(capsys.readouterr().out)["tasks"]["tone"]["n_windows"])
    assert n_windows[1] > n_windows[0]


def test_strides_json_has_a_row_per_block_and_axis(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "strides", trained, "--json", "-") == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert [(layer["block"], layer["axis"]) for layer in layers] == [
        (block, axis) for block in range(1, 7) for axis in ("time", "frequency")
    ]
    assert {layer["cutoff_unit"] for layer in layers if layer["axis"] == "frequency"} == {"cycles/band"}
    assert layers[0]["cutoff"] == pytest.approx(50 / layers[0]["effective_stride"])
    assert layers[1]["cutoff_cycles_per_octave"] == pytest.approx(layers[1]["cutoff"] * 10.95, rel=0.01)


def test_class_names_in_brackets_are_shown(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run/checkpoints/best.safetensors"
    path.write_bytes(path.read_bytes().replace(b"mid", b"[/]"))
    manifest = tmp_path / "m.csv"
    text = Path(load_run(trained).recipe.tasks["tone"].manifest).read_text()
    manifest.write_text(text.replace(",mid", ",[/]"))
    root = Path(load_run(trained).recipe.tasks["tone"].manifest).parent
    (tmp_path / "clips").symlink_to(root)
    manifest.write_text(re.sub(r"^(?=\w+_)", "clips/", manifest.read_text(), flags=re.M))
    assert run(monkeypatch, "eval", tmp_path / "run", "--manifest", manifest) == 0
    assert "[/]" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--json", "--predictions"])
@pytest.mark.parametrize(("target", "told"), [("none/x", "no such folder"), (".", "a folder"), ("", "a folder")])
def test_an_output_that_cannot_be_written_is_told_before_the_work(
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    target: str,
    told: str,
) -> None:
    assert run(monkeypatch, "eval", trained, option, target) == 2
    written = capsys.readouterr()
    assert written.err.startswith(option)
    assert told in written.err
    assert written.out == ""


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_dry_run_shows_layers_and_writes_nothing(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(monkeypatch, "train", recipe_file, "--run-dir", tmp_path / "run", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "block 6 frequency" in shown
    assert not (tmp_path / "run").exists()


def test_dry_run_of_a_batch_that_the_memory_cannot_hold_tells_the_cure(
    recipe_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("audiostride.training.dry_run.forward_backward", full)
    assert run(monkeypatch, "train", recipe_file, "--dry-run") == 2
    assert "training.accumulate" in capsys.readouterr().err


def test_training_ends_with_what_comes_next(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert run(monkeypatch, "train", recipe_file, "--run-dir", folder, "--set", "training.steps=1") == 0
    _, _, told = capsys.readouterr().err.rpartition("next:\n")
    assert told.splitlines() == [
        f"  audiostride eval {folder}",
        f"  audiostride strides {folder}",
        f"  audiostride predict {folder} RECORDINGS --out results",
        f"  audiostride export {folder} --out run.onnx",
    ]


def test_dry_run_begins_from_the_run_that_the_recipe_names(
    trained: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "fine.yaml"
    recipe.write_text(f"init_from: {trained}\ntasks: {{low: {{manifest: {corpus}, label: is_low}}}}\n")
    settings = ["--set", "training.batch_size=4", "--set", f"data.cache_dir={tmp_path / 'cache'}", "--dry-run"]
    assert run(monkeypatch, "train", recipe, *settings) == 0
    assert " 31 x " in capsys.readouterr().out  # a width of 0.06
    assert run(monkeypatch, "train", recipe, *settings, "--set", "model.width=0.1") == 2
    assert "model.width: 0.1 in the recipe, 0.06 in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["scan", "{manifest}", "--json", "{manifest}"],
        ["scan", "{manifest}", "--quarantine", "{manifest}"],
        ["scan", "{manifest}", "--quarantine", "{tmp}/q", "--json", "{tmp}/q"],
        ["eval", "{run}", "--json", "{run}/checkpoints/last.safetensors"],
        ["eval", "{run}", "--manifest", "{manifest}", "--predictions", "{manifest}"],
        ["eval", "{run}", "--predictions", "{tmp}/q", "--json", "{tmp}/q"],
        ["eval", "{run}", "--events", "{tmp}", "--plot", "{tmp}/q.png", "--json", "{tmp}/q.png"],
        ["export", "{run}", "--out", "{tmp}/q.onnx", "--json", "{tmp}/q.onnx"],
        ["init", "{manifest}", "--output", "{tmp}/q", "--manifest", "{tmp}/q"],
        ["strides", "{run}", "--json", "{run}/metrics.jsonl"],
    ],
    ids=" ".join,
)
def test_no_output_replaces_an_input(
    arguments: list[str],
    trained: Path,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"manifest": tmp_path / "m.csv", "run": trained, "tmp": tmp_path}
    shutil.copy(corpus, places["manifest"])
    before = {path: path.read_bytes() for path in (places["manifest"], *trained.rglob("*")) if path.is_file()}
    assert run(monkeypatch, *(argument.format(**places) for argument in arguments)) == 2
    assert "which the command reads or writes; expected another file" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["scan", "{manifest}"], "--quarantine"),
        (["eval", "{run}"], "--predictions"),
        (["eval", "{run}", "--events", "."], "--plot"),
        (["compare", "{run}"], "--csv"),
        (["compare", "{run}"], "--plot"),
        (["strides", "{run}"], "--freeze"),
        (["report", "{run}"], "--out"),
        (["prepare", "folder", "."], "--out"),
    ],
)
def test_what_goes_to_files_alone_is_told_of_standard_output(
    arguments: list[str],
    option: str,
    trained: Path,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"manifest": corpus, "run": trained}
    assert run(monkeypatch, *(argument.format(**places) for argument in arguments), option, "-") == 2
    written = capsys.readouterr()
    assert f"{option} -: is not written to standard output, expected the name of a file" in written.err
    assert written.out == ""
    assert not list(tmp_path.iterdir())


def test_prepare_tells_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/esc50.csv").write_text("filename,fold,category\na.wav,1,dog\nb.wav,5,cat\n")
    assert run(monkeypatch, "prepare", "esc50", tmp_path) == 0
    told = capsys.readouterr().err
    assert "2 recordings are missing, the first is" in told
    assert "no clip in the split valid" in told


def test_prepare_demo_then_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "prepare", "demo", tmp_path / "demo") == 0
    assert (tmp_path / "demo/notes.csv").exists()
    assert "pitch" in capsys.readouterr().out


MISTAKES = {
    # name: (arguments, exit code, part of the message); {run}, {recipe}, {tmp} are filled in
    "no recipe": (["train", "{tmp}/none.yaml"], 2, "none.yaml"),
    "folder as recipe": (["train", "{tmp}"], 2, "recipe"),
    "unknown key": (["train", "{recipe}", "--set", "model.widht=1"], 2, "did you mean 'width'"),
    "bad value": (["train", "{recipe}", "--set", "model.width=-1"], 2, "model.width: got -1"),
    "no equals sign": (["train", "{recipe}", "--set", "model.width"], 2, "key=value"),
    "no manifest": (["train", "{recipe}", "--set", "tasks.tone.manifest=/none.csv"], 2, "/none.csv"),
    "no label column": (["train", "{recipe}", "--set", "tasks.tone.label=colour"], 2, "'colour'"),
    "unknown device": (["train", "{recipe}", "--device", "tpu"], 2, "--device tpu"),
    "resume nothing": (["train", "{recipe}", "--run-dir", "{tmp}/none", "--resume"], 2, "holds no run"),
    "existing run": (["train", "{recipe}", "--run-dir", "{run}"], 2, "--overwrite"),
    "no run": (["eval", "{tmp}/none"], 2, "no such run"),
    "folder that is no run": (["eval", "{tmp}"], 2, "not a run folder"),
    "file that is no checkpoint": (["strides", "{recipe}"], 2, "not a checkpoint"),
    "unknown split": (["eval", "{run}", "--split", "dev"], 2, "splits: test, train, valid"),
    "unknown task": (["eval", "{run}", "--task", "dogs"], 2, "expected one of tone"),
    "manifest without the label": (["eval", "{run}", "--manifest", "{tmp}/other.csv"], 2, "no label column"),
    "unknown label": (["eval", "{run}", "--manifest", "{tmp}/strange.csv"], 1, "does not know the label(s) fish"),
    "missing recordings": (["eval", "{run}", "--manifest", "{tmp}/missing.csv"], 1, "1 of 1 recordings are missing"),
    "window too short": (["eval", "{run}", "--window-s", "0.001"], 2, "--window-s"),
    "hop of zero": (["eval", "{run}", "--hop-s", "0"], 2, "--hop-s"),
    "unknown checkpoint": (["eval", "{run}", "--checkpoint", "newest"], 2, "'newest' is not one of 'best', 'last'"),
    "unknown data set": (["prepare", "nonsense", "{tmp}"], 2, "speech_commands"),
    "no such fold": (
        ["prepare", "esc50", "{tmp}", "--download", "--test-fold", "9"],
        2,
        "--test-fold 9: expected 1 to 5",
    ),
    "one fold twice": (
        ["prepare", "esc50", "{tmp}", "--test-fold", "4"],
        2,
        "--valid-fold 4, --test-fold 4: expected two",
    ),
    "not that data set": (["prepare", "speech_commands", "{tmp}"], 2, "validation_list.txt"),
    "unwritable json": (["strides", "{run}", "--json", "{tmp}/none/x.json"], 2, "--json"),
    "unknown option": (["train", "{recipe}", "--fast"], 2, "--fast"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_clear_message(
    mistake: str,
    trained: Path,
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "other.csv").write_text("path,split,species\na.wav,test,wren\n")
    (tmp_path / "strange.csv").write_text("path,split,label\na.wav,test,fish\n")
    (tmp_path / "missing.csv").write_text("path,split,label\na.wav,test,low\n")
    arguments, code, message = MISTAKES[mistake]
    places = {"tmp": tmp_path, "recipe": recipe_file, "run": trained}
    assert run(monkeypatch, *(argument.format(**places) for argument in arguments)) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err


def test_bad_file_is_named_and_stops_the_evaluation(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"")
    sf.write(tmp_path / "good.wav", np.zeros(16000), 16000)
    (tmp_path / "m.csv").write_text("path,split,label\nbad.wav,test,low\ngood.wav,test,low\n")
    assert run(monkeypatch, "eval", trained, "--manifest", tmp_path / "m.csv") == 1
    assert f"{tmp_path / 'bad.wav'}: empty file (0 bytes)" in capsys.readouterr().err


def test_bad_files_are_left_out_as_far_as_allowed(
    recipe_file: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus.parent / "bad.wav").write_bytes(b"no audio")
    manifest = corpus.with_name("with_bad.csv")
    manifest.write_text(corpus.read_text() + "bad.wav,train,no,low\ngone.wav,train,no,low\ngone.wav,test,no,low\n")
    arguments = ["train", recipe_file, "--run-dir", tmp_path / "run", "--set", f"tasks.tone.manifest={manifest}"]
    assert run(monkeypatch, *arguments) == 1
    assert not (tmp_path / "run").exists()
    assert run(monkeypatch, *arguments, "--set", "data.max_bad_files=2") == 0
    assert "2 recording(s) left out" in capsys.readouterr().err
    assert run(monkeypatch, "eval", tmp_path / "run") == 0
    assert f"1 recording(s) left out:\n  {corpus.parent / 'gone.wav'}: no such file" in capsys.readouterr().err


def test_long_recording_is_evaluated_window_by_window(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with sf.SoundFile(tmp_path / "long.wav", "w", 16000, 1) as file:
        for _ in range(20):
            file.write(np.zeros(16000 * 30))
    (tmp_path / "m.csv").write_text("path,split,label\nlong.wav,test,low\n")
    assert run(monkeypatch, "eval", trained, "--manifest", tmp_path / "m.csv", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["tasks"]["tone"]["n_windows"] == 600


def test_eval_says_when_a_model_is_no_better_than_always_one_class(
    trained: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.csv").write_text(f"path,split,label\n{corpus.parent / 'low_test0.wav'},test,high\n")
    assert run(monkeypatch, "eval", trained, "--manifest", tmp_path / "m.csv", "--json", tmp_path / "a.json") == 0
    accuracy = json.loads((tmp_path / "a.json").read_text())["tasks"]["tone"]["accuracy"]
    assert ("no better than always 'high'" in capsys.readouterr().out) == (accuracy <= 1)
