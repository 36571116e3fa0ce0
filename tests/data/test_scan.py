"""Scanning finds what is wrong with recordings, and names it."""

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.cli import main as cli
from audiostride.data.class_counts import few_events
from audiostride.data.manifest import Clip, Manifest, read_manifest, write_manifest
from audiostride.data.scan import Recording, Scan, scan_manifest, write_quarantine

RATE = 8000


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Four recordings of noise, one of another split, one for each thing that can be wrong."""
    rng = np.random.default_rng(0)
    clips = []
    for name, split in (("a", "train"), ("b", "train"), ("c", "valid"), ("d", "test")):
        sf.write(tmp_path / f"{name}.wav", rng.uniform(-0.5, 0.5, 2 * RATE), RATE)
        clips.append(Clip(tmp_path / f"{name}.wav", split, {"label": name}))
    write_manifest(tmp_path / "m.csv", clips)
    return read_manifest(tmp_path / "m.csv")


def test_nothing_is_wrong_with_good_recordings(manifest: Manifest) -> None:
    scan = scan_manifest(manifest)
    assert [scan.bad, scan.silent, scan.clipped, scan.duplicates] == [[], [], [], []]
    assert [recording.duration_s for recording in scan.recordings] == [2.0] * 4


def test_a_truncated_recording_is_bad(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "b.wav"
    path.write_bytes(path.read_bytes()[:-100])
    (bad,) = scan_manifest(manifest).bad
    assert bad.path == path
    assert bad.problem == "truncated: the header promises 100 more bytes than the file holds"


def test_a_missing_recording_is_bad(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "b.wav").unlink()
    assert [(r.path.name, r.problem) for r in scan_manifest(manifest).bad] == [("b.wav", "no such file")]


@pytest.mark.parametrize(("level", "silent"), [(0.0, True), (5e-5, True), (1e-3, False)])
def test_silence_is_a_peak_below_minus_80_db(manifest: Manifest, tmp_path: Path, level: float, silent: bool) -> None:
    sf.write(tmp_path / "a.wav", np.full(RATE, level), RATE, subtype="FLOAT")
    assert [r.path.name for r in scan_manifest(manifest).silent] == (["a.wav"] if silent else [])


@pytest.mark.parametrize(("gain", "clipped"), [(0.99, False), (2.0, True)])
def test_clipping_is_many_samples_at_full_scale(manifest: Manifest, tmp_path: Path, gain: float, clipped: bool) -> None:
    sine = np.sin(np.arange(RATE) / 7)
    sf.write(tmp_path / "a.wav", np.clip(gain * sine, -1, 1), RATE)
    assert [r.path.name for r in scan_manifest(manifest).clipped] == (["a.wav"] if clipped else [])


@pytest.mark.parametrize(("copy_of", "found"), [("a.wav", True), ("c.wav", False)])
def test_duplicates_are_the_same_samples_in_several_splits(
    manifest: Manifest, tmp_path: Path, copy_of: str, found: bool
) -> None:
    samples, _ = sf.read(tmp_path / copy_of)
    sf.write(tmp_path / ("d.wav" if found else "c.wav"), samples, RATE)
    names = [sorted(path.name for path in paths) for paths in scan_manifest(manifest).duplicates]
    assert names == ([["a.wav", "d.wav"]] if found else [])


@pytest.mark.parametrize(
    ("clips", "found"),
    [
        ([("train", 0.0, None), ("test", 0.0, None)], True),
        ([("train", 0.0, 1.0), ("test", 0.5, 1.0)], True),
        ([("train", 0.0, 2.0), ("train", 0.1, 0.1), ("test", 1.0, 0.5)], True),
        ([("train", 0.0, 1.0), ("test", 1.0, 1.0)], False),
        ([("train", 0.0, None), ("train", 0.0, None)], False),
    ],
)
def test_a_recording_in_several_splits_is_a_duplicate_unless_its_segments_lie_apart(
    manifest: Manifest, tmp_path: Path, clips: list[tuple[str, float, float | None]], found: bool
) -> None:
    listed = tuple(Clip(tmp_path / "a.wav", split, {}, start, duration) for split, start, duration in clips)
    duplicates = scan_manifest(Manifest(manifest.path, listed, ())).duplicates
    assert duplicates == ([[tmp_path / "a.wav"]] if found else [])


def test_a_segment_beyond_the_end_is_bad(manifest: Manifest, tmp_path: Path) -> None:
    clips = tuple(Clip(tmp_path / "a.wav", "train", {}, start_s, 0.5) for start_s in (0.0, 1.9, 2.0))
    (bad,) = scan_manifest(Manifest(manifest.path, clips, ())).bad
    assert bad.problem == "start_s=2 lies beyond its end at 2.00 s"


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc here")
def test_no_worker_outlives_a_killed_scan(tmp_path: Path) -> None:
    script = tmp_path / "scan.py"
    script.write_text(
        "import multiprocessing, os, pathlib\n"
        "from audiostride.data.scan import scan_files\n"
        "if __name__ == '__main__':\n"
        "    recordings = scan_files([pathlib.Path('none.wav')] * 1000, 2)\n"
        "    next(recordings)\n"
        "    print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    workers = [int(pid) for pid in done.stdout.split()]
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


def test_the_same_content_in_another_format_is_a_duplicate(manifest: Manifest, tmp_path: Path) -> None:
    samples, _ = sf.read(tmp_path / "a.wav")
    sf.write(tmp_path / "d.flac", samples, RATE)
    shutil.move(tmp_path / "d.flac", tmp_path / "d.wav")
    assert len(scan_manifest(manifest).duplicates) == 1


def test_copies_within_a_split_and_silence_are_no_duplicates(manifest: Manifest, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "a.wav", tmp_path / "b.wav")
    for name in ("c.wav", "d.wav"):
        sf.write(tmp_path / name, np.zeros(RATE), RATE)
    assert scan_manifest(manifest).duplicates == []


def test_balance_counts_clips_per_class_and_split(manifest: Manifest) -> None:
    balance = scan_manifest(manifest).balance
    assert {label: dict(counts) for label, counts in balance["label"].items()} == {
        "a": {"train": 1},
        "b": {"train": 1},
        "c": {"valid": 1},
        "d": {"test": 1},
    }


def test_a_file_of_several_clips_is_decoded_once(manifest: Manifest, tmp_path: Path) -> None:
    clips = [Clip(tmp_path / "a.wav", "train", {}, start_s) for start_s in (0.0, 1.0)]
    seen: list[tuple[int, int]] = []
    scan = scan_manifest(Manifest(manifest.path, tuple(clips), ()), 1, lambda *at: seen.append(at))
    assert len(scan.recordings) == 1
    assert seen == [(1, 1)]


@pytest.mark.parametrize("n_workers", [1, 4])
def test_the_result_does_not_depend_on_the_workers(manifest: Manifest, n_workers: int) -> None:
    def found(scan: Scan) -> list[tuple[tuple[int, ...], float]]:
        return [(recording.fingerprint, recording.peak) for recording in scan.recordings]

    assert found(scan_manifest(manifest, n_workers)) == found(scan_manifest(manifest, 2))


def test_quarantine_lists_path_and_reason(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes(b"")
    write_quarantine(tmp_path / "q.csv", scan_manifest(manifest))
    rows = list(csv.DictReader((tmp_path / "q.csv").read_text().splitlines()))
    assert rows == [{"path": str(tmp_path / "b.wav"), "problem": "empty file (0 bytes)"}]


def test_quarantine_lists_names_that_are_no_utf8_with_their_bytes(tmp_path: Path) -> None:
    recording = Recording(Path("lat\udce9.wav"), problem="no such file")
    write_quarantine(tmp_path / "q.csv", Scan(Manifest(tmp_path / "m.csv", (), ()), [recording], []))
    assert (tmp_path / "q.csv").read_text() == "path,problem\nlat\\xe9.wav,no such file\n"


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["audiostride", "scan", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


@pytest.mark.parametrize("broken", [True, False])
def test_the_command_fails_if_something_would_be_left_out(
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: bool,
) -> None:
    if broken:
        (tmp_path / "b.wav").write_text("no sound")
    assert command(monkeypatch, manifest.path, "--json", "-", "--quarantine", tmp_path / "q.csv") == int(broken)
    content = json.loads(capsys.readouterr().out)
    assert (content["n_files"], len(content["bad"])) == (4, int(broken))
    assert len((tmp_path / "q.csv").read_text().splitlines()) == 1 + broken


def test_the_command_shows_tables_and_names_files(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    assert command(monkeypatch, manifest.path) == 0
    written = capsys.readouterr()
    assert "clips per class" in written.out
    assert f"silent: {tmp_path / 'a.wav'}" in written.err


def test_a_manifest_that_is_not_there_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert command(monkeypatch, tmp_path / "none.csv") == 2


@pytest.fixture
def windows(tmp_path: Path) -> Path:
    """A manifest of windows: three with a cat, two of which touch, one of them with a crow."""
    sf.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 10 * RATE), RATE)
    sf.write(tmp_path / "b.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 10 * RATE), RATE)
    rows = ["a.wav,0,1,train,cat", "a.wav,0.5,1,train,cat;crow", "a.wav,2,1,train,", "a.wav,4,1,train,cat"]
    text = "\n".join(["path,start_s,duration_s,split,labels", *rows, "b.wav,9.5,1,valid,crow"])
    (tmp_path / "m.csv").write_text(text)
    return tmp_path / "m.csv"


def test_classes_between_semicolons_count_each(windows: Path) -> None:
    scan = scan_manifest(read_manifest(windows), 1)
    assert scan.balance == {"labels": {"cat": {"train": 3}, "crow": {"train": 1, "valid": 1}}}
    cat, crow = scan.class_counts["cat"]["train"], scan.class_counts["crow"]["valid"]
    assert (cat.n_windows, cat.n_events, cat.n_overlaps, cat.seconds) == (3, 2, 1, 2.5)
    assert (crow.n_windows, crow.n_events, crow.n_overlaps, crow.seconds) == (1, 1, 0, 0.5)  # to the end
    assert scan.class_counts[""]["train"].n_windows == 1


def test_a_manifest_without_labels_has_no_class_counts(manifest: Manifest) -> None:
    assert scan_manifest(manifest, 1).class_counts == {}


def test_the_command_warns_of_classes_with_few_events(
    windows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, windows, "--jobs", 1) == 0
    told = capsys.readouterr()
    assert "train: 2 of 2 classes: crow 1, cat 2" in told.err
    assert "valid: 2 of 2 classes: cat 0, crow 1" in told.err
    assert "cat;crow" not in told.out + told.err


@pytest.mark.parametrize(("n_events", "few"), [(19, True), (20, False)])
def test_twenty_events_are_enough(windows: Path, n_events: int, few: bool) -> None:
    rows = [f"a.wav,{i * 0.4:g},0.2,train,cat" for i in range(n_events)]
    windows.write_text("\n".join(["path,start_s,duration_s,split,labels", *rows]))
    assert bool(few_events(scan_manifest(read_manifest(windows), 1).class_counts, ["train"])) is few
