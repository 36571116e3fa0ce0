"""`audiostride predict` from end to end, and what it answers to mistakes and hostile files."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.cli import main as cli
from audiostride.cli.console import counted
from audiostride.cli.predict import parse_shard
from audiostride.errors import UserError
from tests.program import run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_from_a_folder_to_tables(
    untrained: Path, field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "predict", untrained, field, "--out", tmp_path / "out", "--task", "tone", "--top-k", "1"
    assert run(monkeypatch, *arguments) == 0
    files = rows(tmp_path / "out/files.csv")
    assert [Path(row["path"]).relative_to(field).as_posix() for row in files] == [
        *("monday/rec.wav", "stereo.wav", "tuesday/night/long.ogg", "tuesday/rec.flac", "tuesday/rec.wav")
    ]
    assert {row["task"] for row in files} == {"tone"}
    assert "5 recordings predicted" in capsys.readouterr().err
    assert run(monkeypatch, *arguments) == 0
    assert "5 recordings predicted before, nothing to do" in capsys.readouterr().err


def test_a_task_without_a_temperature_is_noted(
    untrained: Path, field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "predict", untrained, field / "stereo.wav", "--out", tmp_path / "out")
    assert capsys.readouterr().err.splitlines()[0] == "task place: its probabilities are not calibrated"


def test_clips_are_cut_and_counted(
    untrained: Path, field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "predict", untrained, field, "--out", tmp_path / "out", "--task", "place", "--clips", tmp_path / "clips"
    assert run(monkeypatch, *arguments, "--clips-per-class", "1") == 0
    clips = list((tmp_path / "clips").glob("*/*.wav"))
    n_classes = len({row["class"] for row in rows(tmp_path / "out/detections.csv")})
    assert len(clips) == n_classes > 0
    assert f"clips: {counted(n_classes, 'clip')}, {n_classes} of them new" in capsys.readouterr().err
    assert run(monkeypatch, *arguments, "--clips-per-class", "1") == 0
    assert f"clips: {counted(n_classes, 'clip')}, 0 of them new" in capsys.readouterr().err


def test_ranks_of_torchrun_are_shards(
    untrained: Path, field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert run(monkeypatch, "predict", untrained, field, "--out", tmp_path) == 0
    paths = {row["path"] for row in rows(tmp_path / "files-2-of-3.csv")}
    assert paths == {str(field / "stereo.wav"), str(field / "tuesday/rec.wav")}


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE"])
@pytest.mark.parametrize("value", ["4", "", "x"])
def test_one_variable_alone_is_no_torchrun(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    assert parse_shard(None) == (1, 1)
    assert parse_shard("2/3") == (2, 3)


@pytest.mark.parametrize(
    ("rank", "n"), [("5", "2"), ("2", "2"), ("0", "0"), ("0", ""), ("", "2"), ("-1", "2"), ("0", "x")]
)
def test_a_rank_that_cannot_be_is_told(rank: str, n: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", n)
    with pytest.raises(UserError, match=f"RANK={rank} and WORLD_SIZE={n}: expected a number"):
        parse_shard(None)
    assert parse_shard("2/3") == (2, 3)


def test_hostile_files_are_named_and_the_rest_goes_on(
    untrained: Path, field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 20000)
    good = {
        "8 bits.wav": (sound, 16000, "PCM_U8"),
        "24.wav": (sound, 16000, "PCM_24"),
        "six.wav": (np.stack([sound] * 6, 1), 16000, "PCM_16"),
        "fast.wav": (np.tile(sound, 10), 192000, "PCM_16"),
        " ünïcode 鳥 .wav": (sound, 16000, "PCM_16"),
        "tab\there\nnew.wav": (sound, 16000, "PCM_16"),
        "x.wav/inside.wav": (sound, 16000, "PCM_16"),
    }
    for name, (samples, rate, subtype) in good.items():
        (folder / name).parent.mkdir(exist_ok=True)
        sf.write(folder / name, samples, rate, subtype=subtype)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("no audio\n" * 100)
    sf.write(folder / "nan.wav", np.append(sound, np.nan), 16000, subtype="FLOAT")
    sf.write(folder / "slow.wav", sound[:3], 2**31 - 1)  # shorter than a sample
    for name in ("monday/rec.wav", "tuesday/rec.flac", "tuesday/night/long.ogg"):
        content = (field / name).read_bytes()
        (folder / f"cut{Path(name).suffix}").write_bytes(content[: len(content) // 2])
    (folder / "gone.wav").symlink_to("nowhere")
    (folder / "round.wav").symlink_to("round.wav")
    (folder / "x.wav/up").symlink_to(folder)
    os.mkfifo(folder / "pipe.wav")
    assert run(monkeypatch, "predict", untrained, folder, folder / "pipe.wav", "--out", tmp_path / "out") == 1
    reasons = {Path(row["path"]).name: row["reason"] for row in rows(tmp_path / "out/failed.csv")}
    assert reasons.pop("empty.wav") == "empty file (0 bytes)"
    assert reasons.pop("text.wav").startswith("not audio")
    assert reasons.pop("nan.wav") == "NaN or infinite sample at 1.250 s"
    assert reasons.pop("slow.wav") == "shorter than one sample at 16000 Hz"
    assert {reasons.pop(name) for name in ("gone.wav", "round.wav")} == {"a link without a target"}
    assert reasons.pop("pipe.wav") == "not a file"
    assert set(reasons) == {"cut.wav", "cut.flac", "cut.ogg"}
    assert {row["path"] for row in rows(tmp_path / "out/files.csv")} == {str(folder / name) for name in good}
    told = capsys.readouterr().err
    assert "10 recordings cannot be used" in told
    assert f"  {folder / 'empty.wav'}: empty file (0 bytes)" in told
    assert "Traceback" not in told


MISTAKES = {
    # name: (arguments, part of the message); {run}, {in}, {tmp} are filled in
    "no such path": (["{run}", "{in}", "{tmp}/none", "--out", "{tmp}/out"], "none: no such file"),
    "no match": (["{run}", "{tmp}/*.wav", "--out", "{tmp}/out"], "*.wav: no such file"),
    "no recordings": (["{run}", "{tmp}", "--out", "{tmp}/out"], "a folder without recordings"),
    "no run": (["{tmp}/none", "{in}", "--out", "{tmp}/out"], "no such run"),
    "a recording first": (
        ["{in}/stereo.wav", "{run}", "--out", "{tmp}/out"],
        "stereo.wav: not a model; expected an .onnx file",
    ),
    "no exported model": (["{tmp}/none.onnx", "{in}", "--out", "{tmp}/out"], "none.onnx: no such file"),
    "unknown format": (
        ["{run}", "{in}", "--out", "{tmp}/out", "--format", "xls"],
        "'xls' is not one of 'csv', 'jsonl'",
    ),
    "unknown task": (["{run}", "{in}", "--out", "{tmp}/out", "--task", "dog"], "--task dog"),
    "top-k": (["{run}", "{in}", "--out", "{tmp}/out", "--top-k", "0"], "--top-k 0"),
    "threshold": (["{run}", "{in}", "--out", "{tmp}/out", "--threshold", "nan"], "--threshold nan"),
    "window": (["{run}", "{in}", "--out", "{tmp}/out", "--window-s", "0"], "--window-s 0"),
    "hop": (["{run}", "{in}", "--out", "{tmp}/out", "--hop-s", "-1"], "--hop-s -1"),
    "shard of zero": (["{run}", "{in}", "--out", "{tmp}/out", "--shard", "0/4"], "--shard 0/4"),
    "shard beyond": (["{run}", "{in}", "--out", "{tmp}/out", "--shard", "5/4"], "--shard 5/4"),
    "shard of what": (["{run}", "{in}", "--out", "{tmp}/out", "--shard", "2"], "expected I/N"),
    "clips in a file": (
        ["{run}", "{in}", "--out", "{tmp}/out", "--clips", "{run}/checkpoints/best.safetensors"],
        "best.safetensors: no folder that can be written to",
    ),
    "clips in the results": (
        ["{run}", "{in}", "--out", "{tmp}/out", "--clips", "{tmp}/out"],
        "the folder of the results",
    ),
    "clips among recordings": (
        ["{run}", "{in}", "--out", "{tmp}/out", "--clips", "{in}/clips"],
        "/clips: within ",
    ),
    "pad": (
        ["{run}", "{in}", "--out", "{tmp}/out", "--clips", "{tmp}/c", "--clip-pad", "-1"],
        "--clip-pad -1: expected",
    ),
    "pad of nothing": (["{run}", "{in}", "--out", "{tmp}/out", "--clip-pad", "1"], "--clip-pad 1: needs --clips DIR"),
    "no clips": (
        ["{run}", "{in}", "--out", "{tmp}/out", "--clips", "{tmp}/c", "--clips-per-class", "0"],
        "--clips-per-class 0: expected 1 to",
    ),
    "clips of nothing": (
        ["{run}", "{in}", "--out", "{tmp}/out", "--clips-per-class", "9"],
        "--clips-per-class 9: needs --clips DIR",
    ),
    "jobs": (["{run}", "{in}", "--out", "{tmp}/out", "--jobs", "0"], "--jobs 0"),
    "checkpoint": (
        ["{run}", "{in}", "--out", "{tmp}/out", "--checkpoint", "new"],
        "'new' is not one of 'best', 'last'",
    ),
    "device": (["{run}", "{in}", "--out", "{tmp}/out", "--device", "tpu"], "--device tpu"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_clear_message_before_anything_is_done(
    mistake: str,
    untrained: Path,
    field: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, message = MISTAKES[mistake]
    places = {"run": untrained, "in": field, "tmp": tmp_path}
    assert run(monkeypatch, "predict", *(argument.format(**places) for argument in arguments)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_a_wrong_model_is_told_before_files_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    (tmp_path / "notes.txt").touch()
    assert run(monkeypatch, "predict", tmp_path / "none", tmp_path, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'none'}: no such run")


@pytest.mark.parametrize(("option", "value"), [("--sample-rate", "999"), ("--channels", "0"), ("--threshold", "2")])
def test_mistakes_of_listen(
    option: str, value: str, untrained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "listen", untrained, option, value) == 2
    assert f"{option} {value}" in capsys.readouterr().err


def test_another_encoding_of_listen(
    untrained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "listen", untrained, "--encoding", "u8") == 2
    assert "'u8' is not one of 's16le', 'f32le'" in capsys.readouterr().err


ONNX_STANDIN = """
import numpy as np

