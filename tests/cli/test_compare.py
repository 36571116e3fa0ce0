"""`audiostride compare` from end to end, and what it answers to mistakes."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from audiostride.cli import main as cli


def compare(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call the program in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["audiostride", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


@pytest.fixture
def runs(trained_runs: Path) -> list[Path]:
    return [trained_runs / name for name in ("learned-0", "learned-1", "both")]


def test_every_output_is_written(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    options = {"--csv": "a.csv", "--json": "a.json", "--latex": "a.tex", "--markdown": "a.md", "--plot": "a.png"}
    tables = [f"a-{name}.csv" for name in ("runs", "accuracy", "cost", "strides", "differences")]
    assert compare(monkeypatch, *runs, *(x for o, name in options.items() for x in (o, tmp_path / name))) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*options.values(), *tables])
    shown = capsys.readouterr()
    assert "frontend.normalization is standard in learned and none in both" in shown.err
    assert all(title in shown.out for title in ("accuracy on the split test", "cost", "strides", "differences"))
    assert max(map(len, shown.out.splitlines())) <= 80


@pytest.mark.parametrize(("option", "begins"), [("--json", "{"), ("--markdown", "## runs"), ("--latex", "% tables")])
def test_standard_output_holds_nothing_else(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, begins: str
) -> None:
    assert compare(monkeypatch, *runs, option, "-") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(begins)
    if option == "--json":
        assert [group["name"] for group in json.loads(shown)["groups"]] == ["learned", "both"]


def test_names_in_brackets_are_shown(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs[0], tmp_path / "[red]")
    assert compare(monkeypatch, tmp_path / "[red]") == 0
    assert "[red]" in capsys.readouterr().out


MISTAKES = {
    # name: (arguments, exit code, part of the message); {run} and {tmp} are filled in
    "no run at all": ([], 2, "RUN"),
    "no such run": (["{run}", "{tmp}/none"], 2, "no such run"),
    "folder that is no run": (["{run}", "{tmp}"], 2, "not a run folder"),
    "run without a checkpoint": (["{run}", "{tmp}/begun"], 2, "a run without a checkpoint yet"),
    "a run twice": (["{run}", "{run}"], 2, "given twice"),
    "unknown task": (["{run}", "--task", "dogs"], 2, "--task dogs: no run has such a task, expected one of tone"),
    "unknown split": (["{run}", "--split", "dev"], 2, "splits: test, train, valid"),
    "unknown device": (["{run}", "--device", "tpu"], 2, "--device tpu"),
    "unknown checkpoint": (["{run}", "--checkpoint", "newest"], 2, "'newest' is not one of 'best', 'last'"),
    "unknown figure": (["{run}", "--plot", "{tmp}/a.jpg"], 2, "expected a name that ends with .png, .svg, .pdf"),
    "no folder for the figure": (["{run}", "--plot", "{tmp}/none/a.png"], 2, "no such folder"),
    "figure over the log": (["{run}", "--csv", "{run}/metrics.jsonl"], 2, "which the command reads"),
    "two outputs in a file": (["{run}", "--csv", "{tmp}/a", "--json", "{tmp}/a"], 2, "expected another file"),
    "a table over the log": (["{run}", "--csv", "{tmp}/a.csv", "--json", "{tmp}/a-cost.csv"], 2, "another file"),
    "tables on stdout": (["{run}", "--csv", "-"], 2, "--csv -: is not written to standard output"),
    "LaTeX on stdout as well": (["{run}", "--json", "-", "--latex", "-"], 2, "--json - and --latex - exclude"),
    "two outputs on stdout": (["{run}", "--json", "-", "--markdown", "-"], 2, "exclude each other"),
    "missing recordings": (["{run}", "--manifest", "{tmp}/missing.csv"], 1, "1 of 1 recordings are missing"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_clear_message(
    mistake: str,
    runs: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "missing.csv").write_text("path,split,label\na.wav,test,low\n")
    (tmp_path / "begun/checkpoints").mkdir(parents=True)
    arguments, code, message = MISTAKES[mistake]
    before = sorted(tmp_path.rglob("*"))
    assert compare(monkeypatch, *(argument.format(run=runs[0], tmp=tmp_path) for argument in arguments)) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""
    assert sorted(tmp_path.rglob("*")) == before
