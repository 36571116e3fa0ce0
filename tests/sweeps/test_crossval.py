"""Cross-validation: which fold is tested and validated, what the runs know of it afterwards, and what they reach."""

import json
from pathlib import Path

import pytest
import torch

from audiostride.comparison.compare import Comparison, compare_runs
from audiostride.comparison.tables import as_dict, text_tables
from audiostride.data.manifest import Clip, write_manifest
from audiostride.errors import DataError, UserError
from audiostride.evaluation.scores import score
from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import load_run
from audiostride.runs.scoring import Prediction, RunScore, score_run
from audiostride.sweeps.crossval import (
    CrossValidation,
    FoldResult,
    check_classes,
    choose_folds,
    find_folds,
    fold_variants,
)
from audiostride.training.run import train_recipe
from audiostride.vocabulary import ValidFold

CPU = torch.device("cpu")


def set_folds(recipe: Path, *settings: str) -> list[tuple[str | None, str | None]]:
    """Test and validation fold of every variant."""
    known = find_folds(load_recipe(recipe))
    recipes = [load_recipe(recipe, variant.settings) for variant in fold_variants(known, known, *settings)]
    return [(recipe.data.test_fold, recipe.data.valid_fold) for recipe in recipes]


def test_the_next_fold_validates_and_the_first_follows_the_last(folded_recipe: Path) -> None:
    assert set_folds(folded_recipe) == [("1", "2"), ("2", "3"), ("3", "1")]
    assert set_folds(folded_recipe, "none") == [("1", None), ("2", None), ("3", None)]


def test_a_chosen_fold_is_validated_by_the_next_of_all() -> None:
    (variant,) = fold_variants(["2"], ["1", "2", "3"])
    assert variant.settings == ('data.test_fold="2"', 'data.valid_fold="3"')


