"""Which groups are compared: those asked about the same clips."""

from pathlib import Path

import numpy as np
import pytest

from audiostride.comparison.pairs import Answers, average_answers, compare_pairs
from audiostride.data.manifest import Clip
from audiostride.runs.scoring import Prediction


def predictions(task: str, right: dict[str, bool]) -> list[Prediction]:
    return [
        Prediction(Clip(Path(f"/{name}.wav"), "test"), task, "a", "a" if is_right else "b", 0.9, 1, 1.0)
        for name, is_right in right.items()
    ]


def answers(*names: str) -> Answers:
    return average_answers("t", [predictions("t", dict.fromkeys(names, True))])


def test_a_clip_counts_by_the_share_of_seeds_that_are_right() -> None:
    runs = [predictions("t", {"x": True, "y": True}), predictions("t", {"y": False, "x": True})]
    found = average_answers("t", [[*run, *predictions("other", {"z": True})] for run in runs])
    assert found.clips == (("/x.wav", 0.0, "a"), ("/y.wav", 0.0, "a"))
    np.testing.assert_array_equal(found.share_right, [1.0, 0.5])


def test_segments_of_a_recording_are_clips_of_their_own() -> None:
    clips = [Clip(Path("/x.wav"), "test", start_s=start_s) for start_s in (0.0, 1.0)]
    run = [Prediction(clip, "t", "a", "a", 0.9, 1, 1.0) for clip in clips]
    assert len(average_answers("t", [run]).clips) == 2


def test_other_test_files_are_not_compared_and_told_once() -> None:
    pairs, notes = compare_pairs(
        {"t": {"one": answers("x", "y"), "two": answers("y", "z"), "three": answers("x", "y")}}
    )
    assert [(pair.first, pair.second) for pair in pairs] == [("one", "three")]
    (note,) = notes
    assert "one and two (1 in common), two and three (1 in common)" in note


@pytest.mark.parametrize(("n_groups", "n_pairs"), [(1, 0), (6, 15), (7, 6)])
def test_many_groups_are_compared_with_the_first(n_groups: int, n_pairs: int) -> None:
    pairs, _ = compare_pairs({"t": {str(i): answers("x") for i in range(n_groups)}})
    assert len(pairs) == n_pairs
    assert n_groups < 7 or {pair.first for pair in pairs} == {"0"}
