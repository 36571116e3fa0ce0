"""Names of files for classes and recordings that are called anything."""

import os
from pathlib import Path

import pytest

from audiostride.prediction.file_names import distinct_names, safe_name

AWKWARD = [
    *("", ".", "..", "../up", "/etc/passwd", "a/b", "a\\b", "-rf", "~", " ", "a ", "a.", "CON:", "a*b?c", 'say "hi"'),
    *("tab\there", "new\nline", "nul\0", "\x1b[31mred", "lat\udce9", "\u2028", "Zaunkönig 🐦", "x" * 500, "鳥" * 200),
]


@pytest.mark.parametrize("text", AWKWARD)
def test_a_safe_name_is_one_file_in_its_folder(text: str, tmp_path: Path) -> None:
    name = safe_name(text)
    assert len(name.encode()) <= 150
    (tmp_path / name).touch()
    assert os.listdir(tmp_path) == [name]
    assert name.isprintable()
    assert not name.startswith(("-", ".", "~"))


def test_letters_of_any_script_stay() -> None:
    assert safe_name("Zaunkönig 🐦, 鳥 (song)") == "Zaunkönig 🐦, 鳥 (song)"


def test_distinct_names_differ_whatever_the_file_system_makes_of_capitals_and_accents() -> None:
    texts = [*AWKWARD, "Wren", "wren", "WREN", "e\u0301", "é", "É", "a_b", "x" * 501, "straße", "STRASSE"]
    names = distinct_names(dict(zip(map(repr, texts), texts, strict=True)))
    assert len({name.casefold() for name in names.values()}) == len(texts)


def test_a_name_that_ends_like_a_mark_is_marked_too() -> None:
    """Or a name could be that which another one is given."""
    taken = distinct_names({"monday/a": "a", "tuesday/a": "a"})["monday/a"]
    names = distinct_names({"monday/a": "a", "tuesday/a": "a", "b": taken})
    assert len(set(names.values())) == 3


def test_names_that_differ_stay_as_they_are() -> None:
    assert distinct_names({"1": "wren", "2": "owl"}) == {"1": "wren", "2": "owl"}
