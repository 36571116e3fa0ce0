"""`train` says that a run ended early, and how it goes on."""

from pathlib import Path

import pytest

from tests.program import run


@pytest.mark.parametrize("again", [False, True])
def test_an_early_end_is_told_with_the_way_on(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], again: bool
) -> None:
    monkeypatch.setattr("audiostride.training.loop.measure", lambda *_: 0.5)
    settings = ["--set", "training.validate_every=1", "--set", "training.early_stop_after=2"]
    command = ["train", recipe_file, "--run-dir", tmp_path / "run", *settings]
    assert run(monkeypatch, *command) == 0
    if again:
        capsys.readouterr()
        assert run(monkeypatch, *command, "--resume") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "ended at step 3 of 6, no new best in the last 2 validations" in told
    assert "--resume --set training.early_stop_after=null" in told
    assert ("done: " in told) is not again
