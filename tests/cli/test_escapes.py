"""Names that command a terminal are shown, not obeyed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.cli.console import UNSAFE, visible
from audiostride.data.manifest import Clip, write_manifest
from tests.program import run

RED, BIRD = "\x1b[31mred\x07", "grüne Meise 🐦 [bold] :bird:"
SHOWN = "\\x1b[31mred\\x07"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest, a recipe and a run of two classes with such names."""
    root = tmp_path_factory.mktemp("names")
    rng = np.random.default_rng(0)
    clips = []
    for split in ("train", "valid", "test"):
        for label in (RED, BIRD):
            path = root / f"{split}{len(clips)}.wav"
            sf.write(path, 0.1 * rng.standard_normal(16000), 16000)
            clips.append(Clip(path, split, {"label": label}))
    write_manifest(root / "manifest.csv", clips)
    (root / "recipe.yaml").write_text(
        f"tasks: {{tone: {{manifest: {root / 'manifest.csv'}}}}}\n"
        f"data: {{cache_dir: {root / 'cache'}}}\n"
        "frontend: {normalization: standard}\n"
        "model: {width: 0.06, ramp: inside}\n"
        "training: {steps: 2, batch_size: 2, learning_rate: 0.01, validate_every: 2, log_every: 1}\n"
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(monkeypatch, "train", root / "recipe.yaml", "--run-dir", root / "run", "--device", "cpu") == 0
    return root


COMMANDS: dict[str, Callable[[Path], tuple[object, ...]]] = {
    "scan": lambda root: ("scan", root / "manifest.csv"),
    "dry run": lambda root: ("train", root / "recipe.yaml", "--dry-run"),
    "train": lambda root: ("train", root / "recipe.yaml", "--run-dir", root / "again", "--overwrite"),
    "eval": lambda root: ("eval", root / "run"),
    "report": lambda root: ("report", root / "run", "--out", root / "page.html"),
    "compare": lambda root: ("compare", root / "run"),
    "compare markdown": lambda root: ("compare", root / "run", "--markdown", "-"),
    "predict": lambda root: ("predict", root / "run", root / "test4.wav", "--out", root / "out"),
    "strides": lambda root: ("strides", root / "run"),
    "a missing file": lambda root: ("eval", root / RED),
    "a missing recipe": lambda root: ("train", root / RED),
    "an unknown split": lambda root: ("eval", root / "run", "--split", RED),
    "an unknown task": lambda root: ("eval", root / "run", "--task", RED),
    "an unknown device": lambda root: ("eval", root / "run", "--device", RED),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_names_do_not_reach_the_terminal_as_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run(monkeypatch, *COMMANDS[name](folder))
    said = "".join(capsys.readouterr())
    assert not UNSAFE.findall(said)
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["scan", "eval"])
def test_classes_are_shown_with_what_they_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    run(monkeypatch, *COMMANDS[name](folder))
    said = capsys.readouterr().out
    assert SHOWN in said
    assert BIRD in said


def test_keys_of_a_recipe_are_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "keys.yaml"
    path.write_text((folder / "recipe.yaml").read_text() + '"\\e[31mred\\a": 1\n')
    assert run(monkeypatch, "train", path) == 2
    said = capsys.readouterr().err
    assert SHOWN in said
    assert not UNSAFE.findall(said)


@pytest.mark.parametrize("letter", ["\x9b", "\x7f", "\r", "\u202e", "\u2067", "\u200f", "\u2028", "\udcff"])
def test_other_letters_that_command_are_escaped(letter: str) -> None:
    assert visible(f"a{letter}b") == f"a{letter.encode('unicode_escape').decode()}b"


@pytest.mark.parametrize("text", ["Zaunkönig", "鳥", "👩‍🔬", "a\nb", "\\x1b"])
def test_readable_names_stay(text: str) -> None:
    assert visible(text) == text
