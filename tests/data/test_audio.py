"""Decoding: every format and rate to the same mono waveform, and a telling reason for what cannot be used."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf
import soxr

from audiostride.data.audio import BLOCK_S, BadAudioError, Waveform, read_blocks, to_int16

Signal = npt.NDArray[np.float64]

RATE = 16000
N_PER_BLOCK = int(BLOCK_S * RATE)
TONE_HZ, TONE_LEVEL = 440.0, 0.5

needs_mp3 = pytest.mark.skipif("MP3" not in sf.available_formats(), reason="libsndfile without MP3")


def tone(sample_rate: int = RATE, duration_s: float = 1.0) -> Signal:
    return TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ * np.arange(round(duration_s * sample_rate)) / sample_rate)


def noise(n: int, seed: int = 0) -> Signal:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, n)


def decode(path: Path, sample_rate: int = RATE, start_s: float = 0.0, duration_s: float | None = None) -> Waveform:
    return np.concatenate(list(read_blocks(path, sample_rate, start_s, duration_s)))


def level_at(waveform: Waveform, hz: float, sample_rate: int = RATE) -> float:
    """The amplitude of the component at `hz`."""
    taper = np.hanning(len(waveform))
    wave = np.exp(-2j * np.pi * hz * np.arange(len(waveform)) / sample_rate)
    return float(2 * abs((waveform * taper) @ wave) / taper.sum())


def peak_hz(waveform: Waveform, sample_rate: int = RATE) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum) * sample_rate / len(waveform))


def data_offset(wav: bytes) -> int:
    """Where the size of the data chunk stands."""
    return wav.index(b"data") + 4


# what can be read


@pytest.mark.parametrize(
    ("format_", "subtype", "rms_error"),
    [
        ("WAV", "PCM_U8", 5e-3),
        ("WAV", "PCM_16", 2e-5),
        ("WAV", "PCM_24", 1e-7),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "DOUBLE", 1e-7),
        ("RF64", "PCM_16", 2e-5),
        ("AIFF", "PCM_16", 2e-5),
        ("FLAC", "PCM_16", 2e-5),
        ("FLAC", "PCM_24", 1e-7),
        ("OGG", "VORBIS", 2e-2),
        pytest.param("MP3", "MPEG_LAYER_III", 2e-2, marks=needs_mp3),
    ],
)
def test_a_format_decodes_to_the_samples_written(tmp_path: Path, format_: str, subtype: str, rms_error: float) -> None:
    path = tmp_path / f"tone.{format_.lower()}"
    sf.write(path, tone(), RATE, format=format_, subtype=subtype)
    waveform = decode(path)
    assert len(waveform) == RATE
    assert np.sqrt(np.mean((waveform - tone()) ** 2)) < rms_error


def test_blocks_are_float32(tmp_path: Path) -> None:
    sf.write(tmp_path / "tone.wav", tone(), RATE)
    assert next(read_blocks(tmp_path / "tone.wav", RATE)).dtype == np.float32


@pytest.mark.parametrize("format_", ["WAV", "FLAC"])
@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_channels_are_averaged(tmp_path: Path, format_: str, n_channels: int) -> None:
    channels = np.stack([noise(1000, seed) for seed in range(n_channels)], axis=1)
    sf.write(tmp_path / "noise", channels, RATE, format=format_, subtype="PCM_24")
    np.testing.assert_allclose(decode(tmp_path / "noise"), channels.mean(axis=1), atol=1e-6)


def test_channels_are_averaged_before_resampling(tmp_path: Path) -> None:
    sf.write(tmp_path / "opposite.wav", np.stack([tone(44100), -tone(44100)], axis=1), 44100, subtype="FLOAT")
    np.testing.assert_allclose(decode(tmp_path / "opposite.wav"), 0, atol=1e-7)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100, 192000])
class TestRates:
    def test_a_tone_keeps_its_frequency(self, tmp_path: Path, sample_rate: int) -> None:
        sf.write(tmp_path / "tone.wav", tone(sample_rate, 2.0), sample_rate)
        assert peak_hz(decode(tmp_path / "tone.wav")) == pytest.approx(TONE_HZ, abs=0.5)

    def test_a_tone_keeps_its_level(self, tmp_path: Path, sample_rate: int) -> None:
        sf.write(tmp_path / "tone.wav", tone(sample_rate, 2.0), sample_rate)
        assert level_at(decode(tmp_path / "tone.wav"), TONE_HZ) == pytest.approx(TONE_LEVEL, rel=2e-3)

    @pytest.mark.parametrize("n", [4001, 50000])
    def test_the_length_is_kept_within_one_sample(self, tmp_path: Path, sample_rate: int, n: int) -> None:
        sf.write(tmp_path / "noise.wav", noise(n), sample_rate)
        assert abs(len(decode(tmp_path / "noise.wav")) - n * RATE / sample_rate) <= 1

    def test_blocks_joined_are_the_whole_resampled_at_once(self, tmp_path: Path, sample_rate: int) -> None:
        whole = noise(int(2.3 * BLOCK_S) * sample_rate).astype(np.float32)
        sf.write(tmp_path / "noise.wav", whole, sample_rate, subtype="FLOAT")
        expected = soxr.resample(whole, sample_rate, RATE)
        np.testing.assert_allclose(decode(tmp_path / "noise.wav"), expected, atol=1e-5)


def test_a_tone_above_half_the_rate_is_no_alias(tmp_path: Path) -> None:
    high = np.sin(2 * np.pi * 12000 * np.arange(44100) / 44100)
    sf.write(tmp_path / "high.wav", high * 0.5, 44100)
    assert np.abs(decode(tmp_path / "high.wav")[1000:-1000]).max() < 1e-3


@pytest.mark.parametrize("n", [1, RATE, N_PER_BLOCK, 2 * N_PER_BLOCK + 5])
def test_16_bits_at_the_same_rate_make_an_exact_round_trip(tmp_path: Path, n: int) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, n).astype(np.int16)
    sf.write(tmp_path / "noise.wav", samples, RATE, subtype="PCM_16")
    np.testing.assert_array_equal(to_int16(decode(tmp_path / "noise.wav")), samples)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.0, 32767), (2.5, 32767), (-1.0, -32768), (-9.0, -32768), (0.6 / 32768, 1), (-0.6 / 32768, -1), (0.0, 0)],
)
def test_16_bits_round_and_clip(value: float, expected: int) -> None:
    assert to_int16(np.array([value], np.float32))[0] == expected


def test_a_long_recording_comes_in_blocks(tmp_path: Path) -> None:
    sf.write(tmp_path / "noise.wav", noise(2 * N_PER_BLOCK + 5), RATE)
    lengths = [len(block) for block in read_blocks(tmp_path / "noise.wav", RATE)]
    assert lengths == [N_PER_BLOCK, N_PER_BLOCK, 5]


# segments


@pytest.mark.parametrize(
    ("start_s", "duration_s", "start", "stop"),
    [(0.0, 0.5, 0, 8000), (0.25, None, 4000, 16000), (0.25, 0.5, 4000, 12000), (0.5, 10.0, 8000, 16000)],
    ids=["begin", "to the end", "middle", "beyond the end"],
)
def test_a_segment_is_that_part_of_the_whole(
    tmp_path: Path, start_s: float, duration_s: float | None, start: int, stop: int
) -> None:
    sf.write(tmp_path / "noise.wav", noise(RATE), RATE)
    segment = decode(tmp_path / "noise.wav", RATE, start_s, duration_s)
    np.testing.assert_array_equal(segment, decode(tmp_path / "noise.wav")[start:stop])


@pytest.mark.parametrize("format_", ["FLAC", "OGG", pytest.param("MP3", marks=needs_mp3)])
def test_a_segment_of_a_compressed_recording_lies_where_it_should(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "noise"
    sf.write(path, noise(3 * RATE), RATE, format=format_)
    segment = decode(path, RATE, 1.5, 0.5)
    assert np.corrcoef(segment, decode(path)[24000:32000])[0, 1] > 0.999


def test_a_segment_of_a_resampled_recording_lies_where_it_should(tmp_path: Path) -> None:
    sf.write(tmp_path / "tone.wav", tone(44100, 2.0), 44100)
    segment, whole = decode(tmp_path / "tone.wav", RATE, 0.5, 1.0), decode(tmp_path / "tone.wav")
    assert len(segment) == RATE
    np.testing.assert_allclose(segment[500:-500], whole[8500:23500], atol=1e-3)


def test_a_segment_longer_than_a_block_is_whole(tmp_path: Path) -> None:
    sf.write(tmp_path / "noise.wav", noise(3 * N_PER_BLOCK), RATE)
    segment = decode(tmp_path / "noise.wav", RATE, 1.0, 1.5 * BLOCK_S)
    np.testing.assert_array_equal(segment, decode(tmp_path / "noise.wav")[RATE : RATE + 3 * N_PER_BLOCK // 2])


def test_the_shortest_segment_holds_a_sample(tmp_path: Path) -> None:
    sf.write(tmp_path / "noise.wav", noise(RATE), RATE)
    assert len(decode(tmp_path / "noise.wav", RATE, 0.5, 1e-6)) == 1


@pytest.mark.parametrize("start_s", [1.0, 1.5, 1e6])
def test_a_start_beyond_the_end_tells_where_the_end_is(tmp_path: Path, start_s: float) -> None:
    sf.write(tmp_path / "noise.wav", noise(RATE), RATE)
    with pytest.raises(BadAudioError, match=r"start_s=.* lies beyond its end at 1\.00 s"):
        decode(tmp_path / "noise.wav", RATE, start_s)


# what cannot be used


def cut(path: Path, sample_format: str, keep: float) -> None:
    sf.write(path, noise(4 * RATE), RATE, format=sample_format)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def header_only(path: Path, n_bytes: int) -> None:
    sf.write(path, noise(100), RATE)
    wav = path.read_bytes()
    path.write_bytes(wav[: data_offset(wav)] + struct.pack("<I", n_bytes))


def with_sample(path: Path, value: float) -> None:
    samples = noise(RATE)
    samples[4000] = value
    sf.write(path, samples, RATE, subtype="FLOAT")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "empty file"),
    "one byte": (lambda path: path.write_bytes(b"R"), "not audio"),
    "header only": (lambda path: header_only(path, 0), "without any samples"),
    "header that promises": (lambda path: header_only(path, 32000), "truncated|without any samples"),
    "truncated WAV": (lambda path: cut(path, "WAV", 0.5), "truncated.* promises 640.. more bytes"),
    "WAV without its last byte": (lambda path: cut(path, "WAV", 1 - 1e-6), "truncated.* promises 1 more bytes"),
    "truncated AIFF": (lambda path: cut(path, "AIFF", 0.5), "truncated"),
    "truncated RF64": (lambda path: cut(path, "RF64", 0.5), "truncated"),
    "truncated FLAC": (lambda path: cut(path, "FLAC", 0.5), "truncated|cannot be decoded"),
    "truncated OGG": (lambda path: cut(path, "OGG", 0.7), "truncated|cannot be decoded|malformed"),
    "text": (lambda path: path.write_text("not a sound\n" * 99), "not audio"),
    "NaN": (lambda path: with_sample(path, float("nan")), r"NaN or infinite sample at 0\.250 s"),
    "infinite": (lambda path: with_sample(path, float("inf")), r"NaN or infinite sample at 0\.250 s"),
    "directory": (lambda path: path.mkdir(), "^a folder$"),
    "absent": (lambda path: None, "^no such file$"),
    "link to nothing": (lambda path: path.symlink_to("nowhere"), "^a link without a target$"),
    "pipe": (lambda path: os.mkfifo(path), "^not a file$"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_recording_that_cannot_be_used_tells_why(tmp_path: Path, what: str) -> None:
    make, reason = BAD[what]
    make(tmp_path / "bad.wav")
    with pytest.raises(BadAudioError, match=reason):
        decode(tmp_path / "bad.wav")


@needs_mp3
@pytest.mark.parametrize("keep", [0.4, 0.8])
def test_a_truncated_mp3_tells_what_it_holds_and_what_it_promises(tmp_path: Path, keep: float) -> None:
    cut(tmp_path / "bad.mp3", "MP3", keep)
    with pytest.raises(BadAudioError, match=r"decodes to .* s of the 4\.00 s that the header promises"):
        decode(tmp_path / "bad.mp3")


@pytest.mark.parametrize("what", ["empty", "text", "truncated WAV", "NaN"])
def test_the_reason_leaves_the_path_to_the_caller(tmp_path: Path, what: str) -> None:
    BAD[what][0](tmp_path / "bad.wav")
    with pytest.raises(BadAudioError) as caught:
        decode(tmp_path / "bad.wav")
    assert "bad.wav" not in str(caught.value)


def test_a_bad_sample_after_the_first_block_is_found_at_its_time(tmp_path: Path) -> None:
    samples = np.zeros(N_PER_BLOCK + RATE)
    samples[N_PER_BLOCK + RATE // 2] = np.nan
    sf.write(tmp_path / "late.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(BadAudioError, match=f"at {BLOCK_S + 0.5:.3f} s"):
        decode(tmp_path / "late.wav")


def test_a_wav_that_was_streamed_is_whole(tmp_path: Path) -> None:
    sf.write(tmp_path / "noise.wav", noise(RATE), RATE)
    wav = (tmp_path / "noise.wav").read_bytes()
    at, unknown = data_offset(wav), struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "streamed.wav").write_bytes(wav[:4] + unknown + wav[8:at] + unknown + wav[at + 4 :])
    np.testing.assert_array_equal(decode(tmp_path / "streamed.wav"), decode(tmp_path / "noise.wav"))


def with_chunk(path: Path, size: int) -> bytes:
    """A WAV of noise with another chunk before the data; chunks are padded to even sizes."""
    sf.write(path, noise(RATE), RATE)
    wav = path.read_bytes()
    at = data_offset(wav) - 4
    chunk = b"note" + struct.pack("<I", size) + b"x" * (size + size % 2)
    return wav[:4] + struct.pack("<I", len(wav) + len(chunk) - 8) + wav[8:at] + chunk + wav[at:]


@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_a_chunk_before_the_data_is_passed_over(tmp_path: Path, size: int) -> None:
    (tmp_path / "note.wav").write_bytes(with_chunk(tmp_path / "noise.wav", size))
    np.testing.assert_array_equal(decode(tmp_path / "note.wav"), decode(tmp_path / "noise.wav"))


@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_a_chunk_before_the_data_hides_no_truncation(tmp_path: Path, size: int) -> None:
    (tmp_path / "note.wav").write_bytes(with_chunk(tmp_path / "noise.wav", size)[:-1000])
    with pytest.raises(BadAudioError, match="promises 1000 more bytes"):
        decode(tmp_path / "note.wav")


def test_a_chunk_after_the_data_is_passed_over(tmp_path: Path) -> None:
    sf.write(tmp_path / "noise.wav", noise(RATE), RATE)
    wav = (tmp_path / "noise.wav").read_bytes()
    (tmp_path / "tail.wav").write_bytes(wav + b"note" + struct.pack("<I", 4) + b"tail")
    assert len(decode(tmp_path / "tail.wav")) == RATE


@pytest.mark.parametrize("n_missing", [1, 100])
def test_an_ogg_file_cut_inside_its_last_page_is_truncated(tmp_path: Path, n_missing: int) -> None:
    path = tmp_path / "a.ogg"
    sf.write(path, tone(duration_s=3.0), RATE, format="OGG", subtype="VORBIS")
    path.write_bytes(path.read_bytes()[:-n_missing])
    with pytest.raises(BadAudioError, match="truncated"):
        decode(path)


@pytest.mark.parametrize("sample_rate", [RATE, RATE // 2])
def test_values_beyond_full_scale_are_clipped(tmp_path: Path, sample_rate: int) -> None:
    sf.write(tmp_path / "loud.wav", 10 * tone(), RATE, subtype="FLOAT")
    waveform = decode(tmp_path / "loud.wav", sample_rate)
    assert (waveform.min(), waveform.max()) == (-1, 1)


@pytest.mark.parametrize("moment", ["open", "read"])
def test_an_error_of_the_system_is_no_fault_of_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    sf.write(tmp_path / "a.wav", tone(), RATE)

    def fail(*arguments: object, **options: object) -> None:
        raise sf.LibsndfileError(2)

    monkeypatch.setattr(sf.SoundFile, "__init__" if moment == "open" else "read", fail)
    monkeypatch.setattr(sf.SoundFile, "__del__", lambda file: None)
    with pytest.raises(OSError, match="cannot be read") as caught:
        decode(tmp_path / "a.wav")
    assert caught.value.filename == str(tmp_path / "a.wav")


def test_a_recording_without_rights_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sf.write(tmp_path / "a.wav", tone(), RATE)

    def refuse(path: Path, *arguments: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        decode(tmp_path / "a.wav")
