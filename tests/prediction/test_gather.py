"""Parts that are joined are, byte for byte, what one prediction of all recordings leaves."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf

from audiostride.data.recordings import find_inputs
from audiostride.errors import UserError
from audiostride.loading import load_model
from audiostride.prediction.folder import predict_into
from audiostride.prediction.gather import Gathered, gather_parts
from audiostride.prediction.model import WindowModel
from audiostride.prediction.outputs import Settings
from audiostride.vocabulary import Format
from tests.program import run


@pytest.fixture(scope="module")
def model(untrained: Path) -> WindowModel:
    return load_model(untrained, "cpu")


@pytest.fixture(scope="module")
def recordings(field: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven recordings: two have date and time in their names, two cannot be used, one has a name that is no UTF-8."""
    folder = tmp_path_factory.mktemp("recordings") / "in"
    shutil.copytree(field, folder)
    for name in ("20240501_235959.wav", "20240502_001000.wav"):
        shutil.copy(field / "monday/rec.wav", folder / name)
    shutil.move(folder / "tuesday/rec.wav", os.fsdecode(bytes(folder) + b"/tuesday/\xff.wav"))
    (folder / "b.wav").write_text("no audio")
    (folder / "z.wav").touch()
    return folder


def settings(form: Format = "csv", shard: tuple[int, int] = (1, 1), threshold: float = 0.2) -> Settings:
    return Settings(form, ("tone", "place"), 16000, 8000, 2, threshold, shard)


def predict(model: WindowModel, paths: Sequence[Path], out: Path, of: Settings, **options: Any) -> None:
    for _ in predict_into(model, paths, out, of, 1, **options):
        pass


def predict_parts(model: WindowModel, paths: Sequence[Path], out: Path, n: int, form: Format = "csv") -> None:
    for i in range(1, n + 1):
        predict(model, paths, out, settings(form, (i, n)))


