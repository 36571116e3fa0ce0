"""Augmentation: every change does what it says, each window by itself."""

import pytest
import torch
from torch import Tensor

from audiostride.data.augmentation import Augmentation, add_background, draw_mix, random_gain, random_shift

CPU = torch.device("cpu")
N = 16000


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def tone(n_rows: int) -> Tensor:
    return torch.sin(torch.arange(N) / 5).expand(n_rows, -1)


# gain


def test_gains_cover_their_range_and_nothing_else() -> None:
    gains_db = 20 * (random_gain(tone(500), (-6.0, 10.0)) / tone(500))[:, 1].log10()
    assert -6 - 1e-3 < gains_db.min() < -5.5
    assert 9.5 < gains_db.max() < 10 + 1e-3


def test_a_gain_is_the_same_all_over_a_window() -> None:
    ratio = random_gain(tone(3), (-6.0, 6.0))[:, 1:] / tone(3)[:, 1:]
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))


# shift


def test_shifts_cover_their_range_and_nothing_else() -> None:
    pulses = torch.zeros(500, N)
    pulses[:, 8000] = 1
    at = random_shift(pulses, 3).argmax(1)
    assert sorted(set(at.tolist())) == list(range(7997, 8004))


def test_what_leaves_a_window_does_not_come_back() -> None:
    ramp = torch.arange(1.0, 11.0).expand(200, -1)
    expected = {
        tuple([0.0] * max(0, k) + [float(v) for v in range(max(1, 1 - k), min(10, 10 - k) + 1)] + [0.0] * max(0, -k))
        for k in range(-2, 3)
    }
    assert set(map(tuple, random_shift(ramp, 2).tolist())) == expected


# noise


def test_noise_keeps_to_its_range_of_ratios() -> None:
    added = add_background(tone(200), torch.randn(200, N), (10.0, 30.0)) - tone(200)
    ratios_db = 10 * (tone(200).square().sum(1) / added.square().sum(1)).log10()
    assert 10 - 1e-3 < ratios_db.min() < 11
    assert 29 < ratios_db.max() < 30 + 1e-3


def test_noise_is_that_of_its_row() -> None:
    noise = torch.randn(4, N)
    added = add_background(tone(4), noise, (0.0, 20.0)) - tone(4)
    correlation = torch.corrcoef(torch.cat([added, noise]))[:4, 4:]
    torch.testing.assert_close(correlation.diagonal(), torch.ones(4), rtol=0, atol=1e-4)


@pytest.mark.parametrize("windows", [torch.zeros(2, N), torch.ones(2, N)], ids=["silence", "sound"])
def test_silent_noise_changes_nothing(windows: Tensor) -> None:
    assert torch.equal(add_background(windows, torch.zeros(2, N), (0.0, 10.0)), windows)


def test_silence_stays_silent() -> None:
    assert (add_background(torch.zeros(2, N), torch.randn(2, N), (0.0, 10.0)) == 0).all()


def test_white_noise_is_white_and_of_no_other_window() -> None:
    added = Augmentation(noise_snr_db=(0.0, 0.0))(torch.ones(8, N)) - 1
    power = torch.fft.rfft(added).abs().square().mean(0)[1:-1]
    assert power[:4000].mean().item() == pytest.approx(power[4000:].mean().item(), rel=0.1)
    assert torch.corrcoef(added).triu(1).abs().max() < 0.05


# together


def test_by_default_nothing_changes() -> None:
    assert torch.equal(Augmentation()(tone(2), torch.randn(2, N)), tone(2))


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(speed=(1.1, 1.2)),
        Augmentation(shift=100),
        Augmentation(gain_db=(3.0, 6.0)),
        Augmentation(background_snr_db=(0.0, 0.0)),
        Augmentation(noise_snr_db=(0.0, 0.0)),
    ],
)
def test_each_change_can_be_had_alone(augmentation: Augmentation) -> None:
    assert not torch.equal(augmentation(tone(4), torch.randn(4, N)), tone(4))


def test_a_background_is_not_shifted_with_the_window() -> None:
    background = torch.zeros(50, N)
    background[:, 0] = 1
    augmented = Augmentation(shift=100, background_snr_db=(0.0, 0.0))(torch.ones(50, N), background)
    assert (augmented[:, 0] > 2).all()


# mixup


def test_rows_are_mixed_with_other_rows_of_their_source() -> None:
    partners = draw_mix((3, 4), 1.0, CPU).partners
    assert sorted(partners[:3].tolist()) == [0, 1, 2]
    assert sorted(partners[3:].tolist()) == [3, 4, 5, 6]
    assert (partners != torch.arange(7)).all()


def test_a_row_keeps_half_at_least() -> None:
    shares = draw_mix((1000,), 1.0, CPU).shares
    assert 0.5 <= shares.min() < 0.51
    assert 0.99 < shares.max() <= 1


def test_small_alpha_mixes_little() -> None:
    assert draw_mix((1000,), 0.1, CPU).shares.mean() > draw_mix((1000,), 10.0, CPU).shares.mean() + 0.2


def test_a_mixed_row_is_the_weighted_sum_of_two() -> None:
    mix, windows = draw_mix((4,), 1.0, CPU), torch.randn(4, 10)
    expected = [
        s * windows[i] + (1 - s) * windows[p] for i, (s, p) in enumerate(zip(mix.shares, mix.partners, strict=True))
    ]
    torch.testing.assert_close(mix(windows), torch.stack(expected))
