"""Several trained runs side by side: accuracy, strides and cost, and which differences mean something."""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import torch

from audiostride.comparison.cost import RunCost, measure_cost
from audiostride.comparison.pairs import Answers, Pair, average_answers, compare_pairs
from audiostride.device import choose_device
from audiostride.errors import ArgumentError
from audiostride.evaluation.majority import majority_text
from audiostride.evaluation.spread import Spread
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.groups import RunGroup, frontend_difference, group_runs
from audiostride.runs.scoring import RunScore, Subject, clips_to_score, score_run
from audiostride.vocabulary import BACKBONE, N_BLOCKS

Strides = dict[str, list[float]]  # of every block, per axis
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class RunResult:
    """One run: accuracy per task, final strides and cost."""

    path: Path
    seed: int
    step: int
    accuracy: dict[str, float]
    strides: Strides
    cost: RunCost
    at_majority: dict[str, str] = field(default_factory=dict)  # per task in which naming this class always is as good
    fold: str | None = None  # that it was tested on, None for the split of its manifests


@dataclass(frozen=True)
class GroupResult:
    """The runs of one recipe (of its first seed) by a name that no other group has."""

    name: str
    recipe: Recipe
    runs: tuple[RunResult, ...]

    @property
    def has_strides(self) -> bool:
        """Tell whether the backbone has strides to read."""
        return bool(self.runs[0].strides)

    @property
    def downsampling(self) -> str:
        """Name the way to downsample, or the backbone if it has no strides."""
        return self.recipe.model.downsampling if self.has_strides else self.recipe.model.backbone

    @property
    def ramp(self) -> str | None:
        """Name the ramp, None for a method without one."""
        return self.recipe.model.ramp if self.downsampling in ("diffstride", "fixed_stride") else None

    @property
    def learned(self) -> bool:
        """Tell whether the strides are parameters."""
        return self.downsampling == "diffstride"

    @property
    def initial_strides(self) -> dict[str, tuple[float, ...] | str]:
        """Give the initial strides per axis: numbers of every block, or words where they are drawn or another run's."""
        model = self.recipe.model
        of_axis = {"time": model.stride_time, "frequency": model.stride_frequency}
        if not self.has_strides:
            return dict.fromkeys(of_axis, ())
        if self.recipe.init_from is not None:
            return dict.fromkeys(of_axis, "init_from")
        drawn = f"random {model.stride_low:g} to {model.stride_high:g}"
        return {axis: drawn if strides == "random" else strides for axis, strides in of_axis.items()}

    @property
    def method(self) -> str:
        """Describe the way to downsample in a few words."""
        fixed = "(fixed)" if self.has_strides and not self.learned else None
        backbone = self.recipe.model.backbone
        other = backbone if self.has_strides and backbone != BACKBONE else None
        return " ".join(filter(None, (other, self.downsampling, self.ramp, fixed)))

    @property
    def tasks(self) -> tuple[str, ...]:
        """List the tasks that were scored."""
        return tuple(self.runs[0].accuracy)

    def accuracy(self, task: str) -> Spread | None:
        """Give the accuracies of the runs, None where the group lacks the task."""
        return Spread(tuple(run.accuracy[task] for run in self.runs)) if task in self.tasks else None

    def over_runs(self, value: Callable[[RunResult], float | None]) -> Spread | None:
        """Collect a value of the runs that have it; None where none has."""
        found = tuple(v for run in self.runs if (v := value(run)) is not None)
        return Spread(found) if found else None

    def at_majority(self) -> dict[str, tuple[str, int]]:
        """Find the tasks in which runs are no better than always naming a class: that class, and how many runs."""
        counts = Counter(pair for run in self.runs for pair in run.at_majority.items())
        return {task: (name, n) for (task, name), n in counts.items()}

    def mean_strides(self) -> Strides:
        """Give the final strides, averaged over the runs."""
        of_axis = {axis: [run.strides[axis] for run in self.runs] for axis in self.runs[0].strides}
        return {axis: [statistics.fmean(s) for s in zip(*runs, strict=True)] for axis, runs in of_axis.items()}


@dataclass(frozen=True)
class Comparison:
    """Groups in the order given, the pairs that can be compared, and what to know about both."""

    split: str
    groups: tuple[GroupResult, ...]
    pairs: tuple[Pair, ...]
    warnings: tuple[str, ...]

    @property
    def n_blocks(self) -> int:
        """Count the blocks of the network that has most; at least those of the package's first."""
        of_groups = (len(strides) for group in self.groups for strides in group.runs[0].strides.values())
        return max((N_BLOCKS, *of_groups))

    @property
    def tasks(self) -> tuple[str, ...]:
        """List the tasks of all groups."""
        return tuple(dict.fromkeys(task for group in self.groups for task in group.tasks))