def content(folder: Path) -> dict[str, bytes]:
    """Every file but locks and what is of a part."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if "-of-" not in name and path.name != "lock"}


@pytest.mark.parametrize("form", ["csv", "jsonl", "raven", "parquet"])
def test_joined_parts_are_one_prediction(model: WindowModel, recordings: Path, tmp_path: Path, form: Format) -> None:
    paths = find_inputs([str(recordings)])
    predict(model, paths, tmp_path / "whole", settings(form))
    predict_parts(model, paths, tmp_path / "parts", 3, form)
    reasons = gather_parts(tmp_path / "parts").failed
    assert {path.name: reason for path, reason in reasons.items()} == {
        "b.wav": reasons[recordings / "b.wav"],
        "z.wav": "empty file (0 bytes)",
    }
    whole = content(tmp_path / "whole")
    assert {"hours.csv", "failed.csv", ".predict/logits.f4", ".predict/journal.jsonl"} <= set(whole)
    assert content(tmp_path / "parts") == whole


def test_a_joined_folder_goes_on(
    model: WindowModel, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [path for path in find_inputs([str(recordings)]) if path.name not in ("b.wav", "z.wav")]
    predict_parts(model, paths, tmp_path / "parts", 2)
    gather_parts(tmp_path / "parts")
    monkeypatch.setattr(model, "logits", None)  # nothing is predicted again
    predict(model, paths, tmp_path / "parts", settings("jsonl"))
    monkeypatch.undo()
    predict(model, paths, tmp_path / "whole", settings("jsonl"))
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_more_parts_than_recordings(model: WindowModel, field: Path, tmp_path: Path) -> None:
    paths = find_inputs([str(field / "stereo.wav")])
    predict_parts(model, paths, tmp_path / "parts", 2)
    assert gather_parts(tmp_path / "parts") == Gathered(2, 1, {})
    predict(model, paths, tmp_path / "whole", settings())
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


@pytest.fixture
def parts(model: WindowModel, field: Path, tmp_path: Path) -> Path:
    """Three parts of five recordings."""
    predict_parts(model, find_inputs([str(field)]), tmp_path / "parts", 3)
    return tmp_path / "parts"


def refused(parts: Path) -> str:
    """What is said, with every file left as it was."""
    before = content(parts)
    with pytest.raises(UserError) as caught:
        gather_parts(parts)
    assert content(parts) == before
    return str(caught.value)


def test_parts_that_are_missing_or_not_finished_are_named(
    model: WindowModel, field: Path, parts: Path, tmp_path: Path
) -> None:
    assert "expected a folder that `audiostride predict --shard I/N` wrote to" in refused(tmp_path)
    assert "expected a folder that `audiostride predict --shard I/N` wrote to" in refused(tmp_path / "none")
    shutil.rmtree(parts / ".predict-2-of-3")
    events = predict_into(model, find_inputs([str(field)]), parts, settings(shard=(3, 3)), 1, overwrite=True)
    next(events)
    events.close()
    told = refused(parts)
    assert told.splitlines()[1:] == [
        "  part 2 of 3: missing",
        "  part 3 of 3: not finished, run its command again",
    ]
    predict(model, find_inputs([str(field)]), parts, settings(shard=(1, 2)))
    assert refused(parts).splitlines()[1:] == ["  part 1 of 2", "  part 1 of 3", "  part 3 of 3"]


def test_parts_that_differ_are_named_with_what_differs(model: WindowModel, field: Path, parts: Path) -> None:
    paths = find_inputs([str(field)])
    predict(model, paths[:4], parts, settings(shard=(2, 3)), overwrite=True)
    predict(model, paths, parts, settings(shard=(3, 3), threshold=0.3))
    first, *problems = refused(parts).splitlines()
    assert first == f"{parts}: parts that differ from part 1 of 3:"
    assert problems == [
        "  part 2 of 3: the recordings given",
        "  part 3 of 3: thresholds, thresholds of detections",
    ]


def test_a_table_that_was_cut_is_named(parts: Path) -> None:
    table = parts / "windows-2-of-3.csv"
    table.write_bytes(table.read_bytes()[:-5])
    assert refused(parts).startswith(f"{table}: shorter than when it was written")


def test_a_file_of_events_that_is_gone_is_named(model: WindowModel, field: Path, tmp_path: Path) -> None:
    predict_parts(model, find_inputs([str(field)]), tmp_path / "parts", 2, "raven")
    (tmp_path / "parts/stereo.wav.selections.txt").unlink()
    assert "the file stereo.wav.selections.txt is missing" in refused(tmp_path / "parts")


def test_what_is_there_is_replaced_with_overwrite_alone(parts: Path) -> None:
    gather_parts(parts)
    before = content(parts)
    assert "exists already (--overwrite replaces it)" in refused(parts)
    (parts / "files.csv").write_text("edited")
    gather_parts(parts, overwrite=True)
    assert content(parts) == before


def test_the_command_joins_and_tells_of_bad_recordings(
    untrained: Path,
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sf.write(tmp_path / "c.wav", [0.1] * 20000, 16000)
    for shard in ("1/2", "2/2"):
        command = ["predict", untrained, recordings / "b.wav", tmp_path / "c.wav", "--out", tmp_path / "out"]
        run(monkeypatch, *command, "--shard", shard)
    capsys.readouterr()
    assert run(monkeypatch, "predict", "--gather", tmp_path / "out") == 1
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == f"{tmp_path / 'out'}: 2 parts joined, 1 recording"
    assert second == "1 recording cannot be used:"
    assert third.startswith(f"  {recordings / 'b.wav'}: ")
    assert run(monkeypatch, "predict", "--gather", tmp_path / "out", "--hop-s", "1", "--shard", "1/2") == 2
    assert "joins what is there, and takes no --hop-s, --shard" in capsys.readouterr().err
    assert run(monkeypatch, "predict", "--gather", tmp_path / "none") == 2
    assert "none: no parts, expected a folder that" in capsys.readouterr().err
    assert run(monkeypatch, "predict", untrained, recordings) == 2
    assert "--out is missing, expected RUN PATH... --out DIR, or --gather DIR alone" in capsys.readouterr().err
