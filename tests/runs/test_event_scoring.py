"""Whole recordings to hits, misses and false alarms, counted by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.errors import ArgumentError, DataError
from audiostride.evaluation.event_matching import Collar, Overlap
from audiostride.prediction.detector import Rules
from audiostride.runs.event_data import choose_events, read_events
from audiostride.runs.event_scoring import EventResult, EventSettings, score_events
from tests.runs.sounds import Loudness, record, subject, track


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three recordings, 30 s in all.

    `a` has a soft sound at 2 to 4 s, which is annotated, a loud one at 6 to 7 s, which is not, and an annotated one
    that is not there. `b` has one soft sound over two annotations. `c` has nothing, and an empty table.
    """
    record(tmp_path / "a.wav", 10, [(2, 4, "soft"), (6, 7, "loud")])
    track(tmp_path / "a.txt", (2, 4, "soft"), (8, 9, "loud"))
    record(tmp_path / "b.wav", 12, [(1, 4, "soft"), (8, 10, "loud")])
    track(tmp_path / "b.txt", (1, 2.4, "soft"), (2.6, 4, "soft"), (8, 10, "loud"))
    record(tmp_path / "c.wav", 8, [])
    track(tmp_path / "c.txt")
    return tmp_path


def scored(folder: Path, model: Loudness | None = None, **settings: object) -> EventResult:
    of = subject(model, is_exported=True)
    data = choose_events(of, read_events(of, folder))
    return score_events(of, data, EventSettings(**settings))  # type: ignore[arg-type]


def counts(result: EventResult) -> dict[str, tuple[int, int, int]]:
    return {name: (of.n_hits, of.n_misses, of.n_false_alarms) for name, of in result.score.classes.items()}


def test_hits_misses_and_false_alarms(folder: Path) -> None:
    result = scored(folder, threshold=0.6)
    assert counts(result) == {"soft": (2, 1, 0), "loud": (1, 1, 1)}
    assert result.score.hours == pytest.approx(30 / 3600)
    assert result.score.micro.false_alarms_per_hour == pytest.approx(120)
    assert (result.window_s, result.hop_s) == (1.0, 0.5)


def test_the_events_of_every_recording_say_which_are_hits(folder: Path) -> None:
    a, b, c = scored(folder, threshold=0.6).recordings
    assert [(e.start_s, e.end_s, e.name, e.is_hit) for e in a.annotated] == [
        (2, 4, "soft", True),
        (8, 9, "loud", False),
    ]
    assert [(e.start_s, e.end_s, e.name, e.is_hit) for e in a.predicted] == [
        (2, 4, "soft", True),
        (6, 7, "loud", False),
    ]
    assert [(e.start_s, e.end_s, e.is_hit) for e in b.predicted] == [(1, 4, True), (8, 10, True)]
    assert sum(e.is_hit for e in b.annotated) == 2
    assert (c.annotated, c.predicted, c.duration_s) == ([], [], 8)


def test_a_higher_overlap_asks_for_more(folder: Path) -> None:
    """At 0.4 the windows half in a sound count too: 1.5 to 4.5 s for 2 to 4 s, an overlap of 2/3."""
    assert counts(scored(folder, threshold=0.4, criterion=Overlap(0.66)))["soft"][0] == 1
    assert counts(scored(folder, threshold=0.4, criterion=Overlap(0.67)))["soft"][0] == 0


def test_a_collar_asks_for_onset_and_offset(folder: Path) -> None:
    """The sound over two annotations begins with the first, and ends too late for it."""
    assert counts(scored(folder, threshold=0.6, criterion=Collar(0.2)))["soft"] == (1, 2, 1)
    assert counts(scored(folder, threshold=0.4, criterion=Collar(0.4, 0)))["soft"] == (0, 3, 2)
    assert counts(scored(folder, threshold=0.4, criterion=Collar(0.5, 0)))["soft"] == (1, 2, 1)


def test_the_thresholds_of_the_model_count_by_class(folder: Path) -> None:
    result = scored(folder, Loudness({"loud": 1.0}))
    assert result.own_thresholds
    assert result.thresholds == {"soft": 0.5, "loud": 1.0}
    chosen = scored(folder, Loudness({"loud": 1.0}), threshold=0.7)
    assert not chosen.own_thresholds
    assert chosen.thresholds == {"soft": 0.7, "loud": 0.7}


def test_confirmation_drops_a_sound_of_one_window(folder: Path) -> None:
    """The loud second of `a` fills one window, the two seconds of `b` three."""
    assert counts(scored(folder, threshold=0.6, rules=Rules(confirm=(2, 2))))["loud"] == (1, 1, 0)


def test_the_background_is_no_event(folder: Path) -> None:
    assert set(scored(folder).score.classes) == {"soft", "loud"}
    without = scored(folder, Loudness(background=None), threshold=0.6)
    assert without.score.unannotated == ("none",)
    assert without.score.classes["none"].n_false_alarms > 0