def compare_runs(
    runs: Sequence[Path | str],
    split: str = "test",
    *,
    manifest: Path | str | None = None,
    tasks: Sequence[str] | None = None,
    which: str = "best",
    device: torch.device | str = "cpu",
    on_progress: OnProgress | None = None,
) -> Comparison:
    """Score runs on the files of a split and measure what they cost; those of a recipe are a group.

    Runs of a recipe may differ in their seed and, of a cross-validation, in their test fold.

    A difference between two groups in a task comes with an interval over test clips (`paired_bootstrap` of the share
    of a group's runs that classify a clip right), where both were scored on the same clips: of folds, all together
    are. What can be checked is
    checked for all runs before the first one is scored.

    Args:
        runs: run folders or checkpoint files.
        split: whose files.
        manifest: instead of the recipes' own, for the tasks whose label column it has.
        tasks: only these; a run may lack some.
        which: "best" or "last" checkpoint.
        device: to score and measure on.
        on_progress: called with the clips scored and in all.

    Raises:
        UserError: what is no run, a run given twice, an unknown task, split or manifest.
        DataError: recordings missing or unusable, or labels that a model does not know.
    """
    if isinstance(runs, str | Path):
        raise ArgumentError("runs", runs, "expected a list of runs")
    manifest = None if manifest is None else Path(manifest)
    groups = group_runs(list(map(Path, runs)), which, choose_device(device))
    wanted = {group.name: _wanted(group, groups, tasks) for group in groups}
    n_clips = [
        _n_clips(checkpoint, split, manifest, wanted[group.name])
        for group in groups
        for checkpoint in group.checkpoints
    ]
    n_before = iter(accumulate(n_clips, initial=0))  # each run
    warnings = [*_warnings(groups)]
    results: list[GroupResult] = []
    answers: dict[str, dict[str, Answers]] = {}
    for group in groups:
        scores = [
            _score(
                checkpoint, split, manifest, wanted[group.name], _continued(on_progress, next(n_before), sum(n_clips))
            )
            for checkpoint in group.checkpoints
        ]
        members = tuple(map(_run_result, group.runs, group.checkpoints, scores))
        results.append(GroupResult(group.name, group.checkpoints[0].recipe, members))
        warnings += [f"{path}: {scored.note}" for path, scored in zip(group.runs, scores, strict=True) if scored.note]
        for task in results[-1].tasks:
            answers.setdefault(task, {})[group.name] = average_answers(task, [scored.predictions for scored in scores])
    warnings += [
        f"{group.name}: {task}: {majority_text(name)} in {n} of {len(group.runs)} run(s)"
        for group in results
        for task, (name, n) in group.at_majority().items()
    ]
    pairs, notes = compare_pairs(answers)
    return Comparison(split, tuple(results), tuple(pairs), (*warnings, *notes))


def _continued(on_progress: OnProgress | None, n_before: int, n_all: int) -> OnProgress | None:
    """Give what tells the progress of one run as that of all of them."""
    return None if on_progress is None else lambda done, _: on_progress(n_before + done, n_all)


def _score(
    checkpoint: Checkpoint, split: str, manifest: Path | None, tasks: Sequence[str], on_progress: OnProgress | None
) -> RunScore:
    if not tasks:
        return RunScore({}, [], None, {}, {})
    return score_run(checkpoint, split, manifest=manifest, tasks=tasks, on_progress=on_progress)


def _wanted(group: RunGroup, groups: Sequence[RunGroup], tasks: Sequence[str] | None) -> list[str]:
    """Give the tasks to score a group in; UserError for one that no group has."""
    known = dict.fromkeys(task for other in groups for task in other.checkpoints[0].classes)
    for task in tasks or ():
        if task not in known:
            raise ArgumentError("task", task, f"no run has such a task, expected one of {', '.join(known)}")
    return [task for task in group.checkpoints[0].classes if not tasks or task in tasks]


def _warnings(groups: Sequence[RunGroup]) -> list[str]:
    """Give what makes groups, or the runs of one, less alike or more alike than they look."""
    difference = frontend_difference(groups)
    warnings = [] if difference is None else [f"the front ends differ: {difference}"]
    for group in groups:
        recipes = [checkpoint.recipe for checkpoint in group.checkpoints]
        counts = Counter((recipe.seed, recipe.data.test_fold) for recipe in recipes)
        repeated = ", ".join(
            f"{seed}" if fold is None else f"{seed} on fold {fold}" for (seed, fold), n in counts.items() if n > 1
        )
        if repeated:
            warnings.append(f"{group.name}: several runs of the seed {repeated}, which tell less than others would")
    return warnings


def _n_clips(checkpoint: Checkpoint, split: str, manifest: Path | None, tasks: Sequence[str]) -> int:
    clips_of = clips_to_score(Subject.of_checkpoint(checkpoint), split, manifest, tasks) if tasks else {}
    return len({id(clip) for clips in clips_of.values() for clip in clips})


def _run_result(path: Path, checkpoint: Checkpoint, scored: RunScore) -> RunResult:
    accuracy = {task: score.accuracy for task, score in scored.scores.items()}
    strides = checkpoint.model.strided_backbone.strides_by_axis()
    at_majority = {task: score.majority_class for task, score in scored.scores.items() if not score.beats_majority}
    cost = measure_cost(checkpoint)
    recipe = checkpoint.recipe
    fold = recipe.data.test_fold
    return RunResult(path, recipe.seed, checkpoint.step, accuracy, strides, cost, at_majority, fold)
