"""Cutting windows: the same from a file, from memory and on a device."""

from pathlib import Path

import numpy as np
import pytest
import torch

from audiostride.data.cutters import DeviceCutter, HostCutter
from audiostride.data.packed import Int16, PackedClip, PackedFile, Samples

LENGTHS = (5, 20, 1, 8)
N_WINDOW = 8


@pytest.fixture
def arrays() -> list[Int16]:
    return [np.random.default_rng(n).integers(1, 30000, n).astype(np.int16) for n in LENGTHS]


@pytest.fixture
def packed(tmp_path: Path, arrays: list[Int16]) -> list[PackedClip]:
    """The arrays one after another in a file."""
    np.concatenate(arrays).tofile(tmp_path / "samples.i16")
    file, ends = PackedFile(tmp_path / "samples.i16"), np.cumsum(LENGTHS)
    return [PackedClip(file, int(end) - n, n) for n, end in zip(LENGTHS, ends, strict=True)]


@pytest.mark.parametrize(
    "part", [slice(None), slice(2, 4), slice(-3, None), slice(3, 99), slice(4, 4), slice(50, 60)], ids=str
)
def test_a_slice_of_a_packed_clip_is_that_of_its_samples(
    packed: list[PackedClip], arrays: list[Int16], part: slice
) -> None:
    for clip, array in zip(packed, arrays, strict=True):
        np.testing.assert_array_equal(clip[part], array[part])


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (2, 99), (7, 8), (30, 40)])
def test_a_segment_of_a_packed_clip_is_that_of_its_samples(
    packed: list[PackedClip], arrays: list[Int16], start: int, stop: int
) -> None:
    segment = packed[1].segment(start, stop)
    assert len(segment) == len(arrays[1][start:stop])
    np.testing.assert_array_equal(segment[:], arrays[1][start:stop])


def test_a_file_cut_short_is_an_error_not_silence(packed: list[PackedClip]) -> None:
    with packed[0].file.path.open("r+b") as file:
        file.truncate(12)
    with pytest.raises(OSError, match=r"samples\.i16: cut short"):
        packed[1][:]


@pytest.mark.parametrize("start", [-9, -8, -3, 0, 1, 12, 19, 25])
@pytest.mark.parametrize("on_device", [False, True])
def test_a_window_is_its_part_of_the_clip_between_zeros(
    arrays: list[Int16], packed: list[PackedClip], start: int, on_device: bool
) -> None:
    padded = np.pad(arrays[1], (20, 40))
    cutter = DeviceCutter(packed, torch.device("cpu")) if on_device else HostCutter(packed)
    windows = cutter.cut(np.array([1, 1]), np.array([start, 0]), N_WINDOW)
    np.testing.assert_array_equal(windows[0], padded[20 + start : 28 + start])
    np.testing.assert_array_equal(windows[1], arrays[1][:N_WINDOW])
    assert windows.dtype == torch.int16


def test_all_cutters_agree(arrays: list[Int16], packed: list[PackedClip]) -> None:
    rng = np.random.default_rng(0)
    indices = rng.integers(0, len(arrays), 200)
    starts = rng.integers(-N_WINDOW, 25, 200)
    sequences: list[list[Samples]] = [[*arrays], [*packed]]
    cut = [HostCutter(clips).cut(indices, starts, N_WINDOW) for clips in sequences]
    cut += [DeviceCutter(clips, torch.device("cpu")).cut(indices, starts, N_WINDOW) for clips in sequences]
    assert all(torch.equal(windows, cut[0]) for windows in cut)
