"""Detections and what was recorded per hour of the day, counted by hand."""

import csv
import io
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audiostride.errors import UserError
from audiostride.prediction.detector import Rules
from audiostride.prediction.events import Event
from audiostride.prediction.folder import predict_into
from audiostride.prediction.hours import Hours, count_hours, hours_text, seconds_per_hour
from audiostride.prediction.hours_plot import draw_hours
from audiostride.prediction.journal import Entry
from audiostride.prediction.outputs import Settings
from tests.peaks import RATE, Peaks, write_peaks
from tests.prediction.test_folder import content, rows
from tests.program import run

SETTINGS = Settings("csv", ("peak",), RATE, RATE)
CLASSES = [("peak", "up"), ("peak", "down")]


@pytest.mark.parametrize(
    ("time", "duration_s", "expected"),
    [
        ((5, 30, 0), 60, {5: 60}),
        ((5, 59, 30), 60, {5: 30, 6: 30}),
        ((23, 0, 0), 2 * 3600, {23: 3600, 0: 3600}),
        ((22, 59, 59), 7202, {22: 1, 23: 3600, 0: 3600, 1: 1}),
        ((0, 0, 0), 86400 + 1800, {**dict.fromkeys(range(24), 3600), 0: 5400}),
    ],
)
def test_a_recording_is_shared_among_the_hours_it_lasts_through(
    time: tuple[int, int, int], duration_s: float, expected: dict[int, float]
) -> None:
    seconds = seconds_per_hour(datetime(2024, 5, 1, *time), duration_s)
    assert {hour: seconds[hour] for hour in np.flatnonzero(seconds).tolist()} == expected


def entry(path: str, duration_s: float) -> Entry:
    return Entry(path, 0, 0, (), n_samples=round(duration_s * RATE))


def test_an_event_counts_in_the_hour_in_which_it_begins() -> None:
    """An hour and a half across midnight of the last of a month, and the same hours of another day."""
    night = entry("in/20240531_233000.wav", 5400)
    events = [Event(1799.9, 1900, "peak", "up", 0.9), Event(1800, 1801, "peak", "up", 0.9)]
    other = entry("in/20240601_231500.wav", 900)
    undated = entry("in/a.wav", 900), [Event(0, 1, "peak", "up", 0.9)]
    hours = count_hours([(night, events), undated, (other, [Event(0, 1, "peak", "down", 0.9)])], RATE, CLASSES)
    assert hours is not None
    assert {hour: hours.recorded_s[hour] for hour in np.flatnonzero(hours.recorded_s)} == {23: 2700, 0: 3600}
    table = list(csv.DictReader(io.StringIO(hours_text(hours, safe=True))))
    assert len(table) == 2 * 24
    assert [tuple(row.values()) for row in table if row["recorded_s"] != "0.000"] == [
        ("peak", "up", "0", "1", "3600.000", "1.0000"),
        ("peak", "up", "23", "1", "2700.000", "1.3333"),
        ("peak", "down", "0", "0", "3600.000", "0.0000"),
        ("peak", "down", "23", "1", "2700.000", "1.3333"),
    ]
    assert {row["detections_per_hour"] for row in table if row["recorded_s"] == "0.000"} == {""}


def test_without_dates_there_is_nothing_to_count() -> None:
    assert count_hours([(entry("a.wav", 1), [])], RATE, CLASSES) is None


def hours_of(n_classes: int, name: str = "class") -> Hours:
    """Counts that grow with the number of the class, in the hours that were recorded: from 4 to 10."""
    recorded_s = np.where((np.arange(24) >= 4) & (np.arange(24) < 10), 1800.0, 0.0)
    counts = {("bird", f"{name} {i}"): np.where(recorded_s > 0, i, 0) for i in range(n_classes)}
    return Hours(recorded_s, counts)


@pytest.mark.parametrize(("n_classes", "n_panels"), [(2, 1), (5, 4), (13, 12), (30, 12)])
def test_the_picture_has_a_panel_per_detected_class_and_says_what_it_leaves_out(
    n_classes: int, n_panels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    right = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (drawn.append(self), right(self, *a, **k)))
    picture = draw_hours(hours_of(n_classes))
    assert picture is not None
    assert Image.open(io.BytesIO(picture)).format == "PNG"
    panels = [panel for panel in drawn[0].axes if panel.get_visible()]
    assert [panel.get_title() for panel in panels] == [
        f"class {i} ({6 * i})" for i in range(n_classes - 1, n_classes - 1 - n_panels, -1)
    ]
    assert [bar.get_height() for bar in panels[0].patches[:24]] == [
        2 * (n_classes - 1) * (4 <= h < 10) for h in range(24)
    ]
    said = " ".join(drawn[0].get_suptitle().split())
    assert said.startswith("3.0 h recorded")
    assert (f"the 12 of {n_classes - 1} detected classes" in said) == (n_classes > 13)


@pytest.mark.parametrize("name", ["$\\frac$", "鳥" * 50, "a\nb\tc", "\x1b[31m", "x" * 500])
def test_names_of_any_kind_are_drawn_without_a_warning(name: str) -> None:
    assert draw_hours(hours_of(3, name)) is not None  # warnings are errors in tests


def test_without_detections_there_is_no_picture() -> None:
    assert draw_hours(hours_of(1)) is None


@pytest.fixture
def model(tmp_path: Path) -> Peaks:
    return Peaks(tmp_path / "m")


@pytest.fixture
def dated(tmp_path: Path) -> Path:
    """Four seconds before and after six o'clock, with an event in the first and the last."""
    return write_peaks(tmp_path / "in/20240501_055958.wav", 4, {0.5: 0.75, 3.5: 0.75})


