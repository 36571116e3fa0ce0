"""The spectrum in use is that of the sounds, whatever noise lies below."""

import numpy as np
import pytest

from audiostride.drafts.spectrum import band_edges, clip_levels, occupied_spectrum
from tests.drafts.sounds import with_calls

WIDEST_BAND = 1.6  # of the edges of two bands, for the one beside the sound


@pytest.mark.parametrize(
    ("sample_rate", "call", "n_calls"),
    [
        pytest.param(256000, (60e3, 45e3, 0.005), 25, id="bat"),
        pytest.param(44100, (900, 1100, 0.2), 5, id="frog"),
        pytest.param(48000, (3000, 7000, 0.1), 8, id="bird"),
    ],
)
def test_calls_are_found_above_the_wind(sample_rate: int, call: tuple[float, float, float], n_calls: int) -> None:
    rng = np.random.default_rng(0)
    edges = band_edges(sample_rate / 2)
    clips = [clip_levels(with_calls(sample_rate, 2.0, call, n_calls, rng), sample_rate, edges) for _ in range(6)]
    found = occupied_spectrum({"calls": [clip for clip in clips if clip is not None]}, edges)
    lowest_hz, highest_hz = min(call[:2]), max(call[:2])
    assert found.is_found
    assert lowest_hz / WIDEST_BAND <= found.low_hz <= 1.1 * lowest_hz
    assert highest_hz / 1.1 <= found.high_hz <= WIDEST_BAND * highest_hz


def test_lasting_tones_are_found_by_the_difference_of_classes() -> None:
    rng = np.random.default_rng(0)
    edges, t = band_edges(8000), np.arange(32000) / 16000
    levels = {}
    for frequency_hz in (440, 1760):
        tones = (np.sin(2 * np.pi * frequency_hz * t) + 0.01 * rng.standard_normal(len(t)) for _ in range(4))
        levels[str(frequency_hz)] = [c for tone in tones if (c := clip_levels(tone.astype(np.float32), 16000, edges))]
    found = occupied_spectrum(levels, edges)
    assert 440 / WIDEST_BAND < found.low_hz <= 440
    assert 1760 <= found.high_hz < WIDEST_BAND * 1760


def test_in_noise_alone_nothing_is_found_and_all_is_kept() -> None:
    rng = np.random.default_rng(0)
    edges = band_edges(8000)
    clips = [clip_levels(rng.standard_normal(32000).astype(np.float32) / 10, 16000, edges) for _ in range(6)]
    found = occupied_spectrum({"noise": [clip for clip in clips if clip is not None]}, edges)
    assert not found.is_found
    assert found.high_hz == pytest.approx(8000)


def test_silence_says_nothing() -> None:
    assert clip_levels(np.zeros(16000, np.float32), 16000, band_edges(8000)) is None
    assert not occupied_spectrum({}, band_edges(8000)).is_found
