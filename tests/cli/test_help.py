"""What `--help` and completion tell, at any width of the terminal."""

import shlex
import sys
from typing import Any

import pytest

from audiostride.cli import main as cli
from audiostride.cli import program
from audiostride.cli.main import app
from audiostride.errors import ArgumentError
from tests.program import run

COMMANDS = sorted(command.name or "" for command in app.registered_commands)
WIDTHS = [60, 80, 200]


def help_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What the program prints for `--help`, with single spaces."""
    assert run(monkeypatch, *command, "--help") == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_in_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(monkeypatch, *command.split(), "--help") == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith("Usage: ")
    assert max(len(line) for line in told.out.splitlines()) <= columns


@pytest.fixture(scope="module")
def group() -> Any:
    return program.typer.main.get_command(app)


def test_no_sentence_is_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], group: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = help_of(monkeypatch, capsys)
    assert "..." not in told.partition("Commands:")[2]
    for name, command in group.commands.items():
        assert f" {name} {(command.help or '').splitlines()[0]}" in told


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_an_option_stands_alone(group: Any, name: str) -> None:
    for parameter in group.commands[name].params:
        text = getattr(parameter, "help", None) or ""
        assert len(text) >= 15, parameter.name
        assert text.endswith("."), parameter.name
        assert text[0].isupper() or parameter.param_type_name == "argument", parameter.name
        assert not text.startswith(("Of ", "For ")), parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_end_the_help_and_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], group: Any, name: str
) -> None:
    assert run(monkeypatch, name, "--help") == 0
    examples = capsys.readouterr().out.partition("\n  Examples:\n")[2]
    lines = examples.replace("\\\n", " ").replace("|\n", "| ").splitlines()
    assert lines
    for line in lines:
        words = shlex.split(line.rpartition("|")[2].partition(">")[0])
        assert words[:2] == ["audiostride", name]
        group.commands[name].make_context(name, words[2:])  # which fails for an option or a value that is none


@pytest.mark.parametrize("command", ["predict", "listen"])
def test_the_window_and_the_hop_are_the_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    told = help_of(monkeypatch, capsys, command)
    assert "Length of a window in seconds. [default: (the model's)]" in told
    assert "[default: (half the window)]" in told
    assert "(1.0)" not in told


@pytest.mark.parametrize(
    ("command", "choices"),
    [
        ("predict", "csv|jsonl|raven|audacity|parquet"),
        ("listen", "s16le|f32le"),
        ("bench", "fp32|bf16"),
        ("export", "int8"),
        ("eval", "best|last"),
    ],
)
def test_closed_choices_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, choices: str
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert choices in help_of(monkeypatch, capsys, command)


@pytest.mark.parametrize(
    ("command", "option", "choice"),
    [
        ("eval", "--checkpoint", "'best', 'last'"),
        ("predict", "--format", "'raven'"),
        ("bench", "--precision", "'bf16'"),
    ],
)
def test_another_choice_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, option: str, choice: str
) -> None:
    assert run(monkeypatch, command, option, "none") == 2
    told = capsys.readouterr().err
    assert option in told
    assert choice in told
    assert "Traceback" not in told


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_completion_is_offered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert option in help_of(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("audiostride ev", "eval"), ("audiostride eval --checkpoint ", "best"), ("audiostride train --device ", "cuda")],
)
def test_completion_knows_commands_and_choices(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, expected: str
) -> None:
    monkeypatch.setenv("_AUDIOSTRIDE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    run(monkeypatch)
    assert expected in capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("command", "argument", "name"),
    [
        ("scan", "n_workers", "--jobs"),
        ("eval", "hop_s", "--hop-s"),
        ("eval", "run", "run"),
        ("compare", "runs", "RUN"),
        ("compare", "elsewhere", "--elsewhere"),
    ],
)
def test_mistakes_are_named_as_help_names_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, argument: str, name: str
) -> None:
    def fail() -> None:
        raise ArgumentError(argument, 0, "expected more")

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(program.typer.main, "get_command", lambda _: _commands)
    monkeypatch.setattr(sys, "argv", ["audiostride", command])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"{name} 0: expected more\n"


_commands = program.typer.main.get_command(app)
