"""Damaged files of every format: the reason for the file, and no other error."""

import os
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.data.audio import BadAudioError, read_blocks
from audiostride.data.scan import scan_file

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
RATE = 16000


def content_of(name: str, folder: Path, n_samples: int = 12000) -> bytes:
    container, subtype = FORMATS[name]
    sound = 0.3 * np.random.default_rng(0).uniform(-1, 1, n_samples)
    sf.write(folder / "whole", sound, RATE, format=container, subtype=subtype)
    return (folder / "whole").read_bytes()


def decode(path: Path, start_s: float = 0.0) -> None:
    """Read to the end; warnings, which would reach the terminal, are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in read_blocks(path, RATE, start_s):
            pass


def reason(path: Path, start_s: float = 0.0) -> str:
    """Decode what may be damaged: the reason why it cannot be used, or "fine"; any other error fails the test."""
    try:
        decode(path, start_s)
    except BadAudioError as error:
        return str(error)
    return "fine"


@pytest.mark.parametrize("start_s", [0.0, 0.4])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_anywhere_has_a_reason(name: str, start_s: float, tmp_path: Path) -> None:
    content, path = content_of(name, tmp_path), tmp_path / "cut"
    rng = np.random.default_rng(len(content))
    for n_bytes in sorted({*range(0, 200, 3), *rng.integers(0, len(content), 30).tolist(), len(content) - 1}):
        path.write_bytes(content[:n_bytes])
        assert len(reason(path, start_s).splitlines()) == 1
        assert scan_file(path).path == path


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_with_other_bytes_has_a_reason_or_can_be_read(name: str, tmp_path: Path) -> None:
    content, path = content_of(name, tmp_path), tmp_path / "changed"
    rng = np.random.default_rng(1)
    for _ in range(80):
        changed = bytearray(content)
        for at in rng.integers(0, min(len(content), 400), 3):
            changed[at] = rng.integers(256)
        path.write_bytes(changed)
        assert reason(path)


@pytest.mark.parametrize("name", ["wav", "rf64", "w64", "au", "aiff", "caf", "flac"])
def test_a_file_that_lacks_its_end_is_called_truncated(name: str, tmp_path: Path) -> None:
    content = content_of(name, tmp_path)
    (tmp_path / "cut").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(BadAudioError, match=r"truncated|cannot be decoded|malformed"):
        decode(tmp_path / "cut")


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_file_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(content_of(name, tmp_path))
    decode(tmp_path / "whole")


def test_an_au_file_of_unknown_length_is_read(tmp_path: Path) -> None:
    content = bytearray(content_of("au", tmp_path))
    content[8:12] = struct.pack(">I", 0xFFFFFFFF)
    (tmp_path / "streamed").write_bytes(content)
    decode(tmp_path / "streamed")


def test_a_name_with_a_nul_is_no_file() -> None:
    with pytest.raises(BadAudioError, match="no such file"):
        decode(Path("a\0b.wav"))


def test_a_w64_chunk_beyond_all_files_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.w64"
    sf.write(path, np.zeros(100), 16000, format="W64")
    content = bytearray(path.read_bytes())
    content[56:64] = b"\xff" * 8  # the size of the first chunk
    path.write_bytes(content)
    with pytest.raises(BadAudioError):
        list(read_blocks(path, 16000))


@pytest.mark.parametrize("rate", [16000, 22050])
def test_samples_that_a_sum_would_not_hold_are_clipped(rate: int, tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    sf.write(path, np.tile([[3e38, 3e38], [-3e38, -3e38]], (1000, 1)), rate, subtype="FLOAT")
    samples = np.concatenate(list(read_blocks(path, 16000)))
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() == 1


def test_a_name_that_is_too_long_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadAudioError, match="no such file"):
        decode(tmp_path / ("a" * 300 + ".wav"))


@pytest.mark.parametrize(
    ("head", "chunk"),
    [(b"RIFF\0\0\0\0WAVE", b"\0" * 8), (b"riff" + b"\0" * 20 + b"wave" + b"\0" * 12, b"\0" * 16 + b"\x18" + b"\0" * 7)],
    ids=["wav", "w64"],
)
def test_the_search_for_the_chunk_of_samples_ends(
    head: bytes, chunk: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *args: reads.append(args) or pread(*args))  # type: ignore[func-returns-value]
    (tmp_path / "chunks").write_bytes(head + chunk * 50_000)
    with pytest.raises(BadAudioError):
        decode(tmp_path / "chunks")
    assert len(reads) < 2000
