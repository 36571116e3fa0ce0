"""`audiostride eval --events` from end to end, and what it answers to mistakes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.data.manifest import read_manifest
from tests.program import run
from tests.runs.sounds import track

SECONDS = 6


@pytest.fixture(scope="module")
def annotated(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two new recordings with tones, a clip of the training with a table, and a name that no model knows."""
    folder = tmp_path_factory.mktemp("annotated")
    t = np.arange(SECONDS * 16000) / 16000
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(t))
    for name, frequency_hz in (("one", 300), ("two", 2700)):
        tone = 0.3 * np.sin(2 * np.pi * frequency_hz * t) * ((t > 2) & (t < 4))
        sf.write(folder / f"{name}.wav", tone + noise, 16000)
    track(folder / "one.txt", (2, 4, "deep"), (5, 5.5, "rain"))
    track(folder / "two.txt", (2, 4, "high"))
    clip = next(clip for clip in read_manifest(corpus).clips if clip.split == "train")
    (folder / "trained.wav").symlink_to(clip.path)
    track(folder / "trained.txt", (0, 0.5, "high"))
    return folder


@pytest.fixture
def tone(trained_runs: Path) -> Path:
    return trained_runs / "learned-0"


def test_from_annotations_to_tables_json_and_drawing(
    tone: Path, annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tmp_path / "e.json", tmp_path / "det.svg"
    arguments = "--events", annotated, "--map", "deep=low", "--json", files[0], "--plot", files[1]
    assert run(monkeypatch, "eval", tone, *arguments, "--threshold", 0.3, "--hop-s", 0.25) == 0
    written = capsys.readouterr()
    assert max(map(len, written.out.splitlines())) <= 80
    assert "1 of 3 recordings left out: in another split than test (train 1)" in written.err
    assert "2 recording(s) in no manifest of the run: they count" in written.err
    assert "1 span(s) of classes unknown to the task, neither hits nor misses: rain (1)" in written.err
    assert "without annotated events, not in the mean: mid" in written.out
    assert files[1].read_text().startswith("<?xml")
    content = json.loads(files[0].read_text())
    assert (content["task"], content["n_recordings"], content["hop_s"]) == ("tone", 2, 0.25)
    assert content["hours"] == pytest.approx(2 * SECONDS / 3600)
    of_class = content["classes"]
    assert {name: of["n_annotated"] for name, of in of_class.items()} == {"low": 1, "mid": 0, "high": 1}
    assert all(of["n_hits"] + of["n_misses"] == of["n_annotated"] for of in of_class.values())
    assert all(of["n_hits"] + of["n_false_alarms"] == of["n_predicted"] for of in of_class.values())
    assert content["micro"]["n_hits"] == sum(of["n_hits"] for of in of_class.values())
    assert content["settings"] == {
        **{"match": "iou", "min_iou": 0.2, "threshold": 0.3},
        **{"confirm": [1, 1], "refractory_s": 0.0, "smooth_s": 0.0},
    }
    assert [of_class[name]["det"] is None for name in ("low", "mid", "high")] == [False, True, False]


def test_json_on_standard_output_is_alone(
    tone: Path, annotated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "--match", "collar", "--collar-s", "1", "--confirm", "2/3", "--refractory", "1", "--smooth", "0.5"
    assert run(monkeypatch, "eval", tone, "--events", annotated / "two.txt", *arguments, "--json", "-") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["settings"] == {
        **{"match": "collar", "collar_s": 1.0, "offset_share": 0.5, "threshold": None},
        **{"confirm": [2, 3], "refractory_s": 1.0, "smooth_s": 0.5},
    }
    assert content["n_recordings"] == 1


def test_the_task_of_several_is_found_or_asked_for(
    trained_runs: Path, annotated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = trained_runs / "both"
    assert run(monkeypatch, "eval", both, "--events", annotated, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["task"] == "tone"
    assert run(monkeypatch, "eval", both, "--events", annotated, "--map", "deep=True") == 2
    assert "--task NAME: expected one of tone, is_low" in capsys.readouterr().err
    assert run(monkeypatch, "eval", both, "--events", annotated, "--task", "tone", "--task", "is_low") == 2
    assert "--task is_low: events are those of one task" in capsys.readouterr().err


def test_an_exported_model_is_scored_as_its_run(
    tone: Path, annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, manifest = tmp_path / "m.onnx", tmp_path / "m.csv"
    assert run(monkeypatch, "export", tone, "--out", model) == 0
    capsys.readouterr()
    assert run(monkeypatch, "eval", model, "--events", annotated, "--json", "-") == 0
    written = capsys.readouterr()
    assert json.loads(written.out)["n_recordings"] == 3
    assert "an exported model does not know its manifests: all 3 recordings count" in written.err
    manifest.write_text(f"path,split,label\n{annotated / 'trained.wav'},train,high\n")
    results = []
    for of in (model, tone):
        assert run(monkeypatch, "eval", of, "--events", annotated, "--manifest", manifest, "--json", "-") == 0
        content = json.loads(capsys.readouterr().out)
        results.append({name: content["classes"][name]["n_hits"] for name in content["classes"]})
        assert content["n_recordings"] == 2
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--match", "iou"], "--match iou: an option of --events ANNOTATIONS"),
        (["--threshold", "0"], "--threshold 0.0: an option of --events"),
        (["--map", "a=b"], "--map a=b: an option of --events"),
        (["--ignore", "a"], "--ignore a: an option of --events"),
        (["--plot", "a.png"], "--plot a.png: an option of --events"),
        (["--events", "{a}", "--predictions", "p.csv"], "--predictions p.csv: lists labelled files"),
        (["--events", "{a}", "--collar-s", "1"], "--collar-s 1.0: an option of --match collar"),
        (["--events", "{a}", "--match", "collar", "--min-iou", "1"], "--min-iou 1.0: an option of --match iou"),
        (["--events", "{a}", "--min-iou", "0"], "--min-iou 0: expected a share above 0, up to 1"),
        (["--events", "{a}", "--match", "collar", "--collar-s", "-1"], "--collar-s -1: expected seconds"),
        (["--events", "{a}", "--threshold", "2"], "--threshold 2: expected a probability from 0 to 1"),
        (["--events", "{a}", "--confirm", "2"], "--confirm 2: expected K/N, as in 2/3"),
        (["--events", "{a}", "--confirm", "3/2"], "--confirm 3/2: expected K/N, 1 <= K <= N"),
        (["--events", "{a}", "--refractory", "-1"], "--refractory -1: expected seconds"),
        (["--events", "{a}", "--smooth", "nan"], "--smooth nan: expected seconds"),
        (["--events", "{a}", "--hop-s", "0"], "--hop-s 0: expected more than 0"),
        (["--events", "{a}", "--map", "low"], "--map low: expected OLD=NEW"),
        (["--events", "{a}", "--map", "wren=low"], "--map wren=low: no such class; the tables have"),
        (["--events", "{a}", "--ignore", "wren"], "--ignore wren: no such class"),
        (["--events", "{a}", "--task", "bird"], "--task bird: the model has no such task"),
        (["--events", "{a}", "--plot", "a.txt"], "--plot a.txt: expected a name that ends with"),
        (["--events", "{a}", "--plot", "none/a.png"], "--plot none/a.png: no such folder"),
        (["--events", "{a}", "--json", "{a}/one.txt"], "would replace"),
        (["--events", "gone"], "gone: no such folder of recordings and tables, and no such table"),
        (["--events", "{a}", "--split", "nowhere", "--manifest", "gone.csv"], "gone.csv: no such manifest"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_by_the_option(
    tone: Path,
    annotated: Path,
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "eval", tone, *(text.format(a=annotated) for text in arguments)) == 2
    written = capsys.readouterr()
    assert told in written.err
    assert written.out == ""
    assert list(tmp_path.iterdir()) == []


def test_many_classes_are_shown_in_part(
    tone: Path, annotated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("audiostride.cli.evaluate_events.N_CLASSES_SHOWN", 2)
    monkeypatch.setattr("audiostride.cli.evaluate_events.N_LETTERS", 3)
    assert run(monkeypatch, "eval", tone, "--events", annotated, "--map", "deep=low") == 0
    shown = capsys.readouterr().out
    assert "1 more in the JSON (--json FILE)" in shown
    assert [line.split()[0] for line in shown.splitlines() if line.startswith(("low", "mid", "hi"))] == ["hi…", "low"]


def test_a_run_whose_annotations_are_all_of_the_training_is_a_mistake(
    tone: Path, annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(annotated / "trained.txt", tmp_path)
    (tmp_path / "trained.wav").symlink_to((annotated / "trained.wav").resolve())
    assert run(monkeypatch, "eval", tone, "--events", tmp_path) == 1
    assert "no annotated recording is left in the split test" in capsys.readouterr().err
