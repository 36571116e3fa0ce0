"""Windows at another speed: pitch and length change together, each window by itself."""

import math

import pytest
import torch
from torch import Tensor

from audiostride.data.speed import random_speed

N = 4096
HZ = 2 * math.pi / N  # a tone of k HZ has k periods in a window


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def tone(n_periods: float, n_rows: int = 1) -> Tensor:
    return torch.sin(n_periods * HZ * torch.arange(N)).expand(n_rows, -1)


def peak(waveform: Tensor) -> Tensor:
    """The strongest frequency of every row, in periods per window."""
    return torch.fft.rfft(waveform * torch.hann_window(N)).abs().argmax(1)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25])
def test_pitch_rises_with_the_speed(speed: float) -> None:
    assert peak(random_speed(tone(200, 4), speed, speed)).tolist() == pytest.approx([200 * speed] * 4, abs=1)


def test_a_slower_tone_is_that_tone_to_the_precision_of_the_cubic() -> None:
    played = random_speed(tone(40), 0.5, 0.5)[0]
    n = torch.arange(N)
    basis = torch.stack([torch.sin(20 * HZ * n), torch.cos(20 * HZ * n)], dim=1)
    fitted = basis @ torch.linalg.lstsq(basis, played[:, None]).solution
    assert (fitted[:, 0] - played)[3:-3].abs().max() < 1e-3  # the ends touch the zeros around the window


def test_a_faster_window_lies_whole_between_zeros() -> None:
    bursts = torch.zeros(100, N)
    bursts[:, 100:104], bursts[:, -104:-100] = 1, 1
    heard = random_speed(bursts, 2.0, 2.0) > 0.5
    first, last = heard.int().argmax(1), N - 1 - heard.flip(1).int().argmax(1)
    assert (last - first).float().mean().item() == pytest.approx((N - 202) / 2, abs=1)
    assert first.min() < 150
    assert last.max() > N - 150


def test_a_slower_window_shows_any_part() -> None:
    ramps = torch.arange(float(N)).expand(200, -1)
    played = random_speed(ramps, 0.5, 0.5)[:, N // 2]
    assert played.min() < 0.3 * N
    assert played.max() > 0.7 * N


def test_rows_have_speeds_of_their_own_within_the_range() -> None:
    speeds = peak(random_speed(tone(400, 300), 0.8, 1.25)) / 400
    assert speeds.min().item() == pytest.approx(0.8, abs=0.02)
    assert speeds.max().item() == pytest.approx(1.25, abs=0.02)
    assert (speeds < 1).float().mean().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("n_samples", [1, 2, 5, 200_000])
def test_a_speed_of_one_changes_nothing_whatever_the_length(n_samples: int) -> None:
    waveform = torch.randn(3, n_samples)
    torch.testing.assert_close(random_speed(waveform, 1.0, 1.0), waveform, rtol=0, atol=0)
