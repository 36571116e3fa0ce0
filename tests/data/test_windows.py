"""Random windows depend on seed and step alone."""

import numpy as np
import numpy.typing as npt
import pytest

from audiostride.data.windows import RandomWindows

Samples = npt.NDArray[np.int16]
Waveform = npt.NDArray[np.float32]

N_WINDOW = 8


def ramp(n: int) -> Samples:
    """Samples that tell their position: 1, 2, 3 ..."""
    return np.arange(1, n + 1, dtype=np.int16)


def steps(windows: RandomWindows, n_steps: int, n_rows: int = 4) -> Samples:
    return np.concatenate([windows.batch(step, n_rows)[0] for step in range(n_steps)])


# random windows


@pytest.fixture
def clips() -> list[Samples]:
    return [ramp(n) for n in (3, 8, 20, 100, 9, 1, 50)]


def test_a_batch_is_a_function_of_seed_and_step(clips: list[Samples]) -> None:
    in_order = [RandomWindows(clips, N_WINDOW, seed=3).batch(step, 5) for step in range(6)]
    anew = RandomWindows(clips, N_WINDOW, seed=3)
    for step in (5, 0, 3, 3, 1):
        np.testing.assert_array_equal(anew.batch(step, 5)[0], in_order[step][0])
        np.testing.assert_array_equal(anew.batch(step, 5)[1], in_order[step][1])


def test_another_seed_gives_other_windows(clips: list[Samples]) -> None:
    first, second = (steps(RandomWindows(clips, N_WINDOW, seed), 4) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_another_step_gives_other_positions() -> None:
    windows = RandomWindows([ramp(10000)], N_WINDOW, seed=0)
    assert len(np.unique(steps(windows, 10)[:, 0])) > 30


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
@pytest.mark.parametrize("n_rows", [1, 3, 7, 20])
def test_each_epoch_visits_each_clip_once(clips: list[Samples], n_rows: int, seed: int) -> None:
    windows, n_epochs = RandomWindows(clips, N_WINDOW, seed), n_rows
    indices = np.concatenate([windows.batch(step, n_rows)[1] for step in range(n_epochs * len(clips) // n_rows)])
    np.testing.assert_array_equal(np.sort(indices.reshape(n_epochs, len(clips))), [np.arange(len(clips))] * n_epochs)


def test_epochs_are_in_different_orders() -> None:
    windows = RandomWindows([ramp(1)] * 50, N_WINDOW, seed=0)
    assert not np.array_equal(windows.batch(0, 50)[1], windows.batch(1, 50)[1])


@pytest.mark.parametrize("n", [9, 10, 13])
def test_a_long_clip_gives_windows_at_every_position(n: int) -> None:
    found = steps(RandomWindows([ramp(n)], N_WINDOW, seed=0), 100)
    possible = [ramp(n)[start : start + N_WINDOW] for start in range(n - N_WINDOW + 1)]
    np.testing.assert_array_equal(np.unique(found, axis=0), possible)


@pytest.mark.parametrize("n", [1, 5, 7])
def test_a_short_clip_lies_whole_at_every_offset_between_zeros(n: int) -> None:
    found = steps(RandomWindows([ramp(n)], N_WINDOW, seed=0), 100)
    n_zeros = N_WINDOW - n
    possible = [np.pad(ramp(n), (before, n_zeros - before)) for before in range(n_zeros + 1)]
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(possible, axis=0))


def test_positions_are_about_evenly_likely() -> None:
    first = steps(RandomWindows([ramp(N_WINDOW + 3)], N_WINDOW, seed=0), 500)[:, 0]
    np.testing.assert_allclose(np.bincount(first)[1:], 500, rtol=0.15)


def test_a_clip_of_one_window_is_that_window() -> None:
    np.testing.assert_array_equal(RandomWindows([ramp(N_WINDOW)], N_WINDOW, 0).batch(0, 1)[0], [ramp(N_WINDOW)])


def test_every_window_is_of_the_clip_that_its_index_names() -> None:
    windows, indices = RandomWindows([np.full(20, i, np.int16) for i in range(9)], N_WINDOW, 0).batch(2, 30)
    np.testing.assert_array_equal(windows, np.repeat(indices[:, None], N_WINDOW, axis=1))


def test_a_batch_may_be_larger_than_the_corpus() -> None:
    windows, indices = RandomWindows([ramp(20)] * 3, N_WINDOW, 0).batch(1, 100)
    assert windows.shape == (100, N_WINDOW)
    assert np.bincount(indices).min() >= 32


def test_a_batch_does_not_change_the_clips(clips: list[Samples]) -> None:
    windows, _ = RandomWindows(clips, N_WINDOW, 0).batch(0, 20)
    windows[:] = 0
    np.testing.assert_array_equal(clips[3], ramp(100))


def test_no_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        RandomWindows([], N_WINDOW, 0)


# balanced

GROUPS = [0] * 90 + [1] * 7 + [2] * 3


@pytest.fixture
def balanced() -> RandomWindows:
    """Clips of a value each; three groups of 90, 7 and 3."""
    return RandomWindows([np.full(20, i, np.int16) for i in range(100)], N_WINDOW, 0, GROUPS)


@pytest.mark.parametrize(("n_rows", "n_steps"), [(3, 1), (30, 1), (7, 3), (1, 6)])
def test_every_group_has_equally_many_rows(balanced: RandomWindows, n_rows: int, n_steps: int) -> None:
    indices = np.concatenate([balanced.batch(step, n_rows)[1] for step in range(n_steps)])
    np.testing.assert_array_equal(np.bincount(np.array(GROUPS)[indices]), [len(indices) // 3] * 3)


def test_every_group_passes_over_its_clips_in_epochs(balanced: RandomWindows) -> None:
    indices = balanced.batch(0, 3 * 90)[1]
    np.testing.assert_array_equal(np.sort(indices[indices < 90]), np.arange(90))
    of_last = indices[indices >= 97].reshape(30, 3)
    np.testing.assert_array_equal(np.sort(of_last, axis=1), [[97, 98, 99]] * 30)
    assert len(np.unique(of_last, axis=0)) > 1


def test_groups_come_in_no_fixed_order(balanced: RandomWindows) -> None:
    groups = np.array(GROUPS)[balanced.batch(0, 300)[1]].reshape(100, 3)
    assert len(np.unique(groups, axis=0)) == 6


def test_one_group_is_no_group(clips: list[Samples]) -> None:
    plain, grouped = (RandomWindows(clips, N_WINDOW, 0, groups) for groups in (None, [5] * len(clips)))
    np.testing.assert_array_equal(plain.batch(3, 20)[0], grouped.batch(3, 20)[0])
