"""Decoders written in C print nothing, and other C code still does."""

import ctypes
import io
import platform
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.data.audio import BadAudioError, read_blocks
from audiostride.data.quiet import quiet_decoders

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be kept quiet")


@pytest.fixture
def damaged_mp3(tmp_path: Path) -> Path:
    """An MP3 of which libmpg123 complains twice: a size that is none, and bytes that belong to no frame."""
    content = io.BytesIO()
    sf.write(content, np.random.default_rng(0).uniform(-0.5, 0.5, 44100), 22050, format="MP3")
    path = tmp_path / "damaged.mp3"
    path.write_bytes(content.getvalue()[:1000] + bytes(range(256)) * 4 + content.getvalue()[1500:])
    return path


def test_a_damaged_mp3_prints_nothing(damaged_mp3: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with suppress(BadAudioError):
        list(read_blocks(damaged_mp3, 16000))
    assert capfd.readouterr().err == ""


def test_a_damaged_sds_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Libsndfile tells on the standard output which packets do not begin as they should."""
    sf.write(tmp_path / "a.sds", np.zeros(4000), 16000)
    content = bytearray((tmp_path / "a.sds").read_bytes())
    content[148] ^= 1  # where the second packet begins
    (tmp_path / "a.sds").write_bytes(content)
    with suppress(BadAudioError):
        list(read_blocks(tmp_path / "a.sds", 16000))
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr().out == ""


def _print_from_c(text: bytes, stream: str) -> None:
    library = ctypes.CDLL(None)
    variable = ctypes.c_void_p.in_dll(library, stream)
    library.fputs(text, variable)
    library.fflush(variable)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_c_libraries_are_heard_again_after_the_last_block(stream: str, capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_decoders():
        with quiet_decoders():
            _print_from_c(b"within\n", stream)
        _print_from_c(b"still within\n", stream)
    _print_from_c(b"after\n", stream)
    assert "".join(capfd.readouterr()) == "after\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_python_is_heard_within(stream: str, capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_decoders():
        print("told", file=getattr(sys, stream), flush=True)
    assert "".join(capfd.readouterr()) == "told\n"
