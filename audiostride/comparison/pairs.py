"""Which groups of runs differ by more than the choice of test clips explains."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from audiostride.evaluation.bootstrap import Difference, paired_bootstrap
from audiostride.runs.scoring import Prediction

MAX_ALL_PAIRS = 6  # groups; with more, each is compared with the first one only

Clip = tuple[str, float, str]  # path, start in seconds, label


@dataclass(frozen=True)
class Answers:
    """The clips of a task, sorted, and of each the share of right answers among the group's runs that were asked."""

    clips: tuple[Clip, ...]
    share_right: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """The difference in accuracy of two groups (by name) in a task on the same clips, the first minus the second."""

    task: str
    first: str
    second: str
    n_clips: int
    difference: Difference


def average_answers(task: str, runs: Sequence[Sequence[Prediction]]) -> Answers:
    """Give what the runs of a group make of the clips of `task`: seeds of the same ones, folds of one part each."""
    answers: dict[Clip, list[bool]] = {}
    for p in (p for run in runs for p in run if p.task == task):
        answers.setdefault((str(p.clip.path.resolve()), p.clip.start_s, p.label), []).append(p.predicted == p.label)
    clips = tuple(sorted(answers))
    return Answers(clips, np.array([np.mean(answers[clip]) for clip in clips]))


def _to_compare(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    if len(names) > MAX_ALL_PAIRS:
        return ((names[0], other) for other in names[1:])
    return combinations(names, 2)


def compare_pairs(answers: Mapping[str, Mapping[str, Answers]]) -> tuple[list[Pair], list[str]]:
    """Compare groups in every task.

    Args:
        answers: per task and group.

    Returns:
        The pairs that were asked about the same clips, and a note for each task in which some were not.
    """
    pairs, notes = [], []
    for task, of_groups in answers.items():
        apart = []
        for first, second in _to_compare(list(of_groups)):
            a, b = of_groups[first], of_groups[second]
            if a.clips == b.clips:
                difference = paired_bootstrap(a.share_right, b.share_right)
                pairs.append(Pair(task, first, second, len(a.clips), difference))
            else:
                apart.append(f"{first} and {second} ({len({*a.clips} & {*b.clips})} in common)")
        if apart:
            notes.append(
                f"{task}: not the same test files in {', '.join(apart)}, so these are not compared; "
                "--manifest FILE scores all runs on the same ones"
            )
    return pairs, notes
