"""Speech Commands: the official lists decide the split, everything else in the folder is left out."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from audiostride.data.manifest import Clip, read_manifest
from audiostride.datasets import prepare
from audiostride.datasets.card import load_card
from audiostride.datasets.speech_commands import read_speech_commands
from audiostride.errors import UserError

WORDS = ("bed", "cat", "yes")
TAKES = ("00a_nohash_0", "00a_nohash_1", "0ff_nohash_0", "123_nohash_0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three words of four takes; the second is for validation, the third for the test."""
    root = tmp_path / "speech_commands"
    for folder in (*WORDS, "_background_noise_"):
        (root / folder).mkdir(parents=True)
    for word in WORDS:
        for take in TAKES:
            (root / word / f"{take}.wav").write_bytes(b"")
    (root / "_background_noise_" / "pink_noise.wav").write_bytes(b"")
    (root / "_background_noise_" / "README.md").write_text("noise")
    (root / "README.md").write_text("readme")
    (root / "LICENSE").write_text("licence")
    (root / "validation_list.txt").write_text("".join(f"{word}/{TAKES[1]}.wav\n" for word in WORDS))
    (root / "testing_list.txt").write_text("".join(f"{word}/{TAKES[2]}.wav\n" for word in WORDS))
    return root


@pytest.mark.parametrize(("take", "split"), list(zip(TAKES, ("train", "valid", "test", "train"), strict=True)))
@pytest.mark.parametrize("word", WORDS)
def test_the_lists_decide_the_split(root: Path, word: str, take: str, split: str) -> None:
    (clip,) = [clip for clip in read_speech_commands(root) if clip.path == root / word / f"{take}.wav"]
    assert clip == Clip(root / word / f"{take}.wav", split, {"label": word})


def test_every_recording_of_a_word_is_a_clip_once(root: Path) -> None:
    paths = [clip.path for clip in read_speech_commands(root)]
    assert sorted(paths) == sorted(root / word / f"{take}.wav" for word in WORDS for take in TAKES)


def test_background_noise_is_no_word(root: Path) -> None:
    assert {clip.labels["label"] for clip in read_speech_commands(root)} == set(WORDS)


@pytest.mark.parametrize("name", [".git/hook.wav", "bed/notes.txt", "bed/._00a_nohash_0.wav"])
def test_what_is_no_recording_of_a_word_is_left_out(root: Path, name: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b"")
    assert len(read_speech_commands(root)) == len(WORDS) * len(TAKES)


def test_the_order_is_the_same_every_time(root: Path) -> None:
    clips = read_speech_commands(root)
    assert clips == sorted(clips, key=lambda clip: (clip.labels["label"], clip.path.name))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_lists_may_have_any_end_of_line(root: Path, newline: str) -> None:
    text = newline.join(f"{word}/{TAKES[2]}.wav" for word in WORDS)
    (root / "testing_list.txt").write_bytes(text.encode())
    assert Counter(clip.split for clip in read_speech_commands(root)) == {"train": 6, "valid": 3, "test": 3}


# mistakes


@pytest.mark.parametrize("name", ["validation_list.txt", "testing_list.txt"])
def test_a_missing_list_is_told_with_its_path(root: Path, name: str) -> None:
    (root / name).unlink()
    with pytest.raises(UserError, match=re.escape(f"{root / name}: not found")):
        read_speech_commands(root)


def test_a_list_that_is_no_text_is_told_with_its_path(root: Path) -> None:
    (root / "testing_list.txt").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(UserError, match=re.escape(str(root / "testing_list.txt"))):
        read_speech_commands(root)


def test_listed_recordings_that_are_missing_are_all_told(root: Path) -> None:
    (root / "bed" / f"{TAKES[1]}.wav").unlink()
    (root / "yes" / f"{TAKES[2]}.wav").unlink()
    with pytest.raises(UserError) as caught:
        read_speech_commands(root)
    assert str(caught.value).split("\n") == [
        f"{root}: 2 listed file(s) are missing:",
        f"  validation_list.txt: bed/{TAKES[1]}.wav",
        f"  testing_list.txt: yes/{TAKES[2]}.wav",
    ]


def test_a_folder_without_recordings_is_told_with_its_path(tmp_path: Path) -> None:
    for name in ("validation_list.txt", "testing_list.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: no WAV file")):
        read_speech_commands(tmp_path)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: None], ids=["empty", "a file", "absent"])
def test_what_is_no_speech_commands_is_told_with_its_path(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "data")
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "data"))):
        prepare("speech_commands", tmp_path / "data")


def test_an_unknown_data_set_is_told_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nsynht: no such data set, expected one of .*speech_commands"):
        prepare("nsynht", tmp_path)


# preparing


def test_the_manifest_holds_the_clips(root: Path) -> None:
    prepare("speech_commands", root)
    assert read_manifest(root / "manifest.csv").clips == tuple(read_speech_commands(root))


def test_the_paths_in_the_manifest_are_relative(root: Path) -> None:
    prepare("speech_commands", root)
    rows = (root / "manifest.csv").read_text().splitlines()[1:]
    assert rows[0] == f"bed/{TAKES[0]}.wav,train,bed"
    assert not any(row.startswith("/") for row in rows)


def test_the_manifest_may_lie_elsewhere(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists" / "words.csv"
    assert list(prepare("speech_commands", root, out).manifests) == [out]
    assert read_manifest(out).clips == tuple(read_speech_commands(root))


def test_differences_from_the_card_are_told(root: Path) -> None:
    card, found = load_card("speech_commands"), prepare("speech_commands", root).differences
    missing = ", ".join(sorted(set(card.classes) - set(WORDS))[:12]) + " and 20 more"
    assert list(found) == [
        f"32 missing classes: {missing}",
        "train: 6 clips, officially 84843",
        "valid: 3 clips, officially 9981",
        "test: 3 clips, officially 11005",
    ]


def test_the_version_asked_for_is_the_one_compared_with(root: Path) -> None:
    prepared = prepare("speech_commands", root, version="v0.01")
    assert prepared.card == load_card("speech_commands_v0.01")
    assert "train: 6 clips, officially 51088" in prepared.differences


def test_words_that_the_card_does_not_know_are_told(root: Path) -> None:
    (root / "bed").rename(root / "bett")
    for name in ("validation_list.txt", "testing_list.txt"):
        (root / name).write_text((root / name).read_text().replace("bed/", "bett/"))
    assert "1 unexpected classes: bett" in prepare("speech_commands", root).differences
