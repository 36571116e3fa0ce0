"""The manifest: what is written is read, and every mistake in one is told with its line."""

import re
from pathlib import Path

import pytest

from audiostride.data.manifest import Clip, Manifest, read_manifest, require_files, write_manifest, write_windows
from audiostride.errors import DataError, UserError


def read(tmp_path: Path, text: str) -> Manifest:
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    return read_manifest(tmp_path / "m.csv")


def problems(tmp_path: Path, text: str) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    return str(caught.value).replace(f"{tmp_path}/", "").split("\n")


# writing and reading back


@pytest.mark.parametrize(
    "clip",
    [
        Clip(Path("a.wav"), "train", {"label": "cat"}),
        Clip(Path("a.wav"), "train", {"label": "cat", "pitch": "60"}),
        Clip(Path("sub/folder/a b.wav"), "valid", {"label": 'a, "quoted" label'}),
        Clip(Path("ünïcode/é.wav"), "test", {"label": "日本"}),
        Clip(Path("a.wav"), "fold1", {"label": "cat"}, start_s=1.5, duration_s=0.25),
        Clip(Path("a.wav"), "train", {"label": "cat"}, start_s=1.5),
        Clip(Path("a.wav"), "train", {"label": "cat"}, duration_s=2),
        Clip(Path("a.wav"), "train", {"label": "cat"}, start_s=3601.2345, duration_s=1234.5678),
    ],
    ids=["plain", "two labels", "quoted", "unicode", "segment", "to the end", "from the start", "late segment"],
)
def test_a_clip_makes_a_round_trip(tmp_path: Path, clip: Clip) -> None:
    clip = Clip(tmp_path / clip.path, clip.split, clip.labels, clip.start_s, clip.duration_s)
    write_manifest(tmp_path / "m.csv", [clip])
    assert read_manifest(tmp_path / "m.csv").clips == (clip,)


def test_clips_keep_their_order(tmp_path: Path) -> None:
    clips = tuple(Clip(tmp_path / f"{name}.wav", "train", {"label": name}) for name in "zacb")
    write_manifest(tmp_path / "m.csv", clips)
    assert read_manifest(tmp_path / "m.csv").clips == clips


def test_clips_with_other_labels_make_a_round_trip(tmp_path: Path) -> None:
    clips = (Clip(tmp_path / "a.wav", "train", {"bird": "yes"}), Clip(tmp_path / "b.wav", "train", {"scene": "park"}))
    write_manifest(tmp_path / "m.csv", clips)
    assert read_manifest(tmp_path / "m.csv").clips == clips


def test_windows_have_their_columns_first_and_then_others(tmp_path: Path) -> None:
    clips = [
        Clip(Path("a.wav"), "train", {}, 0.0, 1.0),
        Clip(Path("a.wav"), "test", {"labels": "a;b", "a": "yes"}, 1, 1),
    ]
    write_windows(tmp_path / "m.csv", clips, Path())
    assert (tmp_path / "m.csv").read_text().splitlines() == [
        "path,start_s,duration_s,split,labels,a",
        "a.wav,0.0,1.0,train,,",
        "a.wav,1,1,test,a;b,yes",
    ]


