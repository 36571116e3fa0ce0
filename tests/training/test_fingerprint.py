"""A run that is resumed goes on with the data it was begun with, or says what differs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe
from audiostride.training.events import Started
from audiostride.training.run import train_recipe

CPU = torch.device("cpu")


@pytest.fixture
def own_corpus(tmp_path: Path) -> Path:
    """A manifest whose recordings a test may change."""
    rows = ["path,split,label", "0.wav,train,a"]  # a row that comes twice
    for i in range(6):
        sf.write(tmp_path / f"{i}.wav", 0.1 * np.random.default_rng(i).standard_normal(16000), 16000)
        rows.append(f"{i}.wav,{'valid' if i > 3 else 'train'},{'ab'[i % 2]}")
    (tmp_path / "own.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "own.csv"


def start(recipe_file: Path, manifest: Path, *settings: str, **options: bool) -> Started:
    """Train a step more than there is."""
    recipe = load_recipe(recipe_file, [f"tasks.tone.manifest={manifest}", "training.steps=2", *settings])
    events = list(train_recipe(recipe, manifest.parent / "run", CPU, **options))
    assert isinstance(events[0], Started)
    return events[0]


def edit(manifest: Path, old: str, new: str) -> None:
    manifest.write_text(manifest.read_text().replace(old, new))


CHANGES = {
    "another recording": (lambda m: sf.write(m.with_name("2.wav"), np.full(16000, 0.1), 16000), "2.wav .train.: other"),
    "a row less": (
        lambda m: edit(m, "3.wav,train,b\n", ""),
        r"3.wav .train.: its row is gone",
    ),
    "another label": (lambda m: edit(m, "3.wav,train,b", "3.wav,train,a"), "3.wav"),
    "one of two equal rows less": (
        lambda m: edit(m, "0.wav,train,a\n0.wav,train,a\n", "0.wav,train,a\n"),
        "0.wav .train.: its row is gone",
    ),
    "rows in another order": (
        lambda m: edit(m, "2.wav,train,a\n3.wav,train,b\n", "3.wav,train,b\n2.wav,train,a\n"),
        "the rows of the manifest are in another order",
    ),
    "another split": (
        lambda m: edit(m, "1.wav,train", "1.wav,valid"),
        "1.wav .valid.: .* new",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_data_are_refused_unless_asked(change: str, recipe_file: Path, own_corpus: Path) -> None:
    start(recipe_file, own_corpus)
    alter, told = CHANGES[change]
    alter(own_corpus)
    with pytest.raises(UserError, match=told):
        start(recipe_file, own_corpus, resume=True)
    assert start(recipe_file, own_corpus, resume=True, allow_changed_data=True).first_step == 2


def test_another_background_is_refused(recipe_file: Path, own_corpus: Path) -> None:
    noise = own_corpus.parent / "noise"
    noise.mkdir()
    sf.write(noise / "n.wav", np.full(16000, 0.1), 16000)
    settings = f"augmentation.background={noise}", "augmentation.background_snr_db=[0, 30]"
    start(recipe_file, own_corpus, *settings)
    sf.write(noise / "n.wav", np.full(16000, 0.2), 16000)
    with pytest.raises(UserError, match=r"n.wav .background.: other samples"):
        start(recipe_file, own_corpus, *settings, resume=True)


def test_a_recording_that_was_only_touched_is_the_same(recipe_file: Path, own_corpus: Path) -> None:
    start(recipe_file, own_corpus)
    for path in own_corpus.parent.glob("*.wav"):
        path.touch()
    assert start(recipe_file, own_corpus, resume=True).first_step == 2


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_text("{}"), lambda path: path.write_text("[[1, 2], 3]")]
)
def test_a_run_that_does_not_say_its_data_is_resumed_with_a_note(
    damage: Callable[[Path], object], recipe_file: Path, own_corpus: Path
) -> None:
    start(recipe_file, own_corpus)
    damage(own_corpus.parent / "run/data.json")
    note = start(recipe_file, own_corpus, resume=True).note
    assert note is not None
    assert "does not say which data" in note
