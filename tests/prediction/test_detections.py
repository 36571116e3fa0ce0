"""The table of detections, and what the table of files says of them, counted by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from audiostride.errors import UserError
from audiostride.prediction.detector import Rules
from audiostride.prediction.folder import Outcome, predict_into
from audiostride.prediction.model import Traits
from audiostride.prediction.outputs import Settings
from audiostride.vocabulary import Format
from tests.peaks import RATE, Peaks, write_peaks
from tests.prediction.test_folder import content, rows

SECONDS = 4


@pytest.fixture
def model(tmp_path: Path) -> Peaks:
    return Peaks(tmp_path / "m")


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Two recordings of four windows: one with two events up and one down, one in the second before midnight."""
    first = {0.5: 0.75, 1.5: 0.5, 2.5: 0.25, 3.5: 0.875, 3.25: -0.625}
    return [
        write_peaks(tmp_path / "in/20240501_235958.wav", SECONDS, first),
        write_peaks(tmp_path / "in/site.wav", SECONDS, {1.5: 0.5}),
    ]


def settings(form: Format = "csv", rules: Rules | None = None, threshold: float | None = None) -> Settings:
    return Settings(form, ("peak",), RATE, RATE, threshold=threshold, rules=rules or Rules())


def predict(model: Peaks, paths: list[Path], out: Path, of: Settings, *, overwrite: bool = False) -> Outcome:
    *_, outcome = predict_into(model, paths, out, of, 1, overwrite=overwrite)
    assert isinstance(outcome, Outcome)
    return outcome


EVENTS = [  # of the first recording three, of the second one
    ("0.000", "2.000", "2024-05-01T23:59:58.000", "up", "0.750000"),
    ("3.000", "4.000", "2024-05-02T00:00:01.000", "down", "0.625000"),
    ("3.000", "4.000", "2024-05-02T00:00:01.000", "up", "0.875000"),
    ("1.000", "2.000", "", "up", "0.500000"),
]


def found(table: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            *(f"{float(row[name]):.3f}" for name in ("start_s", "end_s")),
            *(row["time"] or "", row["class"], f"{float(row['probability']):.6f}"),
        )
        for row in table
    ]


