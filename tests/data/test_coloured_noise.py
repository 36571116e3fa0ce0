"""Coloured noise: its spectrum and its level, and that old settings draw the same numbers as before."""

import math

import pytest
import torch
from torch import Tensor

from audiostride.data.augmentation import Augmentation, add_background, random_gain, random_shift
from audiostride.data.coloured_noise import EXPONENTS, coloured_noise, draw_rows, replace_by_noise
from audiostride.vocabulary import NoiseColour

N = 16000
COLOURS: tuple[NoiseColour, ...] = ("white", "pink", "brown")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def slopes(noise: Tensor) -> Tensor:
    """Fit the logarithm of every row's periodogram by that of the frequency: `(batch,)`, exponents of f."""
    log_power = torch.fft.rfft(noise.double()).abs().square()[:, 1:-1].log()
    log_frequency = torch.arange(1, log_power.shape[1] + 1).double().log()
    log_frequency -= log_frequency.mean()
    return log_power @ log_frequency / log_frequency.square().sum()


def levels_db(waveform: Tensor) -> Tensor:
    """Root mean square of every row in dB of full scale."""
    return 10 * waveform.square().mean(1).log10()


# spectrum


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("n_samples", [N, N + 1], ids=["even", "odd"])
def test_the_density_of_power_falls_as_the_colour_says(colour: NoiseColour, n_samples: int) -> None:
    found = slopes(coloured_noise(torch.zeros(40, n_samples), (colour,)))
    assert found.mean().item() == pytest.approx(-EXPONENTS[colour], abs=0.02)
    assert (found + EXPONENTS[colour]).abs().max() < 0.1


@pytest.mark.parametrize(("colour", "octave_db"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_an_octave_up_the_density_is_lower_by_so_many_decibels(colour: NoiseColour, octave_db: float) -> None:
    density = torch.fft.rfft(coloured_noise(torch.zeros(200, N), (colour,))).abs().square().mean(0)
    fall_db = 10 * (density[4000:4100].mean() / density[2000:2050].mean()).log10()
    assert fall_db.item() == pytest.approx(octave_db, abs=0.3)


def test_every_row_draws_one_of_the_colours_about_equally_often() -> None:
    counts = slopes(coloured_noise(torch.zeros(300, N), COLOURS)).round().long().neg().bincount(minlength=3)
    assert counts.sum() == 300
    assert counts.min() > 70


def test_no_row_draws_another_colour() -> None:
    found = slopes(coloured_noise(torch.zeros(60, N), ("brown", "white"))).round().neg()
    assert set(found.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("colour", COLOURS)
def test_the_power_of_a_row_is_one_on_average(colour: NoiseColour) -> None:
    assert coloured_noise(torch.zeros(1000, N), (colour,)).square().mean().item() == pytest.approx(1, abs=0.1)


def test_rows_are_independent() -> None:
    noise = coloured_noise(torch.zeros(8, N), ("pink",))
    assert torch.corrcoef(noise).triu(1).abs().max() < 0.3


def test_a_seed_gives_the_same_noise_again() -> None:
    first = coloured_noise(torch.zeros(8, N), COLOURS)
    torch.manual_seed(0)
    assert torch.equal(coloured_noise(torch.zeros(8, N), COLOURS), first)


# added to windows


def test_old_settings_draw_the_same_numbers_as_before() -> None:
    windows, background = torch.sin(torch.arange(N) / 5).expand(8, -1), torch.ones(8, N)
    augmentation = Augmentation(100, (-6.0, 6.0), (0.0, 20.0), (5.0, 50.0))
    torch.manual_seed(1)
    augmented = augmentation(windows, background)
    torch.manual_seed(1)
    expected = random_gain(random_shift(windows, 100), (-6.0, 6.0))
    expected = add_background(expected, background, (0.0, 20.0))
    expected = add_background(expected, torch.randn(8, N), (5.0, 50.0))
    assert torch.equal(augmented, expected)
    assert torch.equal(torch.rand(4), _after_drawing(windows, background))


def _after_drawing(windows: Tensor, background: Tensor) -> Tensor:
    """What the generator gives after the draws of before."""
    torch.manual_seed(1)
    changed = add_background(random_gain(random_shift(windows, 100), (-6.0, 6.0)), background, (0.0, 20.0))
    add_background(changed, torch.randn(8, N), (5.0, 50.0))
    return torch.rand(4)


@pytest.mark.parametrize("colour", COLOURS)
def test_noise_of_a_colour_is_added_at_its_ratio(colour: NoiseColour) -> None:
    windows = torch.sin(torch.arange(N) / 5).expand(20, -1)
    added = Augmentation(noise_snr_db=(10.0, 10.0), noise_colours=(colour,))(windows) - windows
    torch.testing.assert_close(levels_db(windows) - levels_db(added), torch.full((20,), 10.0), rtol=0, atol=1e-3)
    assert slopes(added).mean().item() == pytest.approx(-EXPONENTS[colour], abs=0.05)


# in place of windows


def test_the_rows_that_are_named_become_noise_and_no_others() -> None:
    windows, rows = torch.full((6, N), 2.0), torch.tensor([True, False, True, False, False, True])
    replaced = replace_by_noise(windows, rows, COLOURS)
    assert torch.equal(replaced[~rows], windows[~rows])
    assert (replaced[rows] != 2).all()
    assert torch.equal(windows, torch.full((6, N), 2.0))


def test_nothing_is_drawn_where_no_row_is_named() -> None:
    windows = torch.ones(3, N)
    assert torch.equal(replace_by_noise(windows, torch.zeros(3, dtype=torch.bool), COLOURS), windows)
    drawn = torch.rand(2)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(2), drawn)


@pytest.mark.parametrize("colour", COLOURS)
def test_levels_cover_their_range_evenly(colour: NoiseColour) -> None:
    noise = replace_by_noise(torch.zeros(600, 2000), torch.ones(600, dtype=torch.bool), (colour,), (-80.0, -20.0))
    found = levels_db(noise)
    assert -80 - 1e-3 < found.min() < -78
    assert -22 < found.max() < -20 + 1e-3
    assert found.mean().item() == pytest.approx(-50, abs=3)


def test_by_default_noise_is_of_any_level_and_never_beyond_full_scale() -> None:
    noise = replace_by_noise(torch.zeros(600, 2000), torch.ones(600, dtype=torch.bool), COLOURS)
    found = levels_db(noise)
    assert -80 - 1e-3 < found.min() < -78
    assert -6 < found.max() < 0
    assert noise.abs().max() == 1
    assert set(slopes(noise[found < -30]).round().tolist()) == {0.0, -1.0, -2.0}


def test_a_window_at_full_scale_is_clipped_at_one() -> None:
    noise = replace_by_noise(torch.zeros(1, N), torch.tensor([True]), level_db=(0.0, 0.0))
    assert noise.abs().max() == 1
    share = (noise.abs() == 1).float().mean().item()
    assert share == pytest.approx(math.erfc(1 / math.sqrt(2)), abs=0.02)  # of a normal distribution beyond 1


def test_a_share_of_the_rows_is_chosen_and_no_others() -> None:
    rows = torch.arange(4000) % 2 == 0
    chosen = draw_rows(rows, 0.25)
    assert not (chosen & ~rows).any()
    assert chosen.sum().item() == pytest.approx(500, abs=80)
    assert not draw_rows(rows, 0.0).any()
