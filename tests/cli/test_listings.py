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
