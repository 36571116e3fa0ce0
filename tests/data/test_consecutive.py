"""Consecutive windows depend on the samples alone."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiostride.data.consecutive import consecutive_windows

Samples = npt.NDArray[np.int16]
Waveform = npt.NDArray[np.float32]

N_WINDOW = 8


def ramp(n: int) -> Samples:
    """Samples that tell their position: 1, 2, 3 ..."""
    return np.arange(1, n + 1, dtype=np.int16)


def reference(samples: Waveform, n_window: int, n_hop: int) -> list[Waveform]:
    """The definition, with the whole recording at hand."""
    windows: list[Waveform] = []
    for start in range(0, max(1, len(samples)), n_hop):
        part = samples[start : start + n_window]
        if not windows or 2 * len(part) >= n_window:
            windows.append(np.pad(part, (0, n_window - len(part))))
        if start + n_window >= len(samples):
            break
    return windows


def cut(samples: Waveform, at: Sequence[int]) -> list[Waveform]:
    return np.split(samples, sorted(i for i in at if i <= len(samples)))


def check(samples: Waveform, blocks: list[Waveform], n_window: int, n_hop: int) -> None:
    found, expected = list(consecutive_windows(blocks, n_window, n_hop)), reference(samples, n_window, n_hop)
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n_hop", [1, 4, 5, 8, 12])
@pytest.mark.parametrize("n_window", [7, 8])
@pytest.mark.parametrize("n", [1, 3, 4, 8, 11, 12, 16, 29])
def test_windows_are_those_of_the_definition(n: int, n_window: int, n_hop: int) -> None:
    samples = ramp(n).astype(np.float32)
    check(samples, [samples], n_window, n_hop)


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(0, 60),
    n_window=st.integers(1, 20),
    n_hop=st.integers(1, 30),
    at=st.lists(st.integers(0, 60), max_size=8),
)
def test_windows_do_not_depend_on_the_blocks(n: int, n_window: int, n_hop: int, at: list[int]) -> None:
    samples = ramp(n).astype(np.float32)
    check(samples, cut(samples, at), n_window, n_hop)


@pytest.mark.parametrize(
    ("n", "n_hop", "expected"),
    [
        (3, 8, [(1, 3)]),
        (8, 8, [(1, 8)]),
        (11, 8, [(1, 8)]),
        (12, 8, [(1, 8), (9, 12)]),
        (16, 8, [(1, 8), (9, 16)]),
        (12, 4, [(1, 8), (5, 12)]),
        (13, 4, [(1, 8), (5, 12), (9, 13)]),
        (14, 2, [(1, 8), (3, 10), (5, 12), (7, 14)]),
        (15, 12, [(1, 8)]),
        (16, 12, [(1, 8), (13, 16)]),
        (10, 12, [(1, 8)]),
    ],
)
def test_windows_begin_and_end_where_they_should(n: int, n_hop: int, expected: list[tuple[int, int]]) -> None:
    windows = consecutive_windows([ramp(n).astype(np.float32)], N_WINDOW, n_hop)
    assert [(int(window[0]), int(window.max())) for window in windows] == expected


@pytest.mark.parametrize("blocks", [[], [np.zeros(0, np.float32)]], ids=["no blocks", "an empty block"])
def test_a_stream_without_samples_gives_one_window_of_zeros(blocks: list[Waveform]) -> None:
    np.testing.assert_array_equal(list(consecutive_windows(blocks, N_WINDOW, N_WINDOW)), [np.zeros(N_WINDOW)])


def test_windows_come_before_the_stream_ends() -> None:
    def endless() -> Iterator[Waveform]:
        while True:
            yield np.ones(5, np.float32)

    assert len(list(islice(consecutive_windows(endless(), N_WINDOW, 3), 1000))) == 1000


@pytest.mark.parametrize(("n_window", "n_hop"), [(0, 10), (10, 0)])
def test_empty_windows_and_hops_are_refused(n_window: int, n_hop: int) -> None:
    with pytest.raises(ValueError, match="at least 1 sample"):
        list(consecutive_windows([np.ones(20, np.float32)], n_window, n_hop))
