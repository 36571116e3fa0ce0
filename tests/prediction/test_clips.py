"""Detections as sound: which are cut out, what the files are called, and a folder that loses nothing."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.errors import ArgumentError, UserError
from audiostride.prediction.clip_folder import ClipsDone
from audiostride.prediction.clips import ClipSettings, best_events, check_apart
from audiostride.prediction.detector import Rules
from audiostride.prediction.events import Event
from audiostride.prediction.folder import Outcome, predict_into
from audiostride.prediction.journal import Entry
from audiostride.prediction.outputs import Settings
from tests.peaks import RATE, Peaks, write_peaks
from tests.prediction.test_folder import content

SETTINGS = Settings("csv", ("peak",), RATE, RATE)


@pytest.fixture
def model(tmp_path: Path) -> Peaks:
    return Peaks(tmp_path / "m")


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Three recordings, one of them at twice the model's rate, two of the same name; events of one window each."""
    return [
        write_peaks(tmp_path / "in/fast.wav", 9, {0.5: 0.625, 4.5: 0.75, 8.5: -0.875}, rate=2 * RATE),
        write_peaks(tmp_path / "in/monday/rec.wav", 3, {1.5: 0.875}),
        write_peaks(tmp_path / "in/tuesday/rec.wav", 3, {1.5: 0.875}),
    ]


def cut(model: Peaks, paths: list[Path], clips: ClipSettings, out: str = "out", of: Settings = SETTINGS) -> ClipsDone:
    *_, outcome = predict_into(model, paths, model.path.with_name(out), of, 1, clips=clips)
    assert isinstance(outcome, Outcome)
    assert outcome.clips is not None
    return outcome.clips


def clip_names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.wav"))


