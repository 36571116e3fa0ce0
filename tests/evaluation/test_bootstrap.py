"""The paired bootstrap against what is known in closed form."""

import numpy as np
import pytest

from audiostride.evaluation.bootstrap import Difference, paired_bootstrap


def test_the_interval_of_many_clips_is_the_normal_one() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(2000) < 0.8, rng.random(2000) < 0.7
    found, differences = paired_bootstrap(first, second), first.astype(float) - second
    standard_error = differences.std() / len(differences) ** 0.5
    assert found.mean == pytest.approx(differences.mean())
    assert (found.low, found.high) == pytest.approx(
        (found.mean - 1.96 * standard_error, found.mean + 1.96 * standard_error), abs=0.15 * standard_error
    )


def test_equal_answers_differ_by_nothing() -> None:
    assert paired_bootstrap([1, 0, 1], [1, 0, 1]) == Difference(0.0, 0.0, 0.0)
    assert paired_bootstrap([1, 0, 1], [1, 0, 1]).within_spread


def test_a_constant_difference_has_no_spread() -> None:
    found = paired_bootstrap([0.75, 0.5, 1.0], [0.5, 0.25, 0.75])
    assert found == Difference(0.25, 0.25, 0.25)
    assert not found.within_spread


def test_pairing_counts_what_both_share() -> None:
    easy = np.arange(400) % 2  # both find half of the clips, the first one some more
    better = easy.copy()
    better[:20:2] = 1
    assert not paired_bootstrap(better, easy).within_spread
    assert paired_bootstrap(better, np.roll(easy, 1)).within_spread


def test_swapping_mirrors_the_interval() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random(50), rng.random(50)
    one, other = paired_bootstrap(first, second), paired_bootstrap(second, first)
    assert (other.mean, other.low, other.high) == pytest.approx((-one.mean, -one.high, -one.low))


def test_the_seed_decides() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random(50), rng.random(50)
    assert paired_bootstrap(first, second) == paired_bootstrap(first, second)
    assert paired_bootstrap(first, second) != paired_bootstrap(first, second, seed=1)


def test_the_interval_holds_the_truth_about_19_times_in_20() -> None:
    rng = np.random.default_rng(4)
    n_held = 0
    for _ in range(300):
        first, second = rng.random(200) < 0.8, rng.random(200) < 0.7
        found = paired_bootstrap(first, second, n_resamples=300)
        n_held += found.low <= 0.1 <= found.high
    assert 0.91 <= n_held / 300 <= 0.98


@pytest.mark.parametrize(("first", "second"), [([], []), ([1, 0], [1]), ([[1.0]], [[1.0]])])
def test_unlike_values_are_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match="one value per clip"):
        paired_bootstrap(first, second)
