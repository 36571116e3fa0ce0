"""Tables of annotations: what each format says, whose recording it is, and a line for whatever is wrong."""

from pathlib import Path

import pytest

from audiostride.datasets.annotation_formats import Columns
from audiostride.datasets.annotations import Annotations, Naming, read_annotations
from audiostride.errors import DataError, UserError
from tests.datasets.tables import raven, wav, write


def spans(annotations: Annotations) -> dict[str, list[tuple[float, float, str]]]:
    """What is marked, by the path below the root."""
    annotations.check()
    return {r.path.relative_to(annotations.root).as_posix(): sorted(r.spans) for r in annotations.recordings}


def problems(root: Path, naming: Naming | None = None) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises((UserError, DataError)) as caught:
        read_annotations(root, naming).check()
    return str(caught.value).replace(f"{root}/", "").split("\n")


def notes(root: Path) -> list[str]:
    """All notes, without the folder."""
    told = read_annotations(root).notes.values()
    return [line.replace(f"{root}/", "") for lines in told for line in lines]


# formats


@pytest.mark.parametrize(
    "text",
    [
        "1\t2\tcat\n3\t3\tpoint\n",
        "1.0\t2.0\tcat\r\n3.0\t3.0\tpoint\r\n",
        "1\t2\tcat\n\\\t100\t2000\n3\t3\tpoint\n\\\t0\t20",
        "1\t2\tcat\r3\t3\tpoint",
        "\n1e0\t2\t cat \n\n3\t3\tpoint\n",
        "1\t2\tcat\n1\t2\tcat\n3\t3\tpoint\n",
    ],
    ids=["lines", "CRLF", "frequencies", "CR", "blanks", "twice"],
)
def test_a_label_track_of_audacity_is_read(tmp_path: Path, text: str) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "a.txt", text)
    assert spans(read_annotations(tmp_path)) == {"a.wav": [(1, 2, "cat"), (3, 3, "point")]}


@pytest.mark.parametrize("name", ["a.selections.txt", "a.Table.1.selections.txt", "a.txt", "a.wav.selections.txt"])
def test_a_selection_table_is_read_and_its_views_count_once(tmp_path: Path, name: str) -> None:
    wav(tmp_path / "a.wav")
    rows = [(1, "Waveform 1", 1, 2, "cat"), (1, "Spectrogram 1", 1, 2, "cat"), (2, "Spectrogram 1", 4, 5, "owl")]
    write(tmp_path / name, raven(*rows))
    assert spans(read_annotations(tmp_path)) == {"a.wav": [(1, 2, "cat"), (4, 5, "owl")]}


def test_csv_names_its_recordings_and_an_empty_row_marks_nothing(tmp_path: Path) -> None:
    wav(tmp_path / "a b.wav")
    wav(tmp_path / "deep" / "ü.wav")
    write(tmp_path / "all.csv", 'site,path,start_s,end_s,label\nx,a b.wav,1,2,"cat, ""big"""\ny,deep/ü.wav,,,\n')
    assert spans(read_annotations(tmp_path)) == {"a b.wav": [(1, 2, 'cat, "big"')], "deep/ü.wav": []}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    wav(tmp_path / "Straße im März.wav")
    write(tmp_path / "Straße im März.txt", "1\t2\tKrähe\r\n", encoding)
    assert spans(read_annotations(tmp_path)) == {"Straße im März.wav": [(1, 2, "Krähe")]}


