"""The background noise of Speech Commands: windows of a class of their own, split by time."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import soundfile as sf

from audiostride.data.manifest import Clip, read_manifest
from audiostride.datasets import prepare
from audiostride.datasets.speech_commands import read_speech_commands
from tests.datasets.tables import wav, write
from tests.program import run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two words of a take, and noise of ten seconds and a half."""
    for word in ("bed", "cat"):
        wav(tmp_path / word / "00a_nohash_0.wav", 1)
    for name in ("validation_list.txt", "testing_list.txt"):
        write(tmp_path / name, "")
    wav(tmp_path / "_background_noise_" / "rain.wav", 10.5)
    write(tmp_path / "_background_noise_" / "README.md", "noise")
    return tmp_path


def noise_of(root: Path) -> list[Clip]:
    return [clip for clip in read_manifest(root / "manifest.csv").clips if clip.labels["label"] == "noise"]


def test_noise_is_cut_into_seconds_and_split_by_time(root: Path) -> None:
    prepare("speech_commands", root, background="noise")
    place = root / "_background_noise_" / "rain.wav"
    splits = [*["train"] * 8, "valid", "test"]
    assert noise_of(root) == [Clip(place, split, {"label": "noise"}, i, 1.0) for i, split in enumerate(splits)]


@pytest.mark.parametrize(
    ("duration_s", "splits"),
    [
        (1, "train"),
        (2, "train valid"),
        (3.9, "train valid test"),
        (8, "train train train train train train valid test"),
    ],
)
def test_short_noise_is_in_as_many_splits_as_it_has_windows(root: Path, duration_s: float, splits: str) -> None:
    wav(root / "_background_noise_" / "rain.wav", duration_s)
    prepare("speech_commands", root, background="noise")
    assert [clip.split for clip in noise_of(root)] == splits.split()


def test_no_sample_of_noise_is_in_two_splits(root: Path) -> None:
    for i in range(20):
        wav(root / "_background_noise_" / f"{i}.wav", 3 + 0.7 * i)
    prepare("speech_commands", root, background="noise")
    clips = noise_of(root)
    assert {clip.split for clip in clips} == {"train", "valid", "test"}
    for path in {clip.path for clip in clips}:
        of_path = sorted((clip for clip in clips if clip.path == path), key=lambda clip: clip.start_s)
        assert all(a.start_s + 1 <= b.start_s for a, b in pairwise(of_path))
        assert of_path[-1].start_s + 1 <= sf.info(path).duration


def test_the_words_stay_and_the_card_is_compared_with_them_alone(root: Path) -> None:
    words = prepare("speech_commands", root)
    both = prepare("speech_commands", root, background="noise")
    assert read_manifest(root / "manifest.csv").clips[:2] == tuple(read_speech_commands(root))
    assert both.differences == words.differences


def test_the_note_says_how_the_noise_is_split(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "prepare", "speech_commands", root, "--background", "noise") == 0
    (note,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("noise: ")]
    assert "10 windows of 1 s from 1 recording(s)" in note
    assert "(8 train, 1 valid, 1 test), split by time" in note


# mistakes


def no_folder(root: Path) -> None:
    (root / "_background_noise_").rename(root / ".hidden")


def no_recording(root: Path) -> None:
    (root / "_background_noise_" / "rain.wav").unlink()


def too_short(root: Path) -> None:
    wav(root / "_background_noise_" / "rain.wav", 0.9)


def unreadable(root: Path) -> None:
    write(root / "_background_noise_" / "rain.wav", "RIFF")
    write(root / "_background_noise_" / "empty.wav", "")


def nothing(root: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("damage", "name", "code", "told"),
    [
        (no_folder, "noise", 2, "--background noise: {root}/_background_noise_: no such folder"),
        (no_recording, "noise", 2, "--background noise: {root}/_background_noise_: no recording of 1 s"),
        (too_short, "noise", 2, "--background noise: {root}/_background_noise_: no recording of 1 s"),
        (unreadable, "noise", 1, "{root}/_background_noise_/empty.wav: empty file"),
        (unreadable, "noise", 1, "{root}/_background_noise_/rain.wav: not audio"),
        (nothing, "cat", 2, "--background cat: a word of the data set"),
        (nothing, " ", 2, "--background  : an empty name"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    name: str,
    code: int,
    told: str,
) -> None:
    damage(root)
    assert run(monkeypatch, "prepare", "speech_commands", root, "--background", name) == code
    assert told.format(root=root) in capsys.readouterr().err
    assert not (root / "manifest.csv").exists()


@pytest.mark.parametrize("name", ["folder", "nsynth", "esc50", "demo"])
def test_another_data_set_has_no_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(monkeypatch, "prepare", name, tmp_path / "none", "--background", "noise", "--download") == 2
    told = f"--background noise: an option of prepare speech_commands and annotations, not of {name}\n"
    assert capsys.readouterr().err == told
