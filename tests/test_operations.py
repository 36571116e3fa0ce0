"""How many operations a training step dispatches: each is a launch on a GPU."""

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "docs/scripts/count_operations.py"


def test_a_step_with_learned_strides_dispatches_at_most_two_and_a_half_times_those_of_strided_convolutions() -> None:
    count_step = runpy.run_path(str(SCRIPT))["count_step"]
    strided = count_step("strided", 0.25).total()
    assert strided > 100
    assert count_step("diffstride", 0.25).total() <= 2.5 * strided
    assert count_step("diffstride, outside", 0.25).total() <= 2.5 * strided
    assert count_step("spectral", 0.25).total() <= 2 * strided
