"""What a report shows of annotated events."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.evaluation.event_matching import Collar, Overlap
from audiostride.report.event_figures import MAX_LANES, lanes
from audiostride.report.events import Minute, busiest_minutes, event_report, matching_in_words
from audiostride.report.page import build_report, render_report
from audiostride.runs.checkpoint import load_run
from audiostride.runs.event_data import choose_events, read_events
from audiostride.runs.event_scorer import MarkedEvent, RecordingEvents
from audiostride.runs.event_scoring import EventResult, score_events
from audiostride.runs.scoring import Subject
from tests.program import run as call
from tests.runs.sounds import track

HOSTILE = "<b>one & two"


def event(start_s: float, end_s: float, name: str = "wren") -> MarkedEvent:
    return MarkedEvent(start_s, end_s, name, is_hit=True)


def shown(minutes: list[Minute]) -> list[tuple[str, tuple[float, float], int, int]]:
    return [(minute.path.name, minute.span_s, len(minute.annotated), len(minute.predicted)) for minute in minutes]


def test_the_busiest_minutes_have_the_most_annotated_and_detected_events() -> None:
    a = RecordingEvents(Path("a.wav"), 130.0, [event(1, 2), event(59, 61)], [event(1, 2), event(125, 126)])
    b = RecordingEvents(Path("b.wav"), 30.0, [], [event(1, 2), event(3, 4)])
    c = RecordingEvents(Path("c.wav"), 300.0, [], [])
    assert shown(busiest_minutes([a, b, c])) == [
        ("a.wav", (0, 60), 2, 1),
        ("b.wav", (0, 30), 0, 2),
        ("a.wav", (60, 120), 1, 0),
    ]


def test_an_event_belongs_to_the_minutes_that_it_touches() -> None:
    at_border = RecordingEvents(Path("a.wav"), 180.0, [event(30, 60), event(60, 60), event(119.5, 200)], [])
    assert shown(busiest_minutes([at_border])) == [
        ("a.wav", (60, 120), 2, 0),
        ("a.wav", (0, 60), 1, 0),
        ("a.wav", (120, 180), 1, 0),
    ]


def test_lanes_are_in_the_order_of_their_first_event() -> None:
    assert lanes([event(3, 4, "owl"), event(5, 6, "wren")], [event(1, 2, "crow"), event(7, 8, "owl")]) == [
        *("crow", "owl", "wren")
    ]


def test_of_many_lanes_those_with_the_most_events_are_drawn() -> None:
    many = [event(i, i + 1, f"bird {i}") for i in range(MAX_LANES + 5)]
    again = [event(i + 50, i + 51, f"bird {i}") for i in range(5, MAX_LANES + 5)]
    assert lanes(many, again) == [f"bird {i}" for i in range(5, MAX_LANES + 5)]


def test_a_hit_is_explained() -> None:
    assert matching_in_words(Overlap(0.3)) == "their intersection is at least 0.3 of their union"
    assert matching_in_words(Collar(0.25, 0.4)) == (
        "their onsets differ by 0.25 s at most, and their offsets by that or 0.4 of the annotated event's length"
    )


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 70 s with tones, and one shorter than a window; their names are HTML."""
    folder = tmp_path_factory.mktemp("annotated")
    t = np.arange(70 * 16000) / 16000
    tone = 0.3 * np.sin(2 * np.pi * 300 * t) * (t % 10 < 2)
    sf.write(folder / f"{HOSTILE}.wav", tone + 0.01 * np.random.default_rng(0).standard_normal(len(t)), 16000)
    track(folder / f"{HOSTILE}.txt", *((10 * i, 10 * i + 2, "low") for i in range(7)), (65, 65, "high"))
    sf.write(folder / "short.wav", tone[:3000], 16000)
    track(folder / "short.txt", (0, 0.1, "high"), (0.1, 0.15, "rain"))
    return folder


@pytest.fixture(scope="module")
def result(trained_runs: Path, annotated: Path) -> EventResult:
    subject = Subject.of_checkpoint(load_run(trained_runs / "learned-0"))
    return score_events(subject, choose_events(subject, read_events(subject, annotated)))


def test_the_report_has_curves_limits_and_pictures(trained_runs: Path, result: EventResult) -> None:
    report = event_report(load_run(trained_runs / "learned-0"), result)
    assert report.curves is not None
    assert "missed" in report.curves.alt
    assert [row.limit for row in report.limits] == [1, 10, 60, 100]
    first = report.minutes[0]
    assert first.minute.span_s == (0, 60)
    assert len(first.minute.annotated) == 6
    assert f"{HOSTILE}.wav from 0 to 60 s, with 6 annotated" in first.picture.alt
    assert [shown.n_left_out for shown in report.minutes] == [0] * len(report.minutes)


class Text(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str | None] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def pages(trained_runs: Path, result: EventResult) -> tuple[str, str]:
    """A page without events, and one with."""
    loaded = load_run(trained_runs / "learned-0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiostride.report.clips.N_WORST", 1)
        data = build_report(loaded, "run"), build_report(loaded, "run", events=result)
    return render_report(data[0]), render_report(data[1])


def test_the_page_shows_events_where_there_are_some(pages: tuple[str, str]) -> None:
    without, page = map(Text, pages)
    assert "events" not in without.ids
    assert {"events", "events-classes", "events-curves", "events-minutes"} <= set(page.ids)
    words = " ".join(page.text.split())
    assert "2 recordings, 1.2 minutes, 9 annotated events." in words
    assert "No thresholds were chosen for the model, so each is 0.5." in words
    assert "neither hits nor misses: rain (1)" in words
    assert f"{HOSTILE}.wav, 0.0 to 60.0 s: 6 annotated events above" in words
    assert "b" not in page.tags
    assert not re.findall(r'(?:src|href)="(?!data:|#)', pages[1])


def test_a_class_has_its_counts_and_threshold_in_the_page(pages: tuple[str, str], result: EventResult) -> None:
    row = re.search(r'title="low">low</th>(.*?)</tr>', pages[1][pages[1].index('id="events-classes"') :])
    assert row is not None
    cells = re.findall(r"<td>(.*?)</td>", row[1])
    of = result.score.classes["low"]
    assert cells[:5] == ["0.500", "7", str(of.n_hits), str(of.n_misses), str(of.n_false_alarms)]


def test_the_command_takes_annotations(
    trained_runs: Path, annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("audiostride.report.clips.N_WORST", 1)
    run, out = trained_runs / "both", tmp_path / "r.html"
    arguments = "report", run, "--out", out, "--events", annotated
    assert call(monkeypatch, *arguments, "--map", "rain=True") == 2
    assert "--task NAME: expected one of tone, is_low, each of which has annotated classes" in capsys.readouterr().err
    assert call(monkeypatch, *arguments, "--map", "rain=True", "--task", "tone", "--ignore", "high") == 0
    assert "neither hits nor misses: True (1)" in capsys.readouterr().err
    text = " ".join(Text(out.read_text()).text.split())
    assert "Events: tone" in text
    assert "7 annotated events" in text


@pytest.mark.parametrize("option", [("--map", "a=b"), ("--ignore", "a"), ("--task", "tone")])
def test_options_of_events_are_refused_without(
    trained_runs: Path,
    tmp_path: Path,
    option: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    assert call(monkeypatch, "report", trained_runs / "strided", "--out", tmp_path / "r.html", *option) == 2
    assert f"{option[0]} {option[1]}: an option of --events" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()