def test_paths_inside_the_root_are_written_relative(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.csv", [Clip(tmp_path / "sub" / "a.wav", "train")])
    assert (tmp_path / "m.csv").read_text().splitlines()[1] == "sub/a.wav,train"


def test_paths_outside_the_root_are_written_absolute(tmp_path: Path) -> None:
    write_manifest(tmp_path / "in" / "m.csv", [Clip(tmp_path / "out" / "a.wav", "train")])
    assert read_manifest(tmp_path / "in" / "m.csv").clips[0].path == tmp_path / "out" / "a.wav"


def test_paths_are_written_relative_to_a_given_root(tmp_path: Path) -> None:
    clip = Clip(tmp_path / "audio" / "a.wav", "train")
    write_manifest(tmp_path / "lists" / "m.csv", [clip], root=tmp_path / "audio")
    assert (tmp_path / "lists" / "m.csv").read_text().splitlines()[1] == "a.wav,train"


def test_paths_are_read_relative_to_a_given_root(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.csv", [Clip(tmp_path / "a.wav", "train")])
    assert read_manifest(tmp_path / "m.csv", root=tmp_path / "other").clips[0].path == tmp_path / "other" / "a.wav"


def test_a_symlink_inside_the_root_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere.wav").write_bytes(b"x")
    (tmp_path / "root" / "link.wav").symlink_to(tmp_path / "elsewhere.wav")
    write_manifest(tmp_path / "root" / "m.csv", [Clip(tmp_path / "root" / "link.wav", "train")])
    assert (tmp_path / "root" / "m.csv").read_text().splitlines()[1] == "link.wav,train"


def test_a_relative_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_manifest(Path("data/m.csv"), [Clip(Path("data/a.wav"), "train")])
    assert Path("data/m.csv").read_text().splitlines()[1] == "a.wav,train"


def test_writing_keeps_another_manifest_beside(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.csv", [Clip(tmp_path / f"{i}.wav", "train") for i in range(9)])
    old = write_manifest(tmp_path / "m.csv", [Clip(tmp_path / "new.wav", "train")])
    assert old == tmp_path / "m.csv.old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.csv", "m.csv.old"]
    assert [len(read_manifest(path).clips) for path in (tmp_path / "m.csv", old)] == [1, 9]


def test_writing_the_same_manifest_again_leaves_nothing_beside(tmp_path: Path) -> None:
    for _ in range(2):
        assert write_manifest(tmp_path / "m.csv", [Clip(tmp_path / "a.wav", "train")]) is None
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


def test_a_name_that_is_not_utf_8_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.csv", [Clip(tmp_path / "a.wav", "train")])
    with pytest.raises(DataError, match=r"m\.csv: a name that is not UTF-8 in '\\udcff\.wav,train'"):
        write_manifest(tmp_path / "m.csv", [Clip(tmp_path / "\udcff.wav", "train")])
    assert len(read_manifest(tmp_path / "m.csv").clips) == 1


# what may stand in one


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,split\na.wav,train\n", encoding="utf-8-sig")
    assert read_manifest(tmp_path / "m.csv").clips[0].split == "train"


def test_the_columns_of_no_other_meaning_are_labels(tmp_path: Path) -> None:
    manifest = read(tmp_path, "scene,path,start_s,split,duration_s,bird\npark,a.wav,0,train,1,yes\n")
    assert manifest.label_columns == ("scene", "bird")


def test_spaces_around_the_names_of_columns_are_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "path, split , bird\na.wav,train,yes\n").clips[0].labels == {"bird": "yes"}


def test_an_empty_label_is_none(tmp_path: Path) -> None:
    manifest = read(tmp_path, "path,split,scene,bird\na.wav,train,park,\n")
    assert manifest.clips[0].labels == {"scene": "park"}


def test_empty_times_mean_the_whole_recording(tmp_path: Path) -> None:
    clip = read(tmp_path, "path,split,start_s,duration_s\na.wav,train,,\n").clips[0]
    assert (clip.start_s, clip.duration_s) == (0.0, None)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_any_end_of_line_and_empty_lines_are_fine(tmp_path: Path, newline: str) -> None:
    (tmp_path / "m.csv").write_bytes(newline.join(["path,split", "a.wav,train", "", "b.wav,test", ""]).encode())
    assert [clip.split for clip in read_manifest(tmp_path / "m.csv").clips] == ["train", "test"]


# mistakes


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (",train,x,,", "path is empty"),
        ("a.wav,,x,,", "split is empty"),
        ("a.wav,train,x,-1,", "start_s is '-1', expected seconds, 0 or more"),
        ("a.wav,train,x,soon,", "start_s is 'soon', expected seconds, 0 or more"),
        ("a.wav,train,x,nan,", "start_s is 'nan', expected seconds, 0 or more"),
        ("a.wav,train,x,inf,", "start_s is 'inf', expected seconds, 0 or more"),
        ("a.wav,train,x,,0", "duration_s is '0', expected seconds"),
        ("a.wav,train,x,,-2", "duration_s is '-2', expected seconds"),
        ("a.wav,train,x", "expected 5 fields"),
        ("a.wav,train,x,,,,", "expected 5 fields"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path: Path, row: str, told: str) -> None:
    text = f"path,split,label,start_s,duration_s\na.wav,train,x,,\n{row}\n"
    (line,) = problems(tmp_path, text)
    assert line.startswith(f"m.csv:3: {told}")


def test_every_bad_row_is_told_at_once(tmp_path: Path) -> None:
    lines = problems(tmp_path, "path,split\n,train\ngood.wav,train\nb.wav,\nc.wav\n")
    assert [line.split(": ")[0] for line in lines] == ["m.csv:2", "m.csv:4", "m.csv:5"]


def test_the_line_is_right_after_empty_lines(tmp_path: Path) -> None:
    assert problems(tmp_path, "path,split\n\n\na.wav,train\n,train\n")[0].startswith("m.csv:5: ")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("file,split,label", "m.csv:1: no column 'path'; the header has file, split, label"),
        ("path,label", "m.csv:1: no column 'split'; the header has path, label"),
        ("path,split,label,label", "m.csv:1: a column stands twice in the header: path, split, label, label"),
        ("path,split,label, label", "m.csv:1: a column stands twice in the header: path, split, label, label"),
    ],
)
def test_a_bad_header_is_told(tmp_path: Path, header: str, told: str) -> None:
    assert problems(tmp_path, f"{header}\na.wav,train,x,y\n") == [told]