def test_a_file_offset_counts_within_the_recording_that_is_named(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    wav(tmp_path / "b.wav")
    rows = [(1, "S", 1, 2, "a.wav", 1, "cat"), (2, "S", 13.5, 14, "b.wav", 3.5, "cat")]
    write(tmp_path / "season.txt", raven(*rows, columns=("Begin File", "File Offset (s)", "Species")))
    assert spans(read_annotations(tmp_path)) == {"a.wav": [(1, 2, "cat")], "b.wav": [(3.5, 4, "cat")]}


def test_several_columns_of_classes_are_told_and_one_can_be_chosen(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "a.txt", raven((1, "S", 1, 2, "owl", "x"), columns=("Species", "Mine")))
    assert spans(read_annotations(tmp_path, columns=Columns(label="Mine"))) == {"a.wav": [(1, 2, "x")]}
    write(tmp_path / "a.txt", raven((1, "S", 1, 2, "owl", "o1"), columns=("Common Name", "Species Code")))
    (told,) = notes(tmp_path)
    assert told.startswith("a.txt:1: classes are read from 'Common Name', not from Species Code")


def test_what_predict_writes_for_raven_is_read(tmp_path: Path) -> None:
    from audiostride.prediction.events import Event
    from audiostride.prediction.tables import raven_text

    path = wav(tmp_path / "a.wav")
    write(tmp_path / "a.wav.selections.txt", raven_text(path, [Event(1.0, 2.0, "bird", "owl", 0.9)], 16000))
    assert spans(read_annotations(tmp_path)) == {"a.wav": [(1, 2, "owl")]}


# recordings


@pytest.mark.parametrize("place", ["C:\\field\\s2\\a.wav", "/mnt/s2/a.wav", "s2/a.wav", "../s2/a.wav"])
def test_a_path_of_another_machine_chooses_by_its_folders(tmp_path: Path, place: str) -> None:
    for site in ("s1", "s2"):
        wav(tmp_path / site / "a.wav")
    write(tmp_path / "tables" / "x.txt", raven((1, "S", 1, 2, place, "owl"), columns=("Begin Path", "Annotation")))
    assert spans(read_annotations(tmp_path)) == {"s2/a.wav": [(1, 2, "owl")]}


@pytest.mark.parametrize("place", [f"{300 * 'x'}.wav", f"{5000 * 'x'}/a b.wav"], ids=["name", "folder"])
def test_a_path_that_is_too_long_is_one_without_a_recording(tmp_path: Path, place: str) -> None:
    wav(tmp_path / "a.wav")
    rows = [(1, "S", 1, 2, "a.wav", "owl"), (2, "S", 1, 2, place, "owl")]
    write(tmp_path / "x.txt", raven(*rows, columns=("Begin Path", "Annotation")))
    assert spans(read_annotations(tmp_path)) == {"a.wav": [(1, 2, "owl")]}
    assert any("x.txt:3: no recording" in line for line in notes(tmp_path))


def test_folders_of_tables_and_recordings_may_lie_side_by_side(tmp_path: Path) -> None:
    for site in ("s1", "s2"):
        wav(tmp_path / "audio" / site / "a.wav")
        write(tmp_path / "labels" / site / "a.txt", f"1\t2\t{site}\n")
    assert spans(read_annotations(tmp_path)) == {f"audio/{s}/a.wav": [(1, 2, s)] for s in ("s1", "s2")}
    assert any("labels/s1/a.txt:1: taken to be of audio/s1/a.wav" in line for line in notes(tmp_path))


def test_letters_with_accents_may_be_written_in_two_ways(tmp_path: Path) -> None:
    wav(tmp_path / "Ma\u0308rz.wav")
    write(tmp_path / "M\u00e4rz.txt", "1\t2\towl\n")
    assert len(spans(read_annotations(tmp_path))) == 1


@pytest.mark.parametrize("others", [("a.wav", "a.flac"), ("s1/a.wav", "s2/a.wav")])
def test_an_ambiguous_table_is_a_mistake(tmp_path: Path, others: tuple[str, str]) -> None:
    for other in others:
        wav(tmp_path / other)
    write(tmp_path / "a.txt", "1\t2\towl\n")
    (told,) = problems(tmp_path)
    assert told == f"a.txt:1: its recording may be each of {', '.join(sorted(others))}"


def test_what_is_missing_is_listed_and_left_out(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    wav(tmp_path / "alone.wav")
    write(tmp_path / "broken.wav", "RIFF")
    for name in ("a.txt", "gone.txt", "broken.txt"):
        write(tmp_path / name, "1\t2\towl\n")
    write(tmp_path / "README.md.txt", "hello\n")
    write(tmp_path / "other.csv", "path,split,label\na.wav,train,x\n")
    assert list(spans(read_annotations(tmp_path))) == ["a.wav"]
    told = "\n".join(notes(tmp_path))
    for line in (
        "gone.txt:1: no recording is called gone",
        "broken.wav: not audio",
        "alone.wav",
        "README",
        "other.csv",
    ):
        assert line in told


def test_two_tables_of_a_recording_are_told_and_both_count(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "a.txt", "1\t2\towl\n")
    write(tmp_path / "a.selections.txt", raven((1, "S", 1, 2, "owl"), (2, "S", 3, 4, "cat")))
    assert spans(read_annotations(tmp_path)) == {"a.wav": [(1, 2, "owl"), (3, 4, "cat")]}
    (told,) = notes(tmp_path)
    assert told.startswith("a.txt:1: a further table of a.wav, beside a.selections.txt")


# classes


def test_classes_are_renamed_then_ignored(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "a.txt", "1\t2\towl\n3\t4\tcat;crow\n5\t6\t\n7\t8\tdog\n")
    naming = Naming({"cat;crow": "both", "": "owl", "dog": "pet"}, ["pet"])
    assert spans(read_annotations(tmp_path, naming)) == {
        "a.wav": [(1, 2, "owl"), (3, 4, "both"), (5, 6, "owl"), (7, 8, "")]
    }


@pytest.mark.parametrize("naming", [Naming({"owk": "owl"}), Naming(ignored=["owk"])])
def test_a_class_that_is_not_there_cannot_be_renamed_or_ignored(tmp_path: Path, naming: Naming) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "a.txt", "1\t2\towl\n")
    (told,) = problems(tmp_path, naming)
    assert told.endswith("no such class; the tables have owl")


@pytest.mark.parametrize(("name", "what"), [("=1+2", "a formula"), ("a\x1b[0m", "control characters")])
def test_strange_names_are_kept_and_told(tmp_path: Path, name: str, what: str) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "a.txt", f"1\t2\t{name}\n3\t4\t{name}\n")
    assert spans(read_annotations(tmp_path)) == {"a.wav": [(1, 2, name), (3, 4, name)]}
    (told,) = notes(tmp_path)
    assert told.startswith("a.txt:1: ")
    assert what in told


