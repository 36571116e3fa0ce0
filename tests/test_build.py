"""What the manifests tell about the data of a run, told before anything is decoded."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from audiostride import build
from audiostride.errors import DataError, UserError
from audiostride.recipe_file import load_recipe


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding fails the test."""
    monkeypatch.setattr(build, "open_corpora", lambda *arguments: pytest.fail("decoded"))


def edited(manifest: Path, folder: Path, old: str, new: str) -> Path:
    """A copy of a manifest, beside its recordings by way of absolute paths, with every `old` replaced."""
    header, *rows = manifest.read_text().splitlines()
    copy = folder / "edited.csv"
    copy.write_text("\n".join([header, *(f"{manifest.parent}/{row.replace(old, new)}" for row in rows)]) + "\n")
    return copy


def build_with(recipe_file: Path, manifest: Path, settings: Sequence[str] = ()) -> build.TrainingData:
    return build.build_training_data(load_recipe(recipe_file, [f"tasks.tone.manifest={manifest}", *settings]))


@pytest.mark.usefixtures("undecoded")
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (",train,", ",TRAIN,", r"at least 2 classes of 'label'.*got none; splits: 'TRAIN', 'test', 'valid'"),
        (",valid,True,low", ",valid,True,unheard", "the split valid has labels in 'label' that train lacks: unheard"),
    ],
)
def test_labels_that_cannot_be_learned_are_told(
    recipe_file: Path, corpus: Path, tmp_path: Path, old: str, new: str, told: str
) -> None:
    text = edited(corpus, tmp_path, old, new)
    with pytest.raises(DataError, match=told):
        build_with(recipe_file, text)


@pytest.mark.usefixtures("undecoded")
def test_a_batch_has_a_row_for_every_manifest(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    other = edited(corpus, tmp_path, "", "")
    settings = [f"tasks.other={{manifest: {other}}}", "training.batch_size=1"]
    with pytest.raises(UserError, match=r"batch_size=1: expected at least 2"):
        build_with(recipe_file, corpus, settings)


def test_splits_that_training_does_not_use_are_noted(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    note = build_with(recipe_file, edited(corpus, tmp_path, ",valid,", ",validation,")).note
    assert note is not None
    assert note.endswith("training uses the splits train and valid, not 'validation' (6 clips)")


def test_nothing_is_noted_where_all_is_well(recipe_file: Path, corpus: Path) -> None:
    assert build_with(recipe_file, corpus).note is None