@pytest.mark.parametrize(
    "content",
    [b"RIFF\x80\x00\xff\xfe", b"path,split\n\xff.wav,train\n", b'path,split\n"open.wav,train\n', b"\xff\xfep\x00a\x00"],
    ids=["binary", "latin-1", "open quote", "UTF-16"],
)
def test_what_is_no_csv_in_utf8_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"m\.csv: not a CSV file in UTF-8"):
        read_manifest(tmp_path / "m.csv")


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    assert problems(tmp_path, "") == ["m.csv:1: no column 'path'; the header has nothing"]


def test_a_header_alone_holds_no_clips(tmp_path: Path) -> None:
    assert problems(tmp_path, "path,split\n") == ["m.csv: holds no clips"]


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_an_absent_manifest_is_told_with_its_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / name}: no such manifest")):
        read_manifest(tmp_path / name)


# the recordings


def test_missing_recordings_are_counted_and_all_listed(tmp_path: Path) -> None:
    (tmp_path / "there.wav").write_bytes(b"x")
    clips = [Clip(tmp_path / name, "train") for name in ("there.wav", "b.wav", "a.wav", "b.wav")]
    with pytest.raises(DataError) as caught:
        require_files(clips)
    expected = ["2 of 3 recordings are missing:", f"  {tmp_path / 'b.wav'}", f"  {tmp_path / 'a.wav'}"]
    assert str(caught.value).split("\n") == expected


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 of 1 recordings are missing"):
        require_files([Clip(tmp_path, "train")])


def test_a_link_to_nothing_is_missing(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "nothing.wav")
    with pytest.raises(DataError, match="1 of 1 recordings are missing"):
        require_files([Clip(tmp_path / "link.wav", "train")])


def test_recordings_that_are_there_pass(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    require_files([Clip(tmp_path / "a.wav", "train")])


CONTROLS = [chr(code) for code in (*range(1, 32), 127, 0x85, 0x9B, 0x2028)]


@pytest.mark.parametrize("character", CONTROLS, ids=lambda c: f"U+{ord(c):04X}")
def test_names_with_control_characters_come_back(character: str, tmp_path: Path) -> None:
    clip = Clip(tmp_path / f"a{character}b.wav", "train", {"label": f"x{character}y"})
    write_manifest(tmp_path / "m.csv", [clip, Clip(tmp_path / "c.wav", "train", {"label": "z"})])
    first, second = read_manifest(tmp_path / "m.csv").clips
    assert (first, second.path.name) == (clip, "c.wav")


def test_a_nul_in_a_path_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"path,split\na\0b.wav,train\n")
    with pytest.raises(UserError, match=r"m\.csv"):
        read_manifest(tmp_path / "m.csv")


def test_a_hundred_thousand_missing_recordings_are_told_in_a_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiostride.errors._list_all", None)  # as without a command
    clips = [Clip(tmp_path / f"{i}.wav", "train") for i in range(100_000)]
    with pytest.raises(DataError) as caught:
        require_files(clips)
    lines = str(caught.value).split("\n")
    assert (len(lines), lines[-1]) == (22, "  and 99980 more")


@pytest.mark.parametrize("name", ["a" * 300 + ".wav", "a/" * 3000])
def test_a_name_that_is_too_long_for_a_file_is_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 of 1 recordings are missing"):
        require_files([Clip(tmp_path / name, "train")])