@pytest.mark.parametrize("form", ["csv", "raven", "audacity", "jsonl", "parquet"])
def test_a_row_per_event_in_every_format(form: Format, model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(model, paths, out, settings(form))
    if form == "jsonl":
        table = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    elif form == "parquet":
        table = parquet.read_table(out / "detections.parquet").to_pylist()
    else:
        table = rows(out / "detections.csv")
    assert list(table[0]) == ["path", "start_s", "end_s", "time", "task", "class", "probability"]
    assert found(table) == EVENTS
    assert [row["path"] for row in table] == [*[str(paths[0])] * 3, str(paths[1])]


def test_the_files_say_how_high_how_often_and_where(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    predict(model, paths, tmp_path / "out", settings())
    columns = "class", "maximum", "n_events", "first_s", "last_s"
    assert [tuple(row[name] for name in columns) for row in rows(tmp_path / "out/files.csv")] == [
        ("up", "0.875000", "2", "0.000", "4.000"),
        ("down", "0.625000", "1", "3.000", "4.000"),
        ("up", "0.500000", "1", "1.000", "2.000"),
        ("down", "0.000001", "0", "", ""),
    ]


def test_empty_cells_of_files_are_null_in_parquet(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    predict(model, paths, tmp_path / "out", settings("parquet"))
    table = parquet.read_table(tmp_path / "out/files.parquet").to_pylist()
    assert [(row["n_events"], row["first_s"], row["last_s"]) for row in table] == [
        *((2, 0.0, 4.0), (1, 3.0, 4.0), (1, 1.0, 2.0), (0, None, None)),
    ]


def test_a_threshold_counts_for_windows_and_detections(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    predict(model, paths, tmp_path / "default", settings())
    assert len(rows(tmp_path / "default/windows.csv")) == 2 * SECONDS * 2  # by default every class
    predict(model, paths, tmp_path / "out", settings(threshold=0.7))
    assert [(row["start_s"], row["class"]) for row in rows(tmp_path / "out/windows.csv")] == [
        ("0.000", "up"),
        ("3.000", "up"),
    ]
    assert [row[:2] for row in found(rows(tmp_path / "out/detections.csv"))] == [("0.000", "1.000"), ("3.000", "4.000")]


def test_the_models_own_thresholds_count_before_the_default(
    model: Peaks, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of `up` is 0.2, so that its four windows are one event; `down` has none of its own."""
    monkeypatch.setattr(model, "traits", {"peak": Traits("multilabel", thresholds={"up": 0.2})})
    predict(model, paths[:1], tmp_path / "out", settings())
    assert [(row[0], row[1], row[3]) for row in found(rows(tmp_path / "out/detections.csv"))] == [
        ("0.000", "4.000", "up"),
        ("3.000", "4.000", "down"),
    ]


OTHER_RULES = {
    "confirm": (Rules(confirm=(2, 2)), [("0.000", "2.000", "up", "0.750000")]),
    "refractory": (
        Rules(refractory_s=1),
        [
            ("0.000", "4.000", "up", "0.875000"),
            ("3.000", "4.000", "down", "0.625000"),
            ("1.000", "2.000", "up", "0.500000"),
        ],
    ),
    "smooth": (
        Rules(smooth_s=1),  # of up 0.75, 0.625, 0.375, 0.5625
        [("0.000", "2.000", "up", "0.750000"), ("3.000", "4.000", "up", "0.562500")],
    ),
}


@pytest.mark.parametrize("form", ["csv", "jsonl", "raven"])
@pytest.mark.parametrize("name", OTHER_RULES)
def test_other_rules_write_the_tables_anew_from_what_the_model_said(
    name: str, form: Format, model: Peaks, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, expected = OTHER_RULES[name]
    predict(model, paths, tmp_path / "fresh", settings(form, rules))
    predict(model, paths, tmp_path / "out", settings(form))
    monkeypatch.setattr(model, "logits", None, raising=False)
    assert predict(model, paths, tmp_path / "out", settings(form, rules)).rewritten
    assert content(tmp_path / "out") == content(tmp_path / "fresh")
    if form == "csv":
        table = found(rows(tmp_path / "out/detections.csv"))
        assert [(row[0], row[1], *row[3:]) for row in table] == expected


def test_a_recording_that_turns_out_bad_leaves_no_detection(model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "in/bad.wav"
    bad.write_bytes(paths[0].read_bytes()[:-100])
    outcome = predict(model, [bad, *paths], tmp_path / "out", settings())
    assert list(outcome.failed) == [bad]
    assert found(rows(tmp_path / "out/detections.csv")) == EVENTS


def test_parquet_is_converted_again_if_the_process_ended_before(
    model: Peaks, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(model, paths[:1], tmp_path / "out", settings("parquet"))
    with monkeypatch.context() as patch:
        patch.setattr("audiostride.prediction.outputs.write_parquet", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            predict(model, paths, tmp_path / "out", settings("parquet"))
    assert predict(model, paths, tmp_path / "out", settings("parquet")) == Outcome(2, 0, {})
    assert parquet.read_table(tmp_path / "out/detections.parquet").num_rows == len(EVENTS)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "raven"])
def test_a_table_of_someone_else_is_not_replaced(form: Format, model: Peaks, paths: list[Path], tmp_path: Path) -> None:
    ending = "csv" if form == "raven" else form
    (tmp_path / "out").mkdir()
    (tmp_path / f"out/detections.{ending}").write_text("mine")
    with pytest.raises(UserError, match=rf"detections\.{ending}: exists already"):
        predict(model, paths, tmp_path / "out", settings(form))
    assert (tmp_path / f"out/detections.{ending}").read_text() == "mine"


def test_names_that_are_formulas_are_made_safe(tmp_path: Path) -> None:
    model = Peaks(tmp_path / "m", ("=up", "down"))
    path = write_peaks(tmp_path / "in/a.wav", 1, {0.5: 0.75})
    predict(model, [path], tmp_path / "out", settings())
    assert [row["class"] for row in rows(tmp_path / "out/detections.csv")] == ["'=up"]