# mistakes


MISTAKES = {
    "latin-1": ("a.txt", "1\t2\ta\n1\t2\tKr\xe4he\n".encode("latin-1"), "a.txt:2: byte 13 is 0xe4, not UTF-8"),
    "UTF-16 without a mark": ("a.txt", "1\t2\tx\n".encode("utf-16-le"), "a.txt:1: holds NUL, as UTF-16 without"),
    "cut UTF-16": ("a.txt", "1\t2\tx\n".encode("utf-16")[:-1], "a.txt:1: byte 13 is 0x0a, not UTF-16"),
    "decimal comma": (
        "a.txt",
        "1,5\t2\tx\n",
        "a.txt:1: start is '1,5', expected seconds with a decimal point, not a comma",
    ),
    "negative": ("a.txt", "1\t2\tx\n-1\t2\tx\n", "a.txt:2: start is '-1', expected seconds, not negative"),
    "reversed": ("a.txt", "2\t1\tx\n", "a.txt:1: end 1 lies before start 2"),
    "no number": ("a.txt", "1\t2\tx\n1\tnan\tx\n", "a.txt:2: end is 'nan', expected seconds"),
    "beyond the end": ("a.txt", "99\t100\tx\n", "a.txt:1: begins at 99 s, a.wav ends at 10.000 s"),
    "no class": ("a.txt", "1\t2\n", "a.txt:1: no class"),
    "separator": ("a.txt", "1\t2\tx\n1\t2\ta;b\n", "a.txt:2: class 'a;b' holds ';'"),
    "no table": ("a.txt", "hello\n", "a.txt:1: neither Raven's header nor a label of Audacity"),
    "alone": ("a.txt", "1\t2\tx\n5\n", "a.txt:2: expected start, end and label between tabs"),
    "frequencies": ("a.txt", "\\\t1\t2\n1\t2\tx\n", "a.txt:1: a range of frequencies without a label above it"),
    "Raven's end": (
        "a.selections.txt",
        "Begin Time (s)\tAnnotation\n1\tx\n",
        "a.selections.txt:1: no column 'End Time",
    ),
    "Raven's class": ("a.txt", raven(columns=("Foo",)), "a.txt:1: no column of classes, expected one of Annotation"),
    "Raven's fields": ("a.txt", raven((1, "S", 1, 2)), "a.txt:2: 7 fields, expected 8"),
    "Raven's times": (
        "a.txt",
        raven((1, "S", "1,5", 2, "x")),
        "a.txt:2: Begin Time (s) is '1,5', expected seconds with",
    ),
    "CSV's end": (
        "t.csv",
        "path,start_s,label\na.wav,1,x\n",
        "t.csv:1: no column 'end_s', expected path,start_s,end_s",
    ),
    "semicolons": ("t.csv", "path;start_s;end_s;label\na.wav;1;2;x\n", "t.csv:1: no column 'path'"),
    "CSV's fields": ("t.csv", "path,start_s,end_s,label\na.wav,1,2,x,y\n", "t.csv:2: 5 fields, expected 4"),
    "CSV's quotes": ("t.csv", 'path,start_s,end_s,label\na.wav,1,2,"x\n', "t.csv:2: not a row of CSV"),
    "CSV's path": ("t.csv", "path,start_s,end_s,label\n,1,2,x\n", "t.csv:2: path is empty"),
    "CSV's half": ("t.csv", "path,start_s,end_s,label\na.wav,1,,x\n", "t.csv:2: end_s is '', expected seconds"),
}