def states(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


FAST = ["down/0.875_fast_8.000s.wav", "up/0.625_fast_0.000s.wav", "up/0.750_fast_4.000s.wav"]


def test_clips_are_the_samples_around_each_detection(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    assert cut(model, paths[:1], ClipSettings(folder)) == ClipsDone(folder, 3, 3, 0)
    assert clip_names(folder) == FAST
    recording = sf.read(paths[0], dtype="int16")[0]
    for name, start_s, end_s in zip(FAST, (7.5, 0, 3.5), (9, 1.5, 5.5), strict=True):  # within the recording
        samples, rate = sf.read(folder / name, dtype="int16")
        assert rate == 2 * RATE
        np.testing.assert_array_equal(samples, recording[round(start_s * rate) : round(end_s * rate)])


def test_recordings_of_the_same_name_have_clips_of_their_own(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    cut(model, paths, ClipSettings(tmp_path / "clips"))
    names = [name for name in clip_names(tmp_path / "clips") if "rec" in name]
    assert [name[: len("up/0.875_rec-")] for name in names] == ["up/0.875_rec-"] * 2


def test_the_most_probable_of_each_class_are_cut_and_the_pad_is_chosen(
    model: Peaks, paths: list[Path], tmp_path: Path
) -> None:
    cut(model, paths[:2], ClipSettings(tmp_path / "clips", 0.0, 2))
    assert clip_names(tmp_path / "clips") == [FAST[0], FAST[2], "up/0.875_rec_1.000s.wav"]
    assert sf.info(tmp_path / "clips" / FAST[2]).duration == 1.0


def test_of_events_alike_the_first_are_cut(model: Peaks, tmp_path: Path) -> None:
    path = write_peaks(tmp_path / "in/a.wav", 6, {0.5: 0.75, 2.5: 0.75, 4.5: 0.75})
    cut(model, [path], ClipSettings(tmp_path / "clips", per_class=2))
    assert clip_names(tmp_path / "clips") == ["up/0.750_a_0.000s.wav", "up/0.750_a_2.000s.wav"]


def test_digits_that_no_table_shows_do_not_choose() -> None:
    """They depend on the windows that shared a batch, and so on where an earlier process ended."""
    entry = Entry("a.wav", 0, 0, ())
    events = [Event(i, i + 1, "peak", "up", 0.75 + i * 1e-8) for i in range(3)] + [Event(9, 10, "peak", "up", 0.76)]
    best = best_events([(entry, events)], 2)
    assert [event.start_s for _, event in best["peak", "up"]] == [9, 0]


def test_of_a_long_event_a_minute_is_cut(model: Peaks, tmp_path: Path) -> None:
    path = write_peaks(tmp_path / "in/a.wav", 100, {i + 0.5: 0.75 for i in range(5, 100)})
    cut(model, [path], ClipSettings(tmp_path / "clips"))
    assert sf.info(tmp_path / "clips/up/0.750_a_5.000s.wav").duration == 61.0


def test_once_more_changes_no_file(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    clips = ClipSettings(tmp_path / "clips")
    cut(model, paths, clips)
    before = states(clips.folder)
    assert cut(model, paths, clips) == ClipsDone(clips.folder, 5, 0, 0)
    assert states(clips.folder) == before


@pytest.mark.parametrize("n_before", range(6))
def test_stopped_at_any_clip_the_next_call_completes_the_folder(
    n_before: int, model: Peaks, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(model, paths, ClipSettings(tmp_path / "whole"), "whole-out")
    from audiostride.prediction import clip_folder

    right, left = clip_folder.write_atomic, iter(range(n_before))

    def stop(path: Path, content: bytes, left: Iterator[int] = left) -> None:
        if next(left, None) is None:
            path.with_name(f".{path.name}.partial").write_bytes(content[:100])  # as a killed process leaves it
            raise KeyboardInterrupt
        right(path, content)

    monkeypatch.setattr(clip_folder, "write_atomic", stop)
    try:
        cut(model, paths, ClipSettings(tmp_path / "clips"))
    except KeyboardInterrupt:
        assert n_before < 5
    monkeypatch.setattr(clip_folder, "write_atomic", right)
    cut(model, paths, ClipSettings(tmp_path / "clips"))
    found, whole = content(tmp_path / "clips"), content(tmp_path / "whole")
    assert json.loads(found.pop(".clips.json"))["clips"] == json.loads(whole.pop(".clips.json"))["clips"]
    assert found == whole


def test_clips_of_detections_that_are_no_more_go_and_other_files_stay(
    model: Peaks, paths: list[Path], tmp_path: Path
) -> None:
    clips = ClipSettings(tmp_path / "clips")
    cut(model, paths, clips)
    (clips.folder / "up/notes.txt").write_text("mine")
    done = cut(model, paths, clips, of=replace(SETTINGS, rules=Rules(confirm=(2, 2))))
    assert (done.n_all, done.n_removed) == (0, 5)
    assert sorted(path.name for path in clips.folder.rglob("*")) == [".clips.json", "notes.txt", "up"]


def test_another_pad_writes_the_clips_anew(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    cut(model, paths[:1], ClipSettings(tmp_path / "clips"))
    assert cut(model, paths[:1], ClipSettings(tmp_path / "clips", 0.25)).n_written == 3
    assert sf.info(tmp_path / "clips" / FAST[2]).duration == 1.5


def test_a_clip_that_was_deleted_comes_back(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    clips = ClipSettings(tmp_path / "clips")
    cut(model, paths[:1], clips)
    (clips.folder / FAST[0]).unlink()
    assert cut(model, paths[:1], clips) == ClipsDone(clips.folder, 3, 1, 0)


@pytest.mark.parametrize("place", [FAST[1], "up"])
def test_a_file_of_someone_else_is_not_replaced(place: str, model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    mine = tmp_path / "clips" / place
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(ArgumentError, match=f"clips=.*holds {place}, which this prediction did not write"):
        cut(model, paths, ClipSettings(tmp_path / "clips"))
    assert mine.read_text() == "mine"
    assert len([path for path in (tmp_path / "clips").rglob("*") if path.is_file()]) == 1
    assert (tmp_path / "out/detections.csv").exists()  # what was predicted is not lost


def test_the_folder_belongs_to_one_prediction(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    cut(model, paths, ClipSettings(tmp_path / "clips"))
    before = states(tmp_path / "clips")
    with pytest.raises(ArgumentError, match=r"holds the clips of .*out, expected another folder"):
        cut(model, paths, ClipSettings(tmp_path / "clips"), "other")
    assert states(tmp_path / "clips") == before
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"out": 1}', '{"out": "OUT", "clips": {"../m/0.500_x_0s.wav": null}}'])
def test_a_damaged_record_is_told(content: str, model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/.clips.json").write_text(content.replace("OUT", str(tmp_path / "out")))
    with pytest.raises(ArgumentError, match=r"\.clips\.json in it is damaged"):
        cut(model, paths, ClipSettings(tmp_path / "clips"))
    assert model.path.exists()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("m", "no folder that can be written to"),
        ("m/clips", "no folder that can be written to"),
        ("out", "the folder of the results"),
        ("out/.predict/clips", "within the state of the prediction"),
    ],
)
def test_what_cannot_be_a_folder_of_clips(
    place: str, told: str, model: Peaks, paths: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"clips=.*{place}: {told}"):
        cut(model, paths, ClipSettings(tmp_path / place))
    assert not (tmp_path / "out").exists()
    assert model.path.read_bytes() == b"peaks"


def test_a_folder_within_the_results_will_do(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    assert cut(model, paths, ClipSettings(tmp_path / "out/clips")).n_all == 5


def test_clips_may_not_lie_among_the_recordings(paths: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"within .*in, whose recordings are predicted"):
        check_apart(tmp_path / "in/clips", [str(tmp_path / "in")], paths)
    with pytest.raises(ArgumentError, match=r"holds .*monday/rec\.wav, which is to be predicted"):
        check_apart(tmp_path / "in/monday", [str(tmp_path / "in/*/*.wav")], paths)
    check_apart(tmp_path / "clips", [str(tmp_path / "in")], paths)


def test_the_clips_of_shards_are_those_of_the_whole(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    cut(model, paths, ClipSettings(tmp_path / "whole"))
    for i in (1, 2, 3):
        cut(model, paths, ClipSettings(tmp_path / "clips"), "shards", replace(SETTINGS, shard=(i, 3)))
    assert clip_names(tmp_path / "clips") == clip_names(tmp_path / "whole")


def test_classes_of_the_same_name_and_awkward_ones_have_folders_of_their_own(tmp_path: Path) -> None:
    model = Peaks(tmp_path / "m", ("../Up", ".. up"))
    path = write_peaks(tmp_path / "in/-rf \n.wav", 1, {0.25: 0.75, 0.75: -0.75})
    cut(model, [path], ClipSettings(tmp_path / "clips"))
    assert clip_names(tmp_path / "clips") == ["__Up/0.750__rf __0.000s.wav", "_up/0.750__rf __0.000s.wav"]


def test_a_recording_that_is_gone_is_told_and_the_others_are_cut(
    model: Peaks, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audiostride.prediction import clip_folder

    right = clip_folder.wav_excerpt

    def without_monday(path: Path, start_s: float, end_s: float) -> bytes:
        return right(tmp_path / "gone.wav" if "monday" in str(path) else path, start_s, end_s)

    monkeypatch.setattr(clip_folder, "wav_excerpt", without_monday)
    done = cut(model, paths, ClipSettings(tmp_path / "clips"))
    assert (done.n_all, done.failed) == (4, {paths[1]: "no such file"})
    monkeypatch.setattr(clip_folder, "wav_excerpt", right)
    assert cut(model, paths, ClipSettings(tmp_path / "clips")) == ClipsDone(tmp_path / "clips", 5, 1, 0)


@pytest.mark.parametrize("changed", [{"pad_s": -1}, {"pad_s": float("nan")}, {"per_class": 0}])
def test_settings_out_of_range(changed: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="expected"):
        ClipSettings(tmp_path, **changed)  # type: ignore[arg-type]


def test_the_record_names_every_clip(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    cut(model, paths, ClipSettings(tmp_path / "clips"))
    record = json.loads((tmp_path / "clips/.clips.json").read_text())
    assert sorted(record["clips"]) == clip_names(tmp_path / "clips")
    assert record["out"] == os.path.realpath(tmp_path / "out")
