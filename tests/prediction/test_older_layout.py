"""A folder that an older version filled."""

import json
from pathlib import Path

import pytest
import soundfile as sf

from audiostride.errors import UserError
from audiostride.loading import load_model
from audiostride.prediction.folder import predict_into
from audiostride.prediction.outputs import Settings

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