@pytest.mark.parametrize(
    ("text", "told"),
    [("4", "'4' is no fold of the data, which have 1, 2, 3"), ("1,1", "a fold stands twice"), ("", "'' is no fold")],
)
def test_folds_that_cannot_be_chosen_are_told(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        choose_folds(text, ("1", "2", "3"))


def recipe_of(tmp_path: Path, *rows: tuple[str, str]) -> Path:
    """A recipe of a manifest with these folds and labels."""
    clips = [Clip(tmp_path / f"{i}.wav", "train", {"label": label}, fold=fold) for i, (fold, label) in enumerate(rows)]
    write_manifest(tmp_path / "m.csv", clips)
    (tmp_path / "r.yaml").write_text(f"tasks: {{t: {{manifest: {tmp_path / 'm.csv'}}}}}\n")
    return tmp_path / "r.yaml"


def test_two_folds_are_enough_without_validation(tmp_path: Path) -> None:
    recipe = load_recipe(recipe_of(tmp_path, ("1", "a"), ("2", "a")))
    assert find_folds(recipe, "none") == ("1", "2")
    with pytest.raises(
        UserError, match=r"m\.csv: 2 fold.*at least 3 with --valid-fold next; or --valid-fold none, which needs 2$"
    ):
        find_folds(recipe)


@pytest.mark.parametrize(("valid", "n_least"), [("next", 3), ("none", 2)])
def test_one_fold_is_too_few_for_either(tmp_path: Path, valid: ValidFold, n_least: int) -> None:
    recipe = load_recipe(recipe_of(tmp_path, ("1", "a")))
    with pytest.raises(UserError, match=rf"1 fold.*at least {n_least} with --valid-fold {valid}$"):
        find_folds(recipe, valid)


def test_a_class_that_only_the_test_fold_has_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    path = recipe_of(tmp_path, ("1", "a"), ("1", "b"), ("2", "a"), ("3", "a"))
    check_classes(load_recipe(path, ["data.test_fold=2"]))
    with pytest.raises(DataError, match=r"m\.csv: fold 1 has labels in 'label' that the folds .* lack: b"):
        check_classes(load_recipe(path, ["data.test_fold=1", "data.valid_fold=2"]))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.test_fold=1.5", "got 1.5, expected the name of a fold"),
        ("data.valid_fold=1", "valid_fold needs test_fold"),
        ("data={test_fold: 1, valid_fold: 1}", "both '1', expected two different folds"),
    ],
)
def test_folds_that_a_recipe_cannot_name_are_told(folded_recipe: Path, setting: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_recipe(folded_recipe, [setting])


# counted by hand


def fold_of(name: str, answers: str) -> FoldResult:
    """A fold of files `true class, predicted class`, as in "ab aa"."""
    classes = ("a", "b")
    pairs = answers.split()
    logits = torch.tensor([[float(predicted == c) for c in classes] for _, predicted in pairs], dtype=torch.float64)
    labels = torch.tensor([classes.index(label) for label, _ in pairs])
    predictions = [
        Prediction(Clip(Path(f"{name}{i}.wav"), "test"), "t", label, predicted, 0.7, 1, 1.0)
        for i, (label, predicted) in enumerate(pairs)
    ]
    scored = score(logits, labels, torch.ones(len(pairs), dtype=torch.int64), classes)
    return FoldResult(name, Path(f"fold-{name}"), RunScore({"t": scored}, predictions, None, {}, {}))


def test_mean_deviation_and_pool_of_three_folds() -> None:
    content = CrossValidation(
        (fold_of("1", "aa bb ab ba"), fold_of("2", "aa bb"), fold_of("3", "aa ab ab bb"))
    ).as_dict()
    assert content["folds"] == [
        {"fold": "1", "run": "fold-1", "accuracy": {"t": 0.5}, "n_files": 4},
        {"fold": "2", "run": "fold-2", "accuracy": {"t": 1.0}, "n_files": 2},
        {"fold": "3", "run": "fold-3", "accuracy": {"t": 0.5}, "n_files": 4},
    ]
    assert content["mean"]["t"] == pytest.approx(2 / 3)
    assert content["std"]["t"] == pytest.approx((1 / 12) ** 0.5)  # deviations -1/6, 1/3, -1/6
    assert content["pooled"]["t"] == {
        "accuracy": 0.6,
        "n_files": 10,
        "classes": ["a", "b"],
        "confusion": [[3, 3], [1, 3]],
    }
    json.dumps(content)


# trained runs


@pytest.fixture(scope="module")
def folded_runs(folded_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of three folds: `learned` and `strided`."""
    folder = tmp_path_factory.mktemp("crossval")
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"tasks: {{tone: {{manifest: {folded_corpus}}}}}\n"
        f"data: {{cache_dir: {folder / 'cache'}}}\n"
        "model: {width: 0.06, ramp: inside}\n"
        "training: {steps: 4, batch_size: 6, learning_rate: 0.01, validate_every: 4, log_every: 2,\n"
        "  batch_norm_batches: 1}\n"
    )
    for name, settings in (("learned", []), ("strided", ["model.downsampling=strided_conv"])):
        for variant in fold_variants("123", "123"):
            made = load_recipe(recipe, [*settings, *variant.settings])
            list(train_recipe(made, folder / name / variant.name, CPU))
    return folder


def names(scored: RunScore) -> set[str]:
    return {prediction.clip.path.stem.split("_")[1] for prediction in scored.predictions}


def test_a_run_knows_its_folds_afterwards(folded_runs: Path, folded_corpus: Path) -> None:
    checkpoint = load_run(folded_runs / "learned/fold-2")
    assert names(score_run(checkpoint)) == {"fold2"}
    assert names(score_run(checkpoint, "valid")) == {"fold3"}
    assert names(score_run(checkpoint, "train")) == {"fold1"}
    assert names(score_run(checkpoint, manifest=folded_corpus)) == {"fold2"}  # its column `split` says train


def test_another_manifest_without_folds_is_split_by_its_own_column(folded_runs: Path, corpus: Path) -> None:
    assert len(score_run(load_run(folded_runs / "learned/fold-2"), manifest=corpus).predictions) == 6


def test_every_fold_is_decoded_into_the_same_packs(folded_runs: Path) -> None:
    assert len(list((folded_runs / "cache").iterdir())) == 1


@pytest.fixture(scope="module")
def comparison(folded_runs: Path) -> Comparison:
    return compare_runs([folded_runs / name / f"fold-{i}" for name in ("learned", "strided") for i in (1, 2, 3)])


def test_the_folds_of_a_recipe_are_one_group(comparison: Comparison) -> None:
    assert [(group.name, [run.fold for run in group.runs]) for group in comparison.groups] == [
        ("learned", ["1", "2", "3"]),
        ("strided", ["1", "2", "3"]),
    ]
    assert not any("several runs of the seed" in warning for warning in comparison.warnings)


def test_recipes_are_paired_on_the_clips_of_all_folds(comparison: Comparison, folded_runs: Path) -> None:
    (pair,) = comparison.pairs
    assert pair.n_clips == 18

    def n_right(name: str) -> int:
        scores = [score_run(load_run(folded_runs / name / f"fold-{i}")) for i in (1, 2, 3)]
        return sum(p.predicted == p.label for scored in scores for p in scored.predictions)

    assert pair.difference.mean == pytest.approx((n_right("learned") - n_right("strided")) / 18)


def test_folds_are_shown_in_place_of_seeds(comparison: Comparison) -> None:
    runs = text_tables(comparison)[0]
    assert [row[2] for row in runs.rows] == ["fold 1 2 3"] * 2
    assert [run["fold"] for run in as_dict(comparison)["groups"][0]["runs"]] == ["1", "2", "3"]


def test_a_plain_run_of_the_same_recipe_is_another_group(folded_runs: Path, trained_runs: Path) -> None:
    found = compare_runs([folded_runs / "learned/fold-1", folded_runs / "learned/fold-2", trained_runs / "strided"])
    assert [len(group.runs) for group in found.groups] == [2, 1]
    assert found.pairs == ()