@pytest.mark.parametrize(("name", "text", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_table_and_line(tmp_path: Path, name: str, text: str | bytes, told: str) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / name, text)
    (line,) = problems(tmp_path)
    assert line.startswith(told)


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "a.txt", "1\t2\t\n2\t1\tx\n99\t99\tx\n" + "-1\t1\tx\n" * 30)
    told = problems(tmp_path)
    assert [line.split(" ")[0] for line in told[:4]] == ["a.txt:1:", "a.txt:2:", "a.txt:3:", "a.txt:4:"]
    assert told[-1] == "and 13 more; --all lists them"


def test_the_tables_with_mistakes_are_counted(tmp_path: Path) -> None:
    for name in "abc":
        wav(tmp_path / f"{name}.wav")
        write(tmp_path / f"{name}.txt", "1\t2\tx\n" if name == "c" else "1,5\t2\tx\n" * 30)
    assert problems(tmp_path)[-2:] == ["and 40 more; --all lists them", "mistakes in 2 of 3 tables"]


def test_a_span_that_ends_beyond_the_recording_is_cut_and_told(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    write(tmp_path / "a.txt", "9\t10.5\tx\n")
    assert spans(read_annotations(tmp_path)) == {"a.wav": [(9, 10, "x")]}
    assert notes(tmp_path) == ["a.txt:1: ends at 10.5 s, a.wav at 10.000 s; cut there"]


def test_a_folder_without_tables_is_told(tmp_path: Path) -> None:
    wav(tmp_path / "a.wav")
    assert "no table of annotations" in problems(tmp_path)[0]


def test_a_hundred_thousand_rows_are_read(tmp_path: Path) -> None:
    for i in range(10):
        wav(tmp_path / f"{i}.wav", 100)
    rows = (f"{i % 10}.wav,{i / 2000:.4f},{i / 2000 + 1:.4f},c{i % 7}\n" for i in range(100_000))
    write(tmp_path / "all.csv", "path,start_s,end_s,label\n" + "".join(rows))
    assert sum(map(len, spans(read_annotations(tmp_path)).values())) == 100_000