def recorded(out: Path) -> dict[str, tuple[str, str]]:
    table = [row for row in rows(out / "hours.csv") if row["class"] == "up" and row["recorded_s"] != "0.000"]
    return {row["hour"]: (row["n_detections"], row["detections_per_hour"]) for row in table}


def test_a_prediction_leaves_table_and_picture(model: Peaks, dated: Path, tmp_path: Path) -> None:
    list(predict_into(model, [dated], tmp_path / "out", SETTINGS, 1))
    assert recorded(tmp_path / "out") == {"5": ("1", "1800.0000"), "6": ("1", "1800.0000")}
    assert (tmp_path / "out/hours.png").read_bytes().startswith(b"\x89PNG")


def test_once_more_changes_neither(model: Peaks, dated: Path, tmp_path: Path) -> None:
    def states() -> list[int]:
        return [(tmp_path / "out" / name).stat().st_mtime_ns for name in ("hours.csv", "hours.png")]

    list(predict_into(model, [dated], tmp_path / "out", SETTINGS, 1))
    before = states()
    list(predict_into(model, [dated], tmp_path / "out", SETTINGS, 1))
    assert states() == before


@pytest.mark.parametrize("step", ["write_text_atomic", "draw_hours", "write_atomic"])
def test_stopped_at_any_step_the_next_call_completes_both(
    step: str, model: Peaks, dated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, later = tmp_path / "out", write_peaks(tmp_path / "in/20240501_070000.wav", 2, {0.5: 0.75})
    list(predict_into(model, [dated, later], tmp_path / "whole", SETTINGS, 1))
    list(predict_into(model, [dated], out, SETTINGS, 1))
    with monkeypatch.context() as patch:
        patch.setattr(f"audiostride.prediction.hours_files.{step}", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            list(predict_into(model, [dated, later], out, SETTINGS, 1))
    list(predict_into(model, [dated, later], out, SETTINGS, 1))
    assert content(out) == content(tmp_path / "whole")
    assert set(recorded(out)) == {"5", "6", "7"}


def test_without_dates_in_names_nothing_is_written(model: Peaks, tmp_path: Path) -> None:
    path = write_peaks(tmp_path / "in/a.wav", 2, {0.5: 0.75})
    list(predict_into(model, [path], tmp_path / "out", SETTINGS, 1))
    assert list((tmp_path / "out").glob("hours*")) == []


def test_other_rules_count_anew_and_a_picture_of_nothing_goes(model: Peaks, dated: Path, tmp_path: Path) -> None:
    list(predict_into(model, [dated], tmp_path / "out", SETTINGS, 1))
    rules = Settings("csv", ("peak",), RATE, RATE, rules=Rules(confirm=(3, 3)))
    list(predict_into(model, [dated], tmp_path / "out", rules, 1))
    assert recorded(tmp_path / "out") == {"5": ("0", "0.0000"), "6": ("0", "0.0000")}
    assert not (tmp_path / "out/hours.png").exists()


def test_shards_have_tables_whose_counts_add_up(model: Peaks, dated: Path, tmp_path: Path) -> None:
    paths = [dated, write_peaks(tmp_path / "in/20240502_055958.wav", 4, {0.5: 0.75})]
    list(predict_into(model, paths, tmp_path / "whole", SETTINGS, 1))
    for i in (1, 2):
        list(predict_into(model, paths, tmp_path / "out", Settings("csv", ("peak",), RATE, RATE, shard=(i, 2)), 1))
    parts = [rows(tmp_path / f"out/hours-{i}-of-2.csv") for i in (1, 2)]
    for whole, *shards in zip(rows(tmp_path / "whole/hours.csv"), *parts, strict=True):
        for name in ("n_detections", "recorded_s"):
            assert float(whole[name]) == sum(float(shard[name]) for shard in shards)


@pytest.mark.parametrize("name", ["hours.csv", "hours.png"])
def test_files_of_someone_else_are_not_replaced(name: str, model: Peaks, dated: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(UserError, match=rf"{name}: exists already, and is not of this prediction"):
        list(predict_into(model, [dated], tmp_path / "out", SETTINGS, 1))
    assert (tmp_path / "out" / name).read_text() == "mine"
    list(predict_into(model, [dated], tmp_path / "out", SETTINGS, 1, overwrite=True))
    assert (tmp_path / "out" / name).read_bytes() != b"mine"


def test_overwrite_by_recordings_without_dates_leaves_none(model: Peaks, dated: Path, tmp_path: Path) -> None:
    list(predict_into(model, [dated], tmp_path / "out", SETTINGS, 1))
    path = write_peaks(tmp_path / "in/a.wav", 2, {0.5: 0.75})
    list(predict_into(model, [path], tmp_path / "out", SETTINGS, 1, overwrite=True))
    assert list((tmp_path / "out").glob("hours*")) == []


def test_joined_parts_say_that_there_is_no_picture(
    model: Peaks, dated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    paths = [dated, write_peaks(tmp_path / "in/20240502_055958.wav", 4, {0.5: 0.75})]
    for i in (1, 2):
        list(predict_into(model, paths, tmp_path / "out", Settings("csv", ("peak",), RATE, RATE, shard=(i, 2)), 1))
    assert run(monkeypatch, "predict", "--gather", tmp_path / "out") == 0
    assert "hours.png is not drawn, which needs matplotlib: pip install 'matplotlib>=3.9'" in capsys.readouterr().err
