"""Long listings end after twenty lines and the number of the others, with `--all` they are whole."""

from pathlib import Path

import pytest

from tests.program import run


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of 30 recordings that are empty files."""
    for i in range(30):
        (tmp_path / f"{i}.wav").touch()
    (tmp_path / "m.csv").write_text("path,split\n" + "".join(f"{i}.wav,train\n" for i in range(30)))
    return tmp_path / "m.csv"


@pytest.mark.parametrize(
    ("options", "n_listed", "last"),
    [([], 20, "cannot be used: and 10 more; --all lists them"), (["--all"], 30, None)],
)
def test_scan_lists_twenty_or_all(
    options: list[str],
    n_listed: int,
    last: str | None,
    manifest: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("audiostride.errors._list_all", False)  # as it was, after the test
    assert run(monkeypatch, "scan", manifest, "--jobs", "1", *options) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cannot be used: ")]
    assert sum("empty file" in line for line in lines) == n_listed
    assert last is None or lines[-1] == last


@pytest.mark.parametrize(
    ("options", "n_listed", "last"), [([], 20, "  and 10 more; --all lists them"), (["--all"], 30, None)]
)
def test_init_lists_twenty_or_all(
    options: list[str],
    n_listed: int,
    last: str | None,
    manifest: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("audiostride.errors._list_all", None)
    monkeypatch.chdir(manifest.parent)
    manifest.write_text(manifest.read_text().replace("path,split", "path,split,label").replace("train", "train,a"))
    assert run(monkeypatch, "init", manifest, *options) == 1
    lines = capsys.readouterr().err.splitlines()
    assert sum("empty file" in line for line in lines) == n_listed
    assert last is None or lines[-1] == last


def test_a_command_without_the_option_does_not_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("audiostride.errors._list_all", None)
    (tmp_path / ".predict-1-of-30").mkdir()
    assert run(monkeypatch, "predict", "--gather", tmp_path) == 2
    assert capsys.readouterr().err.endswith("  and 10 more\n")
