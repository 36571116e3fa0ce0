"""What the manifests tell about the data of a run, told before anything is decoded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiostride.build import build_augmentation
from audiostride.data.augmentation import Augmentation
from audiostride.errors import DataError, UserError
from audiostride.recipe.reader import load_recipe
from audiostride.training import data as training_data
from audiostride.training.losses import TaskLoss


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding fails the test."""
    monkeypatch.setattr(training_data, "open_corpora", lambda *arguments: pytest.fail("decoded"))


def edited(manifest: Path, folder: Path, old: str, new: str) -> Path:
    """A copy of a manifest, beside its recordings by way of absolute paths, with every `old` replaced."""
    header, *rows = manifest.read_text().splitlines()
    copy = folder / "edited.csv"
    copy.write_text("\n".join([header, *(f"{manifest.parent}/{row.replace(old, new)}" for row in rows)]) + "\n")
    return copy


def build_with(recipe_file: Path, manifest: Path, settings: Sequence[str] = ()) -> training_data.TrainingData:
    return training_data.build_training_data(load_recipe(recipe_file, [f"tasks.tone.manifest={manifest}", *settings]))


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


def test_a_manifest_without_a_clip_to_validate_is_noted(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    note = build_with(recipe_file, edited(corpus, tmp_path, ",valid,", ",test,")).note
    assert note is not None
    assert note.endswith("no clip in the split valid, so the last checkpoint counts as the best")


def test_few_clips_to_validate_are_noted(recipe_file: Path, corpus: Path) -> None:
    note = build_with(recipe_file, corpus).note
    assert note is not None
    assert note.endswith("clips in the split valid: 6; chance decides which checkpoint is the best")


def test_nothing_is_noted_where_all_is_well(recipe_file: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiostride.training.data.FEW_VALID", 6)
    assert build_with(recipe_file, corpus).note is None


# what tasks ask of their batches


@pytest.fixture
def uneven(corpus: Path, tmp_path: Path) -> Path:
    """A manifest whose split train has four clips of low and one each of mid and high."""
    header, *rows = corpus.read_text().splitlines()
    kept = [row for row in rows if not any(f"{name}_train{i}" in row for name in ("mid", "high") for i in (1, 2, 3))]
    path = tmp_path / "uneven.csv"
    path.write_text("\n".join([header, *(f"{corpus.parent}/{row}" for row in kept)]) + "\n")
    return path


def counts(data: training_data.TrainingData, n_steps: int) -> list[int]:
    """Rows of every class of the task in the batches of the first steps."""
    targets = torch.cat([data.batches(step).targets["tone"] for step in range(n_steps)])
    return targets.bincount().tolist()


def test_by_default_classes_are_sampled_and_weighed_as_they_come(recipe_file: Path, uneven: Path) -> None:
    data = build_with(recipe_file, uneven)
    assert counts(data, 1) == [1, 4, 1]  # high, low, mid
    assert data.losses["tone"] == TaskLoss()


def test_balanced_sampling_gives_every_class_equally_many_rows(recipe_file: Path, uneven: Path) -> None:
    assert counts(build_with(recipe_file, uneven, ["tasks.tone.sampling=balanced"]), 2) == [4, 4, 4]


def test_class_weights_are_the_inverse_of_the_frequency(recipe_file: Path, uneven: Path) -> None:
    weights = build_with(recipe_file, uneven, ["tasks.tone.class_weights=inverse_frequency"]).losses["tone"]
    assert weights.class_weights is not None
    torch.testing.assert_close(weights.class_weights, torch.tensor([2.0, 0.5, 2.0]))


def test_weight_and_smoothing_reach_the_loss(recipe_file: Path, corpus: Path) -> None:
    data = build_with(recipe_file, corpus, ["tasks.tone.weight=3", "training.label_smoothing=0.1"])
    assert data.losses["tone"] == TaskLoss(3.0, None, 0.1)


@pytest.mark.usefixtures("undecoded")
def test_a_manifest_is_balanced_for_one_task_alone(recipe_file: Path, corpus: Path) -> None:
    other = f"tasks.other={{manifest: {corpus}, label: is_low, sampling: balanced}}"
    with pytest.raises(UserError, match=r"tasks\.other\.sampling: tasks\.tone of the same manifest"):
        build_with(recipe_file, corpus, [other, "tasks.tone.sampling=balanced"])


def test_the_clips_of_a_manifest_are_validated_once_for_all_its_tasks(recipe_file: Path, corpus: Path) -> None:
    data = build_with(recipe_file, corpus, [f"tasks.low={{manifest: {corpus}, label: is_low}}"])
    (clips,) = data.validation
    assert len(clips.samples) == 6
    assert {name: len(labels) for name, labels in clips.labels.items()} == {"tone": 6, "low": 6}


# background


BACKGROUND = "augmentation={{background: {}, background_snr_db: [0, 0]}}"


def test_a_background_is_cut_from_the_recordings_of_a_folder(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "noise" / "deep").mkdir(parents=True)
    sf.write(tmp_path / "noise" / "deep" / "a.wav", np.full(40000, 0.25), 16000)
    background = build_with(recipe_file, corpus, [BACKGROUND.format(tmp_path / "noise")]).batches(3).background
    assert background is not None
    assert torch.equal(background, torch.full((6, 16000), 8192, dtype=torch.int16))


def test_a_background_without_recordings_is_told(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"augmentation\.background: no recordings in .*empty"):
        build_with(recipe_file, corpus, [BACKGROUND.format(tmp_path / "empty")])


def test_a_background_that_is_no_folder_is_told(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"augmentation\.background: .*nowhere is no folder"):
        build_with(recipe_file, corpus, [BACKGROUND.format(tmp_path / "nowhere")])


def test_a_background_that_cannot_be_decoded_is_told(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "a.wav").write_text("not a sound")
    with pytest.raises(DataError, match=r"augmentation\.background: .*a\.wav: "):
        build_with(recipe_file, corpus, [BACKGROUND.format(tmp_path / "noise")])


@pytest.mark.parametrize("setting", ["background=folder", "background_snr_db=[0, 30]"])
def test_a_background_needs_its_ratios(recipe_file: Path, setting: str) -> None:
    with pytest.raises(UserError, match="background and background_snr_db need each other"):
        load_recipe(recipe_file, [f"augmentation.{setting}"])


def test_a_shift_is_given_in_seconds(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file, ["augmentation={time_shift_s: 0.1, gain_db: [-3, 3]}"])
    assert build_augmentation(recipe) == Augmentation(1600, (-3.0, 3.0))
    recipe = load_recipe(recipe_file, ["augmentation={noise_snr_db: [5, 50], noise_colours: [pink, brown]}"])
    expected = Augmentation(noise_snr_db=(5.0, 50.0), noise_colours=("pink", "brown"))
    assert build_augmentation(recipe) == expected
