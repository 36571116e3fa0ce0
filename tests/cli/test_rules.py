"""The options that say what makes a detection, of `listen` and `predict`."""

from pathlib import Path

import pytest

from audiostride.cli.options import make_rules, parse_pair
from audiostride.errors import ArgumentError
from audiostride.prediction.detector import Rules
from tests.peaks import Peaks, write_peaks
from tests.prediction.test_live import begin
from tests.program import run


def test_rules_are_read_from_options() -> None:
    assert make_rules(None, None, None) == Rules()
    assert make_rules("2/3", 1.5, 0.5) == Rules((2, 3), 1.5, 0.5)


@pytest.mark.parametrize("text", ["", "2", "2/", "/3", "-1/3", "2/3/4", "2 / 3", "9" * 5000 + "/1", "٢/٣"])
def test_what_is_no_pair(text: str) -> None:
    assert parse_pair(text) is None
    with pytest.raises(ArgumentError, match="expected K/N, as in 2/3"):
        make_rules(text, None, None)


@pytest.mark.parametrize("command", ["listen", "predict"])
@pytest.mark.parametrize(
    ("option", "value"), [("--confirm", "3/2"), ("--confirm", "two"), ("--refractory", "-1"), ("--smooth", "nan")]
)
def test_mistakes_name_the_option(
    command: str,
    option: str,
    value: str,
    untrained: Path,
    field: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inputs = [field, "--out", tmp_path / "out"] if command == "predict" else []
    assert run(monkeypatch, command, untrained, *inputs, option, value) == 2
    told = capsys.readouterr().err
    assert f"{option} {value}: expected" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ((), ["0.000 1.000", "0.500 1.500", "1.000 2.000", "1.500 2.500", "2.000 3.000"]),
        (("--refractory", "0"), ["0.000 1.000"]),
        (("--confirm", "2/3"), ["0.000 1.500", "0.000 2.000", "0.500 2.500", "1.000 3.000"]),
        (("--confirm", "2/3", "--refractory", "5"), ["0.000 1.500"]),
        (("--confirm", "6/6"), []),
    ],
)
def test_listen_prints_a_line_per_detection_and_with_a_refractory_time_per_event(
    options: tuple[str, ...], times: list[str], untrained: Path
) -> None:
    """Three seconds of silence: five windows alike, all above a threshold of 0."""
    process = begin(untrained, "--task", "tone", *options)
    out, _ = process.communicate(bytes(2 * 48000), timeout=60)
    assert [" ".join(line.split("\t")[:2]) for line in out.decode().splitlines()] == times


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ((), ["0.000 1.000 up 0.75", "2.000 4.000 up 0.94"]),
        (("--confirm", "2/2"), ["2.000 4.000 up 0.94"]),
        (("--refractory", "1"), ["0.000 4.000 up 0.94"]),
        (("--smooth", "1"), ["0.000 1.000 up 0.75", "3.000 4.000 up 0.91"]),
    ],
)
def test_the_events_of_predict(
    options: tuple[str, ...], labels: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of 0.75, 0, 0.875 and 0.9375; smoothed over two 0.75, 0.375, 0.4375 and 0.90625."""
    model = Peaks(tmp_path / "m")
    monkeypatch.setattr("audiostride.loading.load_model", lambda *_: model)
    recording = write_peaks(tmp_path / "a.wav", 4, {0.5: 0.75, 2.5: 0.875, 3.5: 0.9375})
    arguments = recording, "--out", tmp_path / "out", "--format", "audacity", "--hop-s", "1", *options
    assert run(monkeypatch, "predict", model.path, *arguments) == 0
    text = (tmp_path / "out/a.wav.labels.txt").read_text()
    assert [" ".join(line.split("\t")) for line in text.splitlines()] == labels
