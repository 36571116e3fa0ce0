"""A folder of results is the same however often the process that fills it ends."""

import csv
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import soundfile as sf
from pyarrow import parquet

from audiostride.data.recordings import find_inputs
from audiostride.errors import UserError
from audiostride.loading import load_model
from audiostride.prediction.folder import Outcome, predict_into
from audiostride.prediction.model import WindowModel
from audiostride.prediction.outputs import Outputs, Settings
from audiostride.prediction.stream import FileResult
from audiostride.vocabulary import Format
from tests.processes import Interrupts, start_program

TASKS = ("tone", "place")


@pytest.fixture(scope="module")
def model(untrained: Path) -> WindowModel:
    return load_model(untrained, "cpu")


def settings(form: Format = "csv", shard: tuple[int, int] = (1, 1), **changed: float) -> Settings:
    return Settings(form, TASKS, 16000, 8000, int(changed.get("top_k", 2)), changed.get("threshold", 0.0), shard)


def predict(
    model: WindowModel, paths: Sequence[Path], out: Path, of: Settings | None = None, overwrite: bool = False
) -> Outcome:
    *_, outcome = predict_into(model, paths, out, of or settings(), 2, overwrite=overwrite)
    assert isinstance(outcome, Outcome)
    return outcome


def content(folder: Path) -> dict[str, bytes]:
    """Every file but the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_hold_every_recording_and_window(model: WindowModel, field: Path, tmp_path: Path) -> None:
    paths = find_inputs([str(field)])
    assert predict(model, paths, tmp_path) == Outcome(0, 5, {})
    files = rows(tmp_path / "files.csv")
    assert [row["path"] for row in files] == [str(path) for path in paths for _ in range(4)]  # 2 tasks, 2 classes
    windows = rows(tmp_path / "windows.csv")
    for row in files:
        of_file = [w for w in windows if (w["path"], w["task"], w["rank"]) == (row["path"], row["task"], row["rank"])]
        assert len(of_file) == int(row["n_windows"])
        assert of_file[-1]["end_s"] == row["duration_s"]
        assert [float(w["start_s"]) for w in of_file] == [0.5 * i for i in range(len(of_file))]


@pytest.mark.parametrize("form", ["csv", "jsonl", "raven", "audacity", "parquet"])
def test_stopped_after_every_recording_the_bytes_are_those_of_a_run_in_one_go(
    model: WindowModel, field: Path, tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiostride.prediction.folder.COMMIT_S", 0)
    paths = find_inputs([str(field)])
    predict(model, paths, tmp_path / "whole", settings(form))
    for _ in paths:
        events = predict_into(model, paths, tmp_path / "parts", settings(form), 2)
        next(events)
        events.close()
    assert predict(model, paths, tmp_path / "parts", settings(form)).n_before == len(paths)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_what_is_done_is_not_done_again(
    model: WindowModel, field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = find_inputs([str(field)])
    predict(model, paths, tmp_path)
    before = content(tmp_path)
    monkeypatch.setattr(model, "logits", None)
    assert predict(model, paths, tmp_path) == Outcome(5, 0, {})
    assert content(tmp_path) == before


@pytest.mark.parametrize("form", ["csv", "raven"])
def test_the_union_of_the_shards_is_the_whole(model: WindowModel, field: Path, tmp_path: Path, form: Format) -> None:
    paths = find_inputs([str(field)])
    predict(model, paths, tmp_path / "whole", settings(form))
    for i in (1, 2, 3):
        predict(model, paths, tmp_path / "shards", settings(form, (i, 3)))
    whole, shards = content(tmp_path / "whole"), content(tmp_path / "shards")
    for name in ("files", "windows") if form == "csv" else ("files",):
        parts = [shards[f"{name}-{i}-of-3.csv"].splitlines() for i in (1, 2, 3)]
        assert len({part[0] for part in parts}) == 1
        assert sorted(line for part in parts for line in part[1:]) == sorted(whole[f"{name}.csv"].splitlines()[1:])
    selections = {name: text for name, text in whole.items() if name.endswith(".selections.txt")}
    assert len(selections) == (5 if form == "raven" else 0)
    assert selections.items() <= shards.items()


def test_more_shards_than_recordings_leave_some_empty(model: WindowModel, field: Path, tmp_path: Path) -> None:
    assert predict(model, find_inputs([str(field)]), tmp_path, settings(shard=(6, 6))) == Outcome(0, 0, {})
    assert rows(tmp_path / "files-6-of-6.csv") == []


def test_bad_recordings_are_listed_and_tried_again(model: WindowModel, field: Path, tmp_path: Path) -> None:
    bad = tmp_path / "a.wav"
    bad.write_text("no audio")
    paths = [bad, field / "stereo.wav"]
    out = tmp_path / "out"
    outcome = predict(model, paths, out)
    assert (outcome.n_done, list(outcome.failed)) == (1, [bad])
    assert rows(out / "failed.csv") == [{"path": str(bad), "reason": outcome.failed[bad]}]
    before = content(out)
    assert predict(model, paths, out) == Outcome(1, 0, outcome.failed)
    assert content(out) == before
    bad.write_bytes((field / "monday/rec.wav").read_bytes())
    assert predict(model, paths, out) == Outcome(1, 1, {})
    assert not (out / "failed.csv").exists()
    assert [row["path"] for row in rows(out / "files.csv")[::4]] == [str(paths[1]), str(bad)]


def test_windows_of_a_recording_that_turns_out_bad_are_taken_back(
    model: WindowModel, field: Path, tmp_path: Path
) -> None:
    samples, rate = sf.read(field / "tuesday/night/long.ogg")
    samples[-100] = float("nan")
    sf.write(tmp_path / "b.wav", samples, rate, subtype="FLOAT")
    paths = [field / "stereo.wav", tmp_path / "b.wav", field / "tuesday/rec.wav"]
    assert list(predict(model, paths, tmp_path / "out").failed) == [tmp_path / "b.wav"]
    predict(model, [paths[0], paths[2]], tmp_path / "without")
    for name in ("files.csv", "windows.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()


def test_recordings_that_came_since_are_added(model: WindowModel, field: Path, tmp_path: Path) -> None:
    paths = find_inputs([str(field)])
    predict(model, paths[1:], tmp_path)
    assert predict(model, paths, tmp_path) == Outcome(4, 1, {})
    assert rows(tmp_path / "files.csv")[-1]["path"] == str(paths[0])


def refused(model: WindowModel, field: Path, out: Path, told: str, of: Settings | None = None) -> None:
    with pytest.raises(UserError, match=told):
        predict(model, find_inputs([str(field)]), out, of)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (Settings("csv", TASKS, 32000, 8000, 2, 0.0), "--window-s: 1.0 there, 2.0 now"),
        (Settings("csv", ("tone",), 16000, 8000, 2, 0.0), "--task: .*tone.*place.* there, .*tone.* now"),
        (Settings("csv", ("tone",), 16000, 4000, 2, 0.0), "--hop-s: 0.5 there, 0.25 now"),
    ],
)
def test_other_settings_are_refused_by_name(
    model: WindowModel, field: Path, tmp_path: Path, changed: Settings, told: str
) -> None:
    predict(model, [field / "stereo.wav"], tmp_path)
    before = content(tmp_path)
    refused(model, field, tmp_path, told, changed)
    assert content(tmp_path) == before


def test_another_model_is_refused(model: WindowModel, untrained: Path, field: Path, tmp_path: Path) -> None:
    predict(model, [field / "stereo.wav"], tmp_path / "out")
    other = tmp_path / "checkpoints/best.safetensors"
    other.parent.mkdir()
    other.write_bytes((untrained / "checkpoints/best.safetensors").read_bytes()[:-4] + b"\0\0\1\0")
    refused(load_model(other, "cpu"), field, tmp_path / "out", "model: ")


def test_fewer_or_changed_recordings_are_refused(model: WindowModel, field: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes((field / "stereo.wav").read_bytes())
    predict(model, [path], tmp_path / "out")
    refused(model, field, tmp_path / "out", "holds results of .*a.wav', which is not among")
    os.utime(path, (1, 1))
    with pytest.raises(UserError, match=r"a\.wav: changed since it was predicted"):
        predict(model, [path], tmp_path / "out")


def test_tables_of_others_are_not_touched(model: WindowModel, field: Path, tmp_path: Path) -> None:
    (tmp_path / "windows.csv").write_text("mine")
    refused(model, field, tmp_path, r"windows\.csv: exists already")
    assert (tmp_path / "windows.csv").read_text() == "mine"


@pytest.mark.parametrize("form", ["csv", "raven", "parquet"])
def test_overwrite_leaves_nothing_of_what_was(model: WindowModel, field: Path, tmp_path: Path, form: Format) -> None:
    predict(model, find_inputs([str(field)]), tmp_path / "a", settings(form))
    predict(model, [field / "stereo.wav"], tmp_path / "a", settings("jsonl"), overwrite=True)
    predict(model, [field / "stereo.wav"], tmp_path / "b", settings("jsonl"))
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_one_process_at_a_time(model: WindowModel, field: Path, tmp_path: Path) -> None:
    events = predict_into(model, find_inputs([str(field)]), tmp_path, settings(), 2)
    next(events)
    refused(model, field, tmp_path, "another process is predicting into it")
    events.close()
    assert predict(model, find_inputs([str(field)]), tmp_path).failed == {}


def test_a_file_is_no_folder_for_results(model: WindowModel, field: Path, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    refused(model, field, tmp_path / "out", "out=.*out: no folder")


@pytest.mark.parametrize("form", ["raven", "audacity"])
def test_recordings_of_the_same_name_have_files_of_their_own(
    model: WindowModel, field: Path, tmp_path: Path, form: Format
) -> None:
    predict(model, find_inputs([str(field)]), tmp_path, settings(form))
    found = {path.relative_to(tmp_path).as_posix().partition(".")[0] for path in tmp_path.rglob("*.txt")}
    assert found == {"stereo", "monday/rec", "tuesday/rec", "tuesday/night/long"}
    assert len(list(tmp_path.rglob("*.txt"))) == 5


def test_the_events_of_a_name_as_long_as_can_be(model: WindowModel, field: Path, tmp_path: Path) -> None:
    paths = [tmp_path / (letter * 250 + ".wav") for letter in "ab"]
    for path in paths:
        path.write_bytes((field / "stereo.wav").read_bytes())
    predict(model, paths, tmp_path / "out", settings("raven"))
    assert len(list((tmp_path / "out").glob("*.selections.txt"))) == 2


@pytest.fixture
def start(untrained: Path, tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    def begin(source: Path, out: Path, interrupts: Interrupts = "SIG_DFL") -> "subprocess.Popen[str]":
        command = ["predict", untrained, source, "--out", out, "--hop-s", "0.1"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return start_program(*command, interrupts=interrupts, stderr=subprocess.PIPE, env=environment)

    return begin


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    start: Callable[[Path, Path], "subprocess.Popen[str]"], field: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for i in range(60):
        (source / f"20240501_05{i:02}59.wav").write_bytes((field / "monday/rec.wav").read_bytes())
    (source / "bad.wav").write_text("no audio")
    whole = start(source, tmp_path / "whole")
    assert whole.communicate(timeout=120)[0] is None
    assert whole.returncode == 1  # one is bad
    rng, journal = random.Random(0), tmp_path / "killed/.predict/journal.jsonl"  # noqa: S311
    for _ in range(4):
        process = start(source, tmp_path / "killed")
        deadline = time.monotonic() + 60
        n_lines = len(journal.read_bytes().splitlines()) if journal.exists() else 0
        while time.monotonic() < deadline and process.poll() is None:  # until it is at work
            if journal.exists() and len(journal.read_bytes().splitlines()) > n_lines:
                break
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    last = start(source, tmp_path / "killed")
    last.communicate(timeout=120)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert {"files.csv", "windows.csv", "detections.csv", "hours.csv", "hours.png"} <= content(
        tmp_path / "whole"
    ).keys()


@pytest.mark.parametrize("interrupts", ["SIG_DFL", "SIG_IGN"])
def test_an_interrupted_process_ends_soon_and_says_how_to_go_on(
    start: Callable[..., "subprocess.Popen[str]"], field: Path, tmp_path: Path, interrupts: Interrupts
) -> None:
    samples, rate = sf.read(field / "monday/rec.wav")
    with sf.SoundFile(tmp_path / "long.wav", "w", rate, 1) as file:
        for _ in range(2000):
            file.write(samples)
    process = start(tmp_path / "long.wav", tmp_path / "out", interrupts)
    while not (tmp_path / "out/windows.csv").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted; run the same command again: it resumes" in told


OTHERS = {
    "threshold": settings(threshold=0.45),
    "top_k": settings(top_k=1),
    "jsonl": settings("jsonl"),
    "raven": settings("raven", threshold=0.3),
    "audacity": settings("audacity"),
    "parquet": settings("parquet", top_k=3),
}


@pytest.fixture
def silent(model: WindowModel, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function after which the model computes nothing."""
    return lambda: monkeypatch.setattr(model, "logits", None)


