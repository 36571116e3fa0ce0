"""Cross-validation: a run per fold of the data, each scored on the fold that it has not seen."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from audiostride.build import read_task_manifests
from audiostride.data.folds import common_folds
from audiostride.data.manifest import sort_classes
from audiostride.data.targets import class_names
from audiostride.errors import ArgumentError, DataError, UserError
from audiostride.evaluation.spread import Spread
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import load_run
from audiostride.runs.scoring import RunScore, score_run
from audiostride.sweeps.variants import Axis, Variant, file_name, setting
from audiostride.vocabulary import ValidFold


def find_folds(recipe: Recipe, valid: ValidFold = "next") -> tuple[str, ...]:
    """List the folds of a recipe's data, enough of them for test, valid and train.

    Raises:
        UserError: a manifest without folds, with others than that of another task, or with too few.
    """
    data = recipe.data.model_copy(update={"test_fold": None, "valid_fold": None})
    manifests = read_task_manifests(recipe.model_copy(update={"data": data})).values()
    folds = common_folds(manifests)
    n_least = 3 if valid == "next" else 2
    if len(folds) < n_least:
        paths = ", ".join(dict.fromkeys(str(manifest.path) for manifest in manifests))
        other = "; or --valid-fold none, which needs 2" if valid == "next" and len(folds) == 2 else ""
        raise UserError(f"{paths}: {len(folds)} fold(s), expected at least {n_least} with --valid-fold {valid}{other}")
    return folds


def choose_folds(text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """Read names of folds such as `1,2`; all of them without a text.

    Raises:
        ArgumentError: none, one that the data do not have, or one twice.
    """
    if text is None:
        return tuple(known)
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in known:
            raise ArgumentError("folds", text, f"{name!r} is no fold of the data, which have {', '.join(known)}")
    if len(set(names)) < len(names):
        raise ArgumentError("folds", text, "a fold stands twice")
    return names


def check_classes(recipe: Recipe) -> None:
    """Raise DataError if the test fold of a recipe has classes that no clip of train has."""
    for name, manifest in read_task_manifests(recipe).items():
        task = recipe.tasks[name]
        known, tested = (set(class_names(manifest, task.label, task.kind, split)) for split in ("train", "test"))
        if task.kind == "single" and tested - known:
            raise DataError(
                f"{manifest.path}: fold {recipe.data.test_fold} has labels in {task.label!r} that the folds for "
                f"training lack: {', '.join(sorted(tested - known))}"
            )


def fold_variants(folds: Sequence[str], known: Sequence[str], valid: ValidFold = "next") -> Axis:
    """Make the variants of a recipe that test on each of `folds`.

    Args:
        folds: to test on.
        known: all folds of the data, in their order.
        valid: `next` validates on the fold after that of the test, the first one after the last; `none` trains on all
            others, and the last checkpoint counts as the best.
    """
    following = dict(zip(known, [*known[1:], *known[:1]], strict=True))
    return tuple(
        Variant(
            f"fold-{file_name(fold)}",
            (
                setting("data.test_fold", fold),
                setting("data.valid_fold", following[fold] if valid == "next" else None),
            ),
            "crossval",
        )
        for fold in folds
    )


@dataclass(frozen=True)
class FoldResult:
    """A run, scored on its test fold."""

    fold: str
    run: Path
    score: RunScore

    @property
    def n_files(self) -> int:
        """Count the files of the fold, whatever number of tasks each is labelled for."""
        return len({id(prediction.clip) for prediction in self.score.predictions})


@dataclass(frozen=True)
class Pooled:
    """The answers of all folds together: every file is scored by the run that has not seen it.

    Attributes:
        accuracy: share of files that are right.
        n_files: how many there are.
        classes: of all folds.
        confusion: rows are true classes, columns predicted ones; empty for a multi-label task.
    """

    accuracy: float
    n_files: int
    classes: tuple[str, ...]
    confusion: list[list[int]]


@dataclass(frozen=True)
class CrossValidation:
    """The results of the folds."""

    folds: tuple[FoldResult, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """List the tasks."""
        return tuple(self.folds[0].score.scores)

    def accuracy(self, task: str) -> Spread:
        """Give the accuracy of every fold."""
        return Spread(tuple(fold.score.scores[task].accuracy for fold in self.folds))

    def pooled(self, task: str) -> Pooled:
        """Count the answers of all folds together."""
        scores = [fold.score.scores[task] for fold in self.folds]
        n_files = sum(score.n_files for score in scores)
        n_right = sum(round(score.accuracy * score.n_files) for score in scores)
        classes = sort_classes({name for score in scores for name in score.classes})
        confusion: list[list[int]] = []
        if scores[0].kind == "single":
            predictions = [p for fold in self.folds for p in fold.score.predictions if p.task == task]
            counts = Counter((p.label, p.predicted) for p in predictions)
            confusion = [[counts[label, predicted] for predicted in classes] for label in classes]
        return Pooled(n_right / n_files, n_files, classes, confusion)

    def as_dict(self) -> dict[str, Any]:
        """Give everything, as JSON takes it."""
        pooled = {task: self.pooled(task) for task in self.tasks}
        return {
            "folds": [
                {
                    "fold": fold.fold,
                    "run": str(fold.run),
                    "accuracy": {task: score.accuracy for task, score in fold.score.scores.items()},
                    "n_files": fold.n_files,
                }
                for fold in self.folds
            ],
            "mean": {task: self.accuracy(task).mean for task in self.tasks},
            "std": {task: self.accuracy(task).deviation for task in self.tasks},
            "pooled": {
                task: {
                    "accuracy": of_task.accuracy,
                    "n_files": of_task.n_files,
                    "classes": list(of_task.classes),
                    "confusion": of_task.confusion,
                }
                for task, of_task in pooled.items()
            },
        }


def score_folds(
    runs: Sequence[tuple[str, Path]],
    device: torch.device | str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> CrossValidation:
    """Score finished runs, each on its test fold.

    Args:
        runs: fold and folder of each, one at least.
        device: to score on.
        on_progress: called with the folds done and in all.

    Raises:
        UserError, DataError: as `score_run`.
    """
    results = []
    for i, (fold, run) in enumerate(runs):
        results.append(FoldResult(fold, run, score_run(load_run(run, device=device))))
        if on_progress is not None:
            on_progress(i + 1, len(runs))
    return CrossValidation(tuple(results))
