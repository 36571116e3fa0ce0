"""What a list of paths stands for."""

import os
from pathlib import Path

import pytest

from audiostride.data.recordings import common_folder, count_left_out, find_inputs
from audiostride.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/2.wav", "a/1.wav", "a/deep/3.flac", "a/notes.txt", "x.wav/4.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(folder: Path, *texts: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_inputs([str(folder / text) for text in texts])]


def test_a_folder_gives_what_is_named_as_a_recording_sorted(folder: Path) -> None:
    assert names(folder, ".") == ["a/1.wav", "a/deep/3.flac", "b/2.wav", "x.wav/4.wav"]


def test_a_file_is_taken_whatever_its_name(folder: Path) -> None:
    assert names(folder, "a/notes.txt") == ["a/notes.txt"]


@pytest.mark.parametrize(
    ("pattern", "found"), [("*/1.wav", ["a/1.wav"]), ("**/*.flac", ["a/deep/3.flac"]), ("[b]", ["b/2.wav"])]
)
def test_patterns_are_expanded(folder: Path, pattern: str, found: list[str]) -> None:
    assert names(folder, pattern) == found


def test_a_file_called_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "take[1].wav").touch()
    assert names(folder, "take[1].wav") == ["take[1].wav"]


def test_a_recording_given_twice_is_there_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "z.wav").symlink_to(folder / "a/1.wav")
    monkeypatch.chdir(folder)
    assert find_inputs(["a", "a/1.wav", "z.wav", str(folder / "a/deep/3.flac"), "./a//1.wav"]) == [
        folder / "a/deep/3.flac",
        Path("a/1.wav"),
    ]


def test_links_without_target_and_pipes_are_there_to_be_reported(folder: Path) -> None:
    (folder / "b/gone.wav").symlink_to("nowhere")
    (folder / "b/round.wav").symlink_to("round.wav")
    os.mkfifo(folder / "b/pipe.wav")
    assert names(folder, "b") == ["b/2.wav", "b/gone.wav", "b/pipe.wav", "b/round.wav"]


def test_loops_of_folders_end(folder: Path) -> None:
    (folder / "a/deep/up").symlink_to(folder)
    assert names(folder, "a") == ["a/1.wav", "a/deep/3.flac"]


@pytest.mark.parametrize("text", ["none.wav", "none/*.wav", "empty"])
def test_what_matches_nothing_is_named(folder: Path, text: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=text.replace("*", r"\*")):
        names(folder, "a", text)


def test_the_common_folder_is_that_of_all(folder: Path) -> None:
    assert common_folder([folder / "b/../a/1.wav", folder / "b/2.wav"]) == str(folder)
    assert common_folder([folder / "a/1.wav"]) == str(folder / "a")


def test_files_that_are_left_out_are_counted(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.wav", "b.xyz", "deep/c.txt", "deep/d.flac", ".hidden", "no_ending"):
        (tmp_path / name).touch()
    assert count_left_out([str(tmp_path), str(tmp_path / "a.wav")]) == 3
