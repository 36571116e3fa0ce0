"""YAML with lines: the values of YAML 1.2, the line of every key, and no other exception than its own."""

from pathlib import Path
from typing import Any

import pytest

from audiostride.recipe.yaml_lines import Key, YamlError, parse_value, read_yaml


def read(tmp_path: Path, text: str) -> tuple[Any, dict[Key, int]]:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    return read_yaml(tmp_path / "a.yaml")


def error(tmp_path: Path, content: bytes) -> YamlError:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(YamlError) as caught:
        read_yaml(tmp_path / "a.yaml")
    return caught.value


TEXT = """\
# a comment

first: 1
second:
  third: {fourth: x,
    fifth: y}
  list:
    - a
    -
      deep: b
"""


def test_the_values_are_those_of_yaml(tmp_path: Path) -> None:
    expected = {"first": 1, "second": {"third": {"fourth": "x", "fifth": "y"}, "list": ["a", {"deep": "b"}]}}
    assert read(tmp_path, TEXT)[0] == expected


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ((), 3),
        (("first",), 3),
        (("second",), 4),
        (("second", "third"), 5),
        (("second", "third", "fourth"), 5),
        (("second", "third", "fifth"), 6),
        (("second", "list"), 7),
        (("second", "list", 0), 8),
        (("second", "list", 1, "deep"), 10),
    ],
)
def test_every_key_and_item_has_its_line(tmp_path: Path, key: Key, line: int) -> None:
    assert read(tmp_path, TEXT)[1][key] == line


def test_a_key_has_the_line_of_its_name_not_of_its_value(tmp_path: Path) -> None:
    assert read(tmp_path, "a:\n\n\n  - 1\n")[1][("a",)] == 1


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_an_empty_file_is_an_empty_mapping(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == ({}, {(): 1})


@pytest.mark.parametrize("prefix", ["\ufeff", "---\n", "%YAML 1.2\n---\n"])
def test_marks_before_the_content_are_fine(tmp_path: Path, prefix: str) -> None:
    assert read(tmp_path, prefix + "a: 1\n")[0] == {"a": 1}


def test_an_alias_stands_for_its_anchor(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &x [1, 2]\nb: *x\n")[0] == {"a": [1, 2], "b": [1, 2]}


# numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-2e+3", -2e3),
        ("+3e2", 3e2),
        (".5e1", 5.0),
        ("1.e2", 100.0),
        ("3.0e-3", 3e-3),
        ("0.25", 0.25),
    ],
)
def test_a_number_with_an_exponent_is_a_float(tmp_path: Path, text: str, value: float) -> None:
    for found in (parse_value(text), read(tmp_path, f"a: {text}")[0]["a"]):
        assert found == value
        assert isinstance(found, float)


@pytest.mark.parametrize("text", ["e4", "1e", "1e-4x", "x1e4", "-e5", "1e4.5", ".e5", "'1e-4'"])
def test_what_only_resembles_a_number_is_text(text: str) -> None:
    assert parse_value(text) == text.strip("'")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1_000", 1000),
        ("true", True),
        ("null", None),
        ("", None),
        ("random", "random"),
        ("'3'", "3"),
        ("[1, 2.5]", [1, 2.5]),
        ("{a: 1}", {"a": 1}),
        ("data/a b.csv", "data/a b.csv"),
    ],
)
def test_a_value_has_the_type_of_yaml(text: str, value: object) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


# mistakes


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands twice"),
        ("a: {x: 1,\n x: 2}\n", 2, "the key 'x' stands twice"),
        ("a: 1\n'a': 2\n", 2, "the key 'a' stands twice"),
        ("a: 1\n2: x\n", 2, "the key '2' is not text"),
        ("a: 1\non: x\n", 2, "the key 'on' is not text"),
        ("a: 1\n? [b]\n: x\n", 2, "is not text"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: 1\nb: *none\n", 2, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: 1\nb: !!python/name:os.system\n", 2, "not YAML"),
        ("a: 1\nb: !unknown x\n", 2, "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    caught = error(tmp_path, text.encode())
    assert caught.line == line
    assert told in str(caught)


@pytest.mark.parametrize(
    "scalar", ["!!bool x", "!!int ''", "!!timestamp x", "!!float x", "!!binary ä", "0x_", "2020-99-99"]
)
def test_a_value_that_is_not_what_it_says_is_a_mistake(tmp_path: Path, scalar: str) -> None:
    assert "YAML" in str(error(tmp_path, f"a: {scalar}\n".encode()))


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    "text",
    ["a: &a [*a]", "&a {a: *a}", "&a [*a, *a]", "&a {? *a : 1}", BOMB, "a: " + "[" * 600, "{a: " * 600, "- " * 600],
    ids=["in a list", "in a mapping", "twice", "as a key", "bomb", "deep list", "deep mapping", "deep items"],
)
def test_what_never_ends_is_a_mistake(tmp_path: Path, text: str) -> None:
    error(tmp_path, text.encode())


@pytest.mark.parametrize(
    "content",
    [b"\x80\x00\xff", bytes(range(256)), b"\xff\xfea\x00", b"a: \x00\n", b"a: caf\xe9\n"],
    ids=["binary", "every byte", "UTF-16", "NUL", "latin-1"],
)
def test_what_is_no_text_in_utf8_is_a_mistake(tmp_path: Path, content: bytes) -> None:
    error(tmp_path, content)


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2",
        "{a: 1",
        "a: b: c",
        "*x",
        "!!python/name:os.system",
        "!!bool x",
        "!!int ''",
        "!!timestamp x",
        pytest.param("[" * 600, id="deep"),
    ],
)
def test_a_value_that_is_no_yaml_is_a_mistake(text: str) -> None:
    with pytest.raises(YamlError):
        parse_value(text)


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(("content", "line"), [(b"a: 1\nb: \xff\n", 2), (b"a: 1\n\n\nb: x\x07\n", 4), (b"\xe4: 1", 1)])
def test_a_byte_that_is_no_text_is_told_with_its_line(tmp_path: Path, content: bytes, line: int) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(YamlError) as caught:
        read_yaml(tmp_path / "a.yaml")
    assert caught.value.line == line
