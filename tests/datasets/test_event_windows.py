"""Windows: which classes they get, that none crosses splits, and the manifest that comes of it."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from audiostride.data.manifest import read_manifest
from audiostride.datasets.event_windows import MarkedSpan, MinOverlap, cut_windows
from audiostride.datasets.grouped_splits import split_groups
from audiostride.errors import ArgumentError
from tests.datasets.tables import raven, wav, write
from tests.program import run

REAL = Path(__file__).parents[3] / "shared/data/annotations_mini.tar"


def labels(spans: Sequence[MarkedSpan], min_overlap: str, duration_s: float = 3.0, **options: str) -> list[str]:
    """The classes of windows of a second."""
    windows, _ = cut_windows(
        duration_s,
        spans,
        window_s=1,
        hop_s=1,
        min_overlap=MinOverlap.parse(min_overlap),
        background=options.get("background"),
    )
    return [";".join(window.classes) for window in windows]


@pytest.mark.parametrize(
    ("span", "min_overlap", "expected"),
    [
        ((0.6, 1.4), "0.4s", ["x", "x", ""]),
        ((0.6, 1.4), "0.41s", ["", "", ""]),
        ((0.6, 1.4), "50%", ["x", "x", ""]),  # of the span
        ((0.6, 1.4), "51%", ["", "", ""]),
        ((0.5, 3.0), "50%", ["x", "x", "x"]),  # of the window
        ((0.4, 0.5), "0.5s,50%", ["x", "", ""]),  # the share is met first
        ((0.9, 3.0), "0.1s,50%", ["x", "x", "x"]),  # the seconds are met first
        ((0.9, 3.0), "50%", ["", "x", "x"]),
        ((1.0, 2.0), "0%", ["", "x", ""]),  # touching is no overlap
        ((1.0, 1.0), "0.5s", ["", "x", ""]),  # a point lies in one window
        ((3.0, 3.0), "50%", ["", "", "x"]),
    ],
)
def test_a_window_gets_a_class_by_whichever_overlap_is_met_first(
    span: tuple[float, float], min_overlap: str, expected: list[str]
) -> None:
    assert labels([(*span, "x")], min_overlap) == expected


@pytest.mark.parametrize("text", ["", "x", "120%", "-1s", "nan", "50%,50%", "1s,2s", "inf"])
def test_another_overlap_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="expected seconds, percent or both"):
        MinOverlap.parse(text)


def test_several_classes_are_sorted_and_the_background_gives_way() -> None:
    spans = [(0.0, 1.0, "noise"), (0.0, 1.0, "b"), (0.0, 1.0, "a"), (1.0, 2.0, "noise"), (2.0, 3.0, "")]
    assert labels(spans, "50%", background="noise") == ["a;b", "noise", ""]


@pytest.mark.parametrize(("duration_s", "starts"), [(3.0, [0, 1, 2]), (3.25, [0, 1, 2, 2.25]), (0.4, [0]), (1.0, [0])])
def test_the_last_window_ends_with_the_recording(duration_s: float, starts: list[float]) -> None:
    windows, _ = cut_windows(duration_s, [], window_s=1, hop_s=1, min_overlap=MinOverlap(share=0.5))
    assert [window.start_s for window in windows] == starts
    assert windows[-1].start_s + windows[-1].duration_s == duration_s


def test_spans_that_label_no_window_are_given_back() -> None:
    _, unused = cut_windows(9, [(1, 2, "x"), (3, 3.1, "x")], window_s=1, hop_s=1, min_overlap=MinOverlap(seconds=0.5))
    assert unused == [(3, 3.1, "x")]


def test_ten_thousand_spans_in_an_hour_are_cut() -> None:
    spans = [(i * 0.36, i * 0.36 + 0.3, f"c{i % 7}") for i in range(10_000)]
    windows, unused = cut_windows(3600, spans, window_s=1, hop_s=0.5, min_overlap=MinOverlap(share=0.5))
    assert (len(windows), unused) == (7199, [])


# splits


@pytest.mark.parametrize(
    ("n", "counts"), [(20, [14, 3, 3]), (3, [1, 1, 1]), (2, [1, 1, 0]), (1, [1, 0, 0]), (7, [5, 1, 1])]
)
def test_shares_are_kept_and_no_split_is_empty_without_need(n: int, counts: list[int]) -> None:
    splits = list(split_groups(map(str, range(n)), (0.7, 0.15, 0.15)).values())
    assert [splits.count(split) for split in ("train", "valid", "test")] == counts


def test_splits_are_those_of_the_seed() -> None:
    names = [str(i) for i in range(50)]
    shares = (0.5, 0.25, 0.25)
    assert split_groups(names, shares, 1) == split_groups(reversed(names), shares, 1)
    assert split_groups(names, shares, 1) != split_groups(names, shares, 2)
    assert set(split_groups(names, (1, 0, 0)).values()) == {"train"}


# the command


def rows(root: Path, column: int) -> dict[str, set[str]]:
    """The values of a column of the manifest per recording."""
    lines = (root / "manifest.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "path,start_s,duration_s,split,labels"
    found = defaultdict(set)
    for line in lines[1:]:
        cells = line.split(",")
        found[cells[0]].add(cells[column])
    return found


@pytest.fixture
def season(tmp_path: Path) -> Path:
    """Twelve recordings at three sites, with tables of Raven, Audacity and CSV."""
    lines = ["path,start_s,end_s,label,night"]
    for i in range(12):
        wav(tmp_path / f"site{i % 3}" / f"r{i}.wav", 4)
        if i < 4:
            write(tmp_path / f"site{i % 3}" / f"r{i}.txt", "1\t2\tcat\n1.5\t2.5\towl\n")
        elif i < 8:
            text = raven(
                (1, "S", 1, 2, "cat", "first"), (2, "S", 1.5, 2.5, "owl", "first"), columns=("Species", "night")
            )
            write(tmp_path / f"site{i % 3}" / f"r{i}.Table.1.selections.txt", text)
        else:
            lines += [f"site{i % 3}/r{i}.wav,1,2,cat,n{i % 2}", f"site{i % 3}/r{i}.wav,1.5,2.5,owl,n{i % 2}"]
    write(tmp_path / "all.csv", "\n".join(lines))
    return tmp_path


def test_all_formats_give_the_same_windows(
    season: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "prepare", "annotations", season) == 0
    assert set(map(frozenset, rows(season, 4).values())) == {frozenset({"", "cat", "cat;owl", "owl"})}
    assert all(len(splits) == 1 for splits in rows(season, 3).values())
    told = capsys.readouterr()
    assert "24 spans in 9 tables of 12 recordings" in told.err
    manifest = read_manifest(season / "manifest.csv")
    assert manifest.label_columns == ("labels",)
    assert run(monkeypatch, "prepare", "annotations", season) == 0  # its own manifest is no table
    assert read_manifest(season / "manifest.csv").clips == manifest.clips
    assert not (season / "manifest.csv.old").exists()


def test_a_folder_stays_in_a_split_if_asked(season: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "prepare", "annotations", season, "--split-by", "folder", "--seed", 1) == 0
    by_site = defaultdict(set)
    for path, splits in rows(season, 3).items():
        by_site[path.split("/")[0]] |= splits
    assert sorted(map(sorted, by_site.values())) == [["test"], ["train"], ["valid"]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.wav,1,2,x,n1\na.wav,2,3,x,n2\n", "t.csv:3: the column to split by has 'n2' for a.wav, but 'n1' at"),
        ("a.wav,1,2,x,\n", "--split-by night: no such column, or nothing in it, for 1 recording(s)"),
    ],
)
def test_a_recording_belongs_to_one_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "t.csv", f"path,start_s,end_s,label,night\n{text}")
    assert run(monkeypatch, "prepare", "annotations", tmp_path, "--split-by", "night") == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "manifest.csv").exists()


def test_a_column_of_splits_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "path,start_s,end_s,label,split\n"
    for name, split in (("a", "test"), ("b", "train"), ("c", "train")):
        wav(tmp_path / f"{name}.wav", 2)
        text += f"{name}.wav,0,1,x,{split}\n"
    write(tmp_path / "t.csv", text)
    assert run(monkeypatch, "prepare", "annotations", tmp_path, "--split-by", "split") == 0
    assert rows(tmp_path, 3) == {"a.wav": {"test"}, "b.wav": {"train"}, "c.wav": {"train"}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["", "x", "none", ""]),
        (["--annotated-only"], ["x", "none"]),
        (["--background", "none"], ["", "x", "none", ""]),
        (["--background", "quiet"], ["quiet", "x", "none", "quiet"]),
        (["--ignore", "none", "--background", "quiet"], ["quiet", "x", "", "quiet"]),
        (["--map", "none=x"], ["", "x", "x", ""]),
    ],
)
def test_what_is_not_marked_is_negative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], expected: list[str]
) -> None:
    wav(tmp_path / "a.wav", 4)
    write(tmp_path / "a.txt", "1\t2\tx\n2\t3\tnone\n")
    assert run(monkeypatch, "prepare", "annotations", tmp_path, "--hop-s", 1, *options) == 0
    clips = read_manifest(tmp_path / "manifest.csv").clips
    assert [clip.labels.get("labels", "") for clip in clips] == expected


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--window-s", "0"], "--window-s 0.0: expected"),
        (["--shares", "0.5,0.5"], "--shares 0.5,0.5: expected three numbers"),
        (["--min-overlap", "half"], "--min-overlap half: expected seconds"),
        (["--map", "x"], "--map x: expected OLD=NEW"),
        (["--map", "y=x"], "--map y=x: no such class; the tables have x"),
        (["--ignore", "y"], "--ignore y: no such class"),
        (["--background", "a;b"], "--background a;b: expected a class without ';'"),
        (["--out", "{root}/t.csv"], "would replace a table"),
        (["--download"], "no data set with official archives"),
    ],
)
def test_a_mistake_in_an_option_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "t.csv", "path,start_s,end_s,label\na.wav,1,2,x\n")
    options = [option.format(root=tmp_path) for option in options]
    assert run(monkeypatch, "prepare", "annotations", tmp_path, *options) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "manifest.csv").exists()


def test_options_of_annotations_are_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "prepare", "folder", tmp_path, "--map", "a=b") == 2
    assert capsys.readouterr().err == "--map a=b: an option of prepare annotations, not of folder\n"


def test_real_label_tracks_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not REAL.is_file():
        pytest.skip(f"no annotated recordings: {REAL} is not there")
    unpack = [sys.executable, str(REAL.parent / "unpack.py"), str(tmp_path), "annotations_mini"]
    subprocess.run(unpack, check=True, capture_output=True)
    assert run(monkeypatch, "prepare", "annotations", tmp_path / "annotations_mini") == 0
    told = capsys.readouterr()
    assert "399 spans in 20 tables of 20 recordings" in told.err
    assert "speaker01.txt:20: ends at 42.09 s, speaker01.wav at 42.080 s; cut there" in told.err
    assert "į dešinę" in told.out
