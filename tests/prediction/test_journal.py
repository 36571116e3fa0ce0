"""Whatever moment a process ends at, what the journal speaks of is whole, and the rest is forgotten."""

from contextlib import closing
from pathlib import Path

import pytest

from audiostride.errors import UserError
from audiostride.prediction.journal import Entry, Journal, Table, journalled_files

SETTINGS = {"--format": "csv", "--top-k": 3}


def entry(name: str, end: int) -> Entry:
    return Entry(name, 10, 20, (end,), None)


def begin(folder: Path, *names: str) -> None:
    """Write recordings of 6 bytes each."""
    journal, table = Journal(folder / "journal.jsonl", SETTINGS), Table(folder / "t.csv", 0, "head\n")
    for name in names:
        table.write("12345\n")
        journal.add(entry(name, table.end))
    journal.commit([table])
    journal.close()
    table.close()


def test_what_was_noted_is_there_again(tmp_path: Path) -> None:
    begin(tmp_path, "a.wav", "\udcff.wav")
    with closing(Journal(tmp_path / "journal.jsonl", SETTINGS)) as journal:
        assert journal.entries == [entry("a.wav", 11), entry("\udcff.wav", 17)]


def test_nothing_counts_before_its_commit(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", SETTINGS)
    journal.add(entry("a.wav", 11))
    journal.close()
    with closing(Journal(tmp_path / "journal.jsonl", SETTINGS)) as journal:
        assert journal.entries == []


def test_every_cut_of_the_last_line_leaves_the_lines_before(tmp_path: Path) -> None:
    begin(tmp_path, "a.wav", "b.wav")
    path = tmp_path / "journal.jsonl"
    content = path.read_bytes()
    for n_bytes in range(len(content) - 30, len(content)):
        path.write_bytes(content[:n_bytes])
        journal = Journal(path, SETTINGS)
        assert journal.entries == [entry("a.wav", 11)]
        journal.close()
        assert content.startswith(path.read_bytes())
        assert path.read_bytes().endswith(b"\n")


def test_a_table_forgets_what_came_after(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("head\n12345\nabc")
    table = Table(path, 11, "head\n")
    table.write("x\n")
    table.take_back(11)
    table.write("y\n")
    table.close()
    assert path.read_text() == "head\n12345\ny\n"


def test_a_table_without_a_recording_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("he")
    Table(tmp_path / "t.csv", 0, "head\n").close()
    assert (tmp_path / "t.csv").read_text() == "head\n"


def test_a_table_that_was_cut_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("head\n")
    with pytest.raises(UserError, match=r"t\.csv: missing, or shorter than when it was written"):
        Table(tmp_path / "t.csv", 11, "head\n")


def test_other_settings_are_named_with_both_values(tmp_path: Path) -> None:
    begin(tmp_path, "a.wav")
    with pytest.raises(UserError, match=r"--top-k: 3 there, 5 now \(choose another --out, or --overwrite\)"):
        Journal(tmp_path / "journal.jsonl", SETTINGS | {"--top-k": 5})


@pytest.mark.parametrize("content", [b"", b"{", b"7\n", b'{"--format": "csv", "--top-k": 3}\n{"path": 1}\n'])
def test_a_damaged_journal_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=r"journal\.jsonl"):
        Journal(tmp_path / "journal.jsonl", SETTINGS)


def test_the_files_of_a_journal_are_known_even_if_it_is_damaged(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", SETTINGS)
    journal.add(Entry("a.wav", 1, 2, (3,), "monday/a.wav.labels.txt"))
    journal.add(entry("b.wav", 4))
    journal.commit([])
    journal.close()
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write("{\n")
    assert journalled_files(tmp_path / "journal.jsonl") == ["monday/a.wav.labels.txt"]
    assert journalled_files(tmp_path / "none.jsonl") == []
