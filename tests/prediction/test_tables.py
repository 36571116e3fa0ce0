"""What stands in the tables, down to names that would break them."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from audiostride.errors import UserError
from audiostride.prediction.events import Event
from audiostride.prediction.selection import Selection
from audiostride.prediction.stream import FileResult, WindowResult
from audiostride.prediction.summary import Summary
from audiostride.prediction.tables import (
    DETECTION_COLUMNS,
    FILE_COLUMNS,
    WINDOW_COLUMNS,
    CsvTables,
    JsonTables,
    audacity_text,
    check_format,
    raven_text,
    write_parquet,
)

CLASSES = {"bird": ("wren", "owl", "a,b"), "place": ("near", "far")}
PROBABILITIES = {"bird": np.array([0.2, 0.7, 0.1]), "place": np.array([0.5, 0.5])}
OWL_AGAIN = [Event(2.0, 2.3456, "bird", "owl", 0.8)]
ODD = Path("tab\there\nnew, line.wav")
FILE = FileResult(ODD, 2.3456, 4, PROBABILITIES)
MAXIMA = {"bird": np.array([0.6, 0.9, 0.3]), "place": np.array([0.75, 0.5])}
SUMMARY = Summary(
    CLASSES, MAXIMA, [Event(0.5, 1.5, "bird", "owl", 0.9), Event(0.5, 2, "place", "near", 0.75), *OWL_AGAIN]
)
WINDOW = WindowResult(ODD, 1.5, 2.3456, PROBABILITIES)


def selection(top_k: int = 3, threshold: float = 0.0) -> Selection:
    of_tasks = {task: np.full(len(names), threshold) for task, names in CLASSES.items()}
    return Selection(CLASSES, dict.fromkeys(CLASSES, top_k), of_tasks)


def rows(text: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), columns))


def test_rows_are_ranked_and_names_survive() -> None:
    found = rows(CsvTables(selection()).file(FILE, SUMMARY), FILE_COLUMNS)
    assert [(row["task"], row["rank"], row["class"], row["probability"]) for row in found] == [
        ("bird", "1", "owl", "0.700000"),
        ("bird", "2", "wren", "0.200000"),
        ("bird", "3", "a,b", "0.100000"),
        ("place", "1", "near", "0.500000"),  # of two alike the first
        ("place", "2", "far", "0.500000"),
    ]
    assert {(row["path"], row["duration_s"], row["n_windows"]) for row in found} == {(str(ODD), "2.346", "4")}


def test_a_row_of_a_file_has_the_highest_window_and_the_events_of_its_class() -> None:
    found = rows(CsvTables(selection()).file(FILE, SUMMARY), FILE_COLUMNS)
    assert [(row["class"], row["maximum"], row["n_events"], row["first_s"], row["last_s"]) for row in found] == [
        ("owl", "0.900000", "2", "0.500", "2.346"),
        ("wren", "0.600000", "0", "", ""),
        ("a,b", "0.300000", "0", "", ""),
        ("near", "0.750000", "1", "0.500", "2.000"),
        ("far", "0.500000", "0", "", ""),
    ]


@pytest.mark.parametrize(("name", "time"), [("20240501_235959.wav", "2024-05-02T00:00:01.000"), ("rec.wav", None)])
def test_a_detection_has_the_time_at_which_it_begins_if_the_name_of_the_recording_tells(
    name: str, time: str | None
) -> None:
    (line,) = JsonTables(selection()).detections(Path(name), OWL_AGAIN).splitlines()
    assert json.loads(line) == {
        **{"path": name, "start_s": 2.0, "end_s": 2.346, "time": time},
        **{"task": "bird", "class": "owl", "probability": 0.8},
    }
    (row,) = rows(CsvTables(selection()).detections(Path(name), OWL_AGAIN), DETECTION_COLUMNS)
    values = name, "2.000", "2.346", time or "", "bird", "owl", "0.800000"
    assert row == dict(zip(DETECTION_COLUMNS, values, strict=True))


def test_the_threshold_leaves_windows_out_and_the_best_of_a_file_in() -> None:
    tables = CsvTables(selection(threshold=0.6))
    assert [row["class"] for row in rows(tables.window(WINDOW), WINDOW_COLUMNS)] == ["owl"]
    assert [row["class"] for row in rows(tables.file(FILE, SUMMARY), FILE_COLUMNS)] == ["owl", "near"]
    assert CsvTables(selection(threshold=0.9)).window(WINDOW) == ""


def test_top_k_counts_per_task() -> None:
    assert [row["class"] for row in rows(CsvTables(selection(1)).window(WINDOW), WINDOW_COLUMNS)] == ["owl", "near"]


def test_json_lines_hold_the_same() -> None:
    tables = JsonTables(selection(2, 0.3))
    assert json.loads(tables.window(WINDOW)) == {
        "path": str(ODD),
        "start_s": 1.5,
        "end_s": 2.346,
        "tasks": {
            "bird": [{"class": "owl", "probability": 0.7}],
            "place": [{"class": "near", "probability": 0.5}, {"class": "far", "probability": 0.5}],
        },
    }
    assert tables.window(WINDOW).count("\n") == 1
    of_file = json.loads(tables.file(FILE, SUMMARY))
    assert of_file["n_windows"] == 4
    assert of_file["tasks"]["bird"] == [
        {**{"class": "owl", "probability": 0.7, "maximum": 0.9}, **{"n_events": 2, "first_s": 0.5, "last_s": 2.346}}
    ]
    assert of_file["tasks"]["place"][1] == {
        **{"class": "far", "probability": 0.5, "maximum": 0.5},
        **{"n_events": 0, "first_s": None, "last_s": None},
    }
    assert JsonTables(selection(2, 0.9)).window(WINDOW) == ""


def test_a_name_that_is_no_utf8_is_written_with_its_bytes() -> None:
    result = FileResult(Path("lat\udce91.wav"), 1.0, 1, PROBABILITIES)
    assert CsvTables(selection(1)).file(result, SUMMARY).startswith("lat\\xe91.wav,")


EVENTS = [Event(0.0, 2.5, "bird", "wren", 0.9), Event(4.0, 5.0, "place", "fa\tr", 0.75)]


def test_raven_selections_have_its_columns_one_line_per_event() -> None:
    header, *lines = raven_text(ODD, EVENTS, 16000).splitlines()
    names = header.split("\t")
    assert names[:7] == [
        "Selection",
        "View",
        "Channel",
        "Begin Time (s)",
        "End Time (s)",
        "Low Freq (Hz)",
        "High Freq (Hz)",
    ]
    first, second = (dict(zip(names, line.split("\t"), strict=True)) for line in lines)
    assert (first["Selection"], first["Begin Time (s)"], first["End Time (s)"]) == ("1", "0.000", "2.500")
    assert (first["Low Freq (Hz)"], first["High Freq (Hz)"], first["Class"]) == ("0.0", "8000.0", "wren")
    assert (second["Class"], second["Probability"], second["Task"]) == ("fa\\tr", "0.750000", "place")


@pytest.mark.parametrize(("with_task", "label"), [(False, "wren 0.90"), (True, "bird: wren 0.90")])
def test_audacity_labels(with_task: bool, label: str) -> None:
    assert audacity_text(EVENTS[:1], with_task=with_task) == f"0.000\t2.500\t{label}\n"


def test_parquet_holds_what_the_csv_holds(tmp_path: Path) -> None:
    tables = CsvTables(selection())
    for name, text, columns in (
        ("windows", tables.head("windows") + 3 * tables.window(WINDOW), WINDOW_COLUMNS),
        ("files", tables.head("files"), FILE_COLUMNS),
    ):
        (tmp_path / f"{name}.csv").write_text(text, newline="")
        write_parquet(tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet", columns)
    content = parquet.read_table(tmp_path / "windows.parquet").to_pylist()
    assert len(content) == 15
    assert content[2] == {
        **{"path": str(ODD), "start_s": 1.5, "end_s": 2.346},
        **{"task": "bird", "rank": 3, "class": "a,b", "probability": 0.1},
    }
    empty = parquet.read_table(tmp_path / "files.parquet")
    assert (empty.num_rows, tuple(empty.column_names)) == (0, FILE_COLUMNS)
    assert sorted(path.name for path in tmp_path.glob("*.partial")) == []


def test_an_unknown_format_is_told() -> None:
    with pytest.raises(UserError, match="format=xls: expected one of csv, jsonl, raven, audacity, parquet"):
        check_format("xls")


def test_parquet_without_its_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiostride.prediction.tables.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install .*pyarrow"):
        check_format("parquet")
