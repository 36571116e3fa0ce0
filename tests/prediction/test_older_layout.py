"""A folder that an older version filled."""

import json
from pathlib import Path

import pytest
import soundfile as sf

from audiostride.errors import UserError
from audiostride.loading import load_model
from audiostride.prediction.folder import Outcome, predict_into
from audiostride.prediction.outputs import Settings
from tests.peaks import RATE, Peaks, write_peaks
from tests.prediction.test_folder import content

SETTINGS = Settings("raven", ("tone",), 16000, 8000, 2, 0.0)


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A folder with one journal, which names the files of events; of a recording that is there no more."""
    state = tmp_path / "out/.predict"
    state.mkdir(parents=True)
    entry = {"path": "gone.wav", "size": 1, "mtime_ns": 1, "ends": [0], "file": "gone.wav.selections.txt"}
    (state / "journal.jsonl").write_text(json.dumps({"layout": 1}) + "\n" + json.dumps(entry) + "\n")
    (tmp_path / "out/gone.wav.selections.txt").write_text("Selection\n")
    sf.write(tmp_path / "new.wav", [0.0] * 16000, 16000)
    return tmp_path


def test_it_is_refused_with_what_differs(untrained: Path, older: Path) -> None:
    with pytest.raises(UserError, match="layout: 1 there, 2 now"):
        list(predict_into(load_model(untrained, "cpu"), [older / "new.wav"], older / "out", SETTINGS, 1))


def test_overwrite_leaves_none_of_its_files(untrained: Path, older: Path) -> None:
    model = load_model(untrained, "cpu")
    list(predict_into(model, [older / "new.wav"], older / "out", SETTINGS, 1, overwrite=True))
    assert sorted(path.name for path in (older / "out").glob("*.txt")) == ["new.wav.selections.txt"]


CSV = Settings("csv", ("peak",), RATE, RATE)


@pytest.fixture
def without_detections(tmp_path: Path) -> Path:
    """A folder as the version before wrote it: two tables, files without the columns of events, no table of them."""
    out = tmp_path / "out"
    path = write_peaks(tmp_path / "a.wav", 2, {0.5: 0.75})
    list(predict_into(Peaks(tmp_path / "m"), [path], out, CSV, 1))
    (out / "detections.csv").unlink()
    (out / ".predict/events.jsonl").unlink()
    files = [line.rsplit(",", 4)[0] for line in (out / "files.csv").read_text().splitlines()]
    (out / "files.csv").write_text("\n".join(files) + "\n")
    before, entry = map(json.loads, (out / ".predict/tables.jsonl").read_text().splitlines())
    new = {"--confirm", "--refractory", "--smooth", "thresholds of detections"}
    kept = {name: value for name, value in before.items() if name not in new}
    lines = (
        kept | {"layout": 2},
        entry | {"ends": [(out / f"{name}.csv").stat().st_size for name in ("files", "windows")]},
    )
    (out / ".predict/tables.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_tables_are_written_anew_without_predicting_again(
    without_detections: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = Peaks(without_detections / "m"), without_detections / "a.wav"
    list(predict_into(model, [path], without_detections / "fresh", CSV, 1))
    monkeypatch.setattr(model, "logits", None, raising=False)
    *_, outcome = predict_into(model, [path], without_detections / "out", CSV, 1)
    assert outcome == Outcome(1, 0, {}, rewritten=True)
    assert content(without_detections / "out") == content(without_detections / "fresh")


def test_a_table_of_detections_that_it_did_not_write_is_kept(without_detections: Path) -> None:
    model, path, out = Peaks(without_detections / "m"), without_detections / "a.wav", without_detections / "out"
    (out / "detections.csv").write_text("mine")
    before = content(out)
    with pytest.raises(UserError, match=r"detections\.csv: exists already"):
        list(predict_into(model, [path], out, CSV, 1))
    assert content(out) == before
    list(predict_into(model, [path], out, CSV, 1, overwrite=True))
    assert (out / "detections.csv").read_text().startswith("path,start_s")