def test_the_curve_holds_the_score(folder: Path) -> None:
    result = scored(folder, threshold=0.6)
    assert result.curve is not None
    by_threshold = {point.threshold: point for point in result.curve.points}
    assert by_threshold[0.6].miss_rate == 2 / 5
    assert by_threshold[0.6].false_alarms_per_hour == pytest.approx(120)
    assert (result.curve.points[0].miss_rate, result.curve.points[0].false_alarms_per_hour) == (1, 0)
    every = result.curve.points[-1]  # each recording is one event per class, and one annotation is a fifth of its own
    assert every.threshold < 0.01
    assert (every.miss_rate, every.false_alarms_per_hour) == (pytest.approx(4 / 5), pytest.approx(5 * 120))
    of_soft = {point.threshold: point for point in result.curves["soft"].points}
    assert (of_soft[0.6].miss_rate, of_soft[0.6].false_alarms_per_hour) == (pytest.approx(1 / 3), 0)


def test_the_json_has_the_best_of_the_curve(folder: Path) -> None:
    """The loud second that is not annotated fills a window: no threshold of all classes is without its false alarm."""
    content = scored(folder, threshold=0.6).as_dict()
    nothing = {"threshold": None, "false_alarms_per_hour": 0.0, "miss_rate": 1.0}
    assert content["one_threshold"]["at_false_alarms_per_hour"]["100"] == nothing
    assert content["classes"]["soft"]["at_false_alarms_per_hour"]["1"]["miss_rate"] == pytest.approx(1 / 3)
    assert content["classes"]["soft"]["threshold"] == 0.6
    assert content["n_recordings"] == 3


def test_events_at_the_borders_of_recordings_stay_in_them(tmp_path: Path) -> None:
    """A sound to the end of one recording and from the start of the next are two events."""
    record(tmp_path / "a.wav", 4, [(2, 4, "soft")])
    track(tmp_path / "a.txt", (2, 4, "soft"))
    record(tmp_path / "b.wav", 4, [(0, 2, "soft")])
    track(tmp_path / "b.txt", (0, 2, "soft"))
    for rules in (Rules(), Rules(refractory_s=100), Rules(confirm=(2, 3))):
        result = scored(tmp_path, rules=rules)
        assert counts(result)["soft"] == (2, 0, 0)
        assert [len(of.predicted) for of in result.recordings] == [1, 1]


def test_recordings_without_events_count_with_their_false_alarms(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 4, [(1, 2, "soft")])
    track(tmp_path / "a.txt", (1, 2, "soft"))
    record(tmp_path / "b.wav", 8, [(1, 2, "soft"), (5, 6, "loud")])
    track(tmp_path / "b.txt")
    result = scored(tmp_path, threshold=0.6)
    assert counts(result) == {"soft": (1, 0, 1), "loud": (0, 0, 1)}
    assert result.score.micro.false_alarms_per_hour == pytest.approx(2 * 300)
    assert list(result.curves) == ["soft"]
    assert result.score.unannotated == ("loud",)


def test_recordings_without_any_annotation_tell_false_alarms(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 8, [(1, 2, "soft")])
    track(tmp_path / "a.txt")
    result = scored(tmp_path, threshold=0.6)
    assert counts(result) == {"soft": (0, 0, 1), "loud": (0, 0, 0)}
    assert result.score.micro.false_alarms_per_hour == pytest.approx(450)
    assert (result.curve, result.curves, result.score.micro.recall) == (None, {}, None)


def test_points_are_hits_where_they_lie_in_an_event(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 9, [(1, 3, "soft"), (6, 7, "soft")])
    track(tmp_path / "a.txt", (1.5, 1.5, "soft"), (2, 2, "soft"), (4.5, 4.5, "soft"))
    assert counts(scored(tmp_path, threshold=0.6))["soft"] == (1, 2, 1)


def test_events_too_short_for_the_window_are_told(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", 9, [(1, 3, "soft")])
    track(tmp_path / "a.txt", (1, 1.1, "soft"), (1, 3, "soft"))
    assert [note for note in scored(tmp_path).notes if "shorter" in note] == [
        "1 of 2 annotated events are shorter than 0.2 of a window of 1 s, and cannot be hits: "
        "shorten the window or the overlap"
    ]
    assert not [note for note in scored(tmp_path, window_s=0.5).notes if "shorter" in note]
    assert not [note for note in scored(tmp_path, criterion=Collar()).notes if "shorter" in note]


def test_a_recording_that_cannot_be_decoded_is_told(folder: Path) -> None:
    sf.write(folder / "b.wav", np.append(np.zeros(12000), np.nan), 1000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"1 recording\(s\) cannot be used(.|\n)*b\.wav"):
        scored(folder)


def test_a_recording_that_may_be_bad_is_left_out_with_its_annotations(folder: Path) -> None:
    sf.write(folder / "b.wav", np.append(np.zeros(12000), np.nan), 1000, subtype="FLOAT")
    of = subject(is_exported=True)
    data_section = of.recipe.data.model_copy(update={"max_bad_files": 1})
    tolerant = replace(of, recipe=of.recipe.model_copy(update={"data": data_section}))
    data = choose_events(tolerant, read_events(tolerant, folder))
    result = score_events(tolerant, data, EventSettings(threshold=0.6))
    assert [recording.path.stem for recording in result.recordings] == ["a", "c"]
    assert counts(result) == {"soft": (1, 0, 0), "loud": (0, 1, 1)}
    assert result.score.hours == pytest.approx(18 / 3600)
    assert "b.wav" in result.notes[-1]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_cannot_be(threshold: float) -> None:
    with pytest.raises(ArgumentError, match=r"threshold=.*expected a probability"):
        EventSettings(threshold=threshold)
