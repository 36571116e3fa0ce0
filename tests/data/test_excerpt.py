"""A part of a recording is cut out sample by sample."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.data.audio import BadAudioError
from audiostride.data.excerpt import wav_excerpt

RATE = 44100


def recorded(path: Path, subtype: str, n_channels: int = 2) -> np.ndarray:
    """Two seconds of noise; the samples that the file holds, from -1 to 1."""
    sf.write(path, np.random.default_rng(0).uniform(-0.9, 0.9, (2 * RATE, n_channels)), RATE, subtype=subtype)
    return sf.read(path, dtype="float64", always_2d=True)[0]


@pytest.mark.parametrize(
    ("ending", "subtype", "expected"),
    [
        ("wav", "PCM_U8", "PCM_16"),
        ("wav", "PCM_16", "PCM_16"),
        ("flac", "PCM_16", "PCM_16"),
        ("wav", "PCM_24", "PCM_24"),
        ("flac", "PCM_24", "PCM_24"),
    ],
)
def test_samples_rate_and_channels_are_those_of_the_recording(
    ending: str, subtype: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{ending}"
    samples = recorded(path, subtype)
    content = wav_excerpt(path, 0.5, 1.25)
    assert (sf.info(io.BytesIO(content)).samplerate, sf.info(io.BytesIO(content)).subtype) == (RATE, expected)
    found = sf.read(io.BytesIO(content), dtype="float64")[0]
    np.testing.assert_array_equal(found, samples[RATE // 2 : RATE // 2 + 3 * RATE // 4])


@pytest.mark.parametrize(("subtype", "step"), [("FLOAT", 2.0**-23), ("PCM_32", 2.0**-23)])
def test_finer_samples_become_the_nearest_of_24_bits(subtype: str, step: float, tmp_path: Path) -> None:
    samples = recorded(tmp_path / "a.wav", subtype, 1)
    found = sf.read(io.BytesIO(wav_excerpt(tmp_path / "a.wav", 0, 2)), dtype="float64", always_2d=True)[0]
    np.testing.assert_allclose(found, samples, atol=step)


def test_a_recording_that_is_decoded_from_its_beginning_only(tmp_path: Path) -> None:
    samples = recorded(tmp_path / "a.au", "G723_24", 1)
    with sf.SoundFile(tmp_path / "a.au") as file:
        assert not file.seekable()
    found = sf.read(io.BytesIO(wav_excerpt(tmp_path / "a.au", 0.5, 1)), dtype="float64", always_2d=True)[0]
    np.testing.assert_array_equal(found, samples[RATE // 2 : RATE])


def test_the_same_part_has_the_same_bytes(tmp_path: Path) -> None:
    recorded(tmp_path / "a.wav", "FLOAT")
    assert wav_excerpt(tmp_path / "a.wav", 0, 1) == wav_excerpt(tmp_path / "a.wav", 0, 1)


@pytest.mark.parametrize(("start_s", "end_s", "n_frames"), [(-1, 0.5, 22050), (1.5, 9, 22050), (2, 3, 1), (0, 0, 1)])
def test_a_part_ends_with_the_recording(start_s: float, end_s: float, n_frames: int, tmp_path: Path) -> None:
    recorded(tmp_path / "a.wav", "PCM_16")
    assert sf.info(io.BytesIO(wav_excerpt(tmp_path / "a.wav", start_s, end_s))).frames == n_frames


def test_values_beyond_full_scale_are_clipped(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.array([3.0, -3.0, 0.5]), 8000, subtype="FLOAT")
    found = sf.read(io.BytesIO(wav_excerpt(tmp_path / "a.wav", 0, 1)))[0]
    assert found.tolist() == [1 - 2.0**-23, -1, 0.5]


def test_what_is_no_recording_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no audio")
    with pytest.raises(BadAudioError, match="not audio"):
        wav_excerpt(tmp_path / "a.wav", 0, 1)