from audiostride.evaluation.traits import Traits

class OnnxModel:
    sample_rate, n_window, min_window, takes_any_window = 16000, 16000, 16000, False
    classes, temperatures, traits = {"level": ("quiet", "loud")}, {"level": 2.0}, {"level": Traits()}

    def __init__(self, path):
        self.path = path

    def logits(self, windows):
        return {"level": np.stack([0 * windows[:, 0], windows.max(axis=1)], axis=1)}
"""


def test_an_exported_model_predicts_without_torch(field: Path, tmp_path: Path) -> None:
    """With a stand-in for the class that reads it: torch must not be imported on the way, nor what draws."""
    (tmp_path / "m.onnx").write_bytes(b"model")
    (tmp_path / "standin.py").write_text(ONNX_STANDIN)
    code = (
        "import sys, standin; sys.modules['audiostride.prediction.onnx_model'] = standin;"
        "from audiostride.cli import main;"
        f"sys.argv = ['audiostride', 'predict', 'm.onnx', {str(field)!r}, '--out', 'out', '--hop-s', '1'];\n"
        "try: main.main()\n"
        "finally: print([m for m in ('torch', 'torchaudio', 'librosa', 'matplotlib') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": f"{Path(cli.__file__).parents[2]}:{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]", done.stderr
    assert len(rows(tmp_path / "out/files.csv")) == 5 * 2
