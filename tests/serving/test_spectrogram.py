"""The picture shows where the sound is, however the stream is cut into blocks."""

import base64
from typing import Any

import numpy as np
import pytest

from audiostride.serving.spectrogram import N_BANDS, N_COLUMNS, Spectrogram


def shades(picture: dict[str, Any]) -> np.ndarray:
    content = np.frombuffer(base64.b64decode(picture["data"]), np.uint8)
    return content.reshape(picture["n_columns"], picture["n_bands"])


def picture_of(sound: np.ndarray, n_block: int) -> np.ndarray:
    collected = Spectrogram(len(sound), 16000)
    for start in range(0, len(sound), n_block):
        collected.add(sound[start : start + n_block].astype(np.float32))
    return shades(collected.finish())


def test_a_tone_is_in_its_band_as_long_as_it_sounds() -> None:
    t = np.arange(32000) / 16000
    picture = picture_of(np.sin(2 * np.pi * 1000 * t) * (t >= 1), 32000)
    assert picture.shape == (200, N_BANDS)
    mel = 2595 * np.log10(1 + np.array([1000, 8000]) / 700)
    assert picture[150].argmax() == pytest.approx(mel[0] / mel[1] * (N_BANDS + 1) - 1, abs=1)
    assert picture[:95].max() == 0
    assert picture[105:].max(axis=1).min() > 250


@pytest.mark.parametrize("n_block", [1, 77, 16000])
def test_blocks_do_not_show(n_block: int) -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 5000)
    pictures = [picture_of(sound, n).astype(int) for n in (n_block, len(sound))]
    np.testing.assert_allclose(*pictures, rtol=0, atol=1)  # a sum in another order may round to the next shade


def test_a_long_recording_has_no_more_columns() -> None:
    assert len(picture_of(np.random.default_rng(0).uniform(-1, 1, 16000 * 30), 16000)) == N_COLUMNS