@pytest.mark.parametrize("before", ["csv", "raven"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_tables_are_written_without_predicting_again(
    name: str, before: Format, model: WindowModel, field: Path, tmp_path: Path, silent: Callable[[], None]
) -> None:
    paths = find_inputs([str(field)])
    predict(model, paths, tmp_path / "fresh", OTHERS[name])
    predict(model, paths, tmp_path / "out", settings(before))
    silent()
    assert predict(model, paths, tmp_path / "out", OTHERS[name]) == Outcome(5, 0, {}, rewritten=True)
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_stopped_while_tables_are_written_anew_nothing_is_lost(
    model: WindowModel, field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: Callable[[], None]
) -> None:
    paths, other = find_inputs([str(field)]), settings("raven")
    predict(model, paths, tmp_path / "fresh", other)
    predict(model, paths, tmp_path / "out")
    silent()
    right = Outputs.file
    for n_done in range(3):
        left = iter(range(n_done))

        def stop(self: Outputs, result: FileResult, left: Iterator[int] = left) -> str | None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return right(self, result)

        monkeypatch.setattr(Outputs, "file", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(model, paths, tmp_path / "out", other)
    monkeypatch.setattr(Outputs, "file", right)
    assert predict(model, paths, tmp_path / "out", other).rewritten
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_new_recordings_and_other_settings_at_once(model: WindowModel, field: Path, tmp_path: Path) -> None:
    paths = find_inputs([str(field)])
    predict(model, paths[:3], tmp_path / "out")
    assert predict(model, paths, tmp_path / "out", settings("jsonl")) == Outcome(3, 2, {}, rewritten=True)
    predict(model, paths, tmp_path / "fresh", settings("jsonl"))
    for name in ("files.jsonl", "windows.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()


CONTROLS = [chr(code) for code in (*range(1, 32), 127, 0x85, 0x2028)]


@pytest.mark.parametrize("form", ["csv", "jsonl", "raven", "audacity", "parquet"])
def test_names_with_control_characters_keep_rows_whole(
    form: Format, model: WindowModel, field: Path, tmp_path: Path
) -> None:
    paths = []
    for character in CONTROLS:
        paths.append(tmp_path / "in" / f"a{character}b.wav")
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_bytes((field / "tuesday/rec.wav").read_bytes())
    predict(model, paths, tmp_path / "out", settings(form, top_k=1))
    if form == "jsonl":
        found = [json.loads(line)["path"] for line in (tmp_path / "out/files.jsonl").read_text().split("\n")[:-1]]
        assert found == [str(path) for path in paths]
    elif form == "parquet":
        table = parquet.read_table(tmp_path / "out/files.parquet")
        assert table["path"].to_pylist()[::2] == [str(path) for path in paths]
    else:
        assert [row["path"] for row in rows(tmp_path / "out/files.csv")[::2]] == [str(path) for path in paths]


@pytest.mark.parametrize(("safe", "name"), [(True, "'=cmd()"), (False, "=cmd()")])
def test_names_that_are_formulas_are_made_safe_unless_asked(
    safe: bool, name: str, model: WindowModel, field: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "classes", {"tone": ("=cmd()", "mid", "high"), "place": ("near", "far")})
    of = Settings("csv", TASKS, 16000, 8000, 3, 0.0, safe_cells=safe)
    predict(model, [field / "stereo.wav"], tmp_path, of)
    classes = {row["class"] for row in rows(tmp_path / "files.csv")}
    assert classes == {name, "mid", "high", "near", "far"}
