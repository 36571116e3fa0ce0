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


def _print_from_c(text: bytes) -> None:
    library = ctypes.CDLL(None)
    stderr = ctypes.c_void_p.in_dll(library, "stderr")
    library.fputs(text, stderr)
    library.fflush(stderr)


def test_c_libraries_are_heard_again_after_the_last_block(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_decoders():
        with quiet_decoders():
            _print_from_c(b"within\n")
        _print_from_c(b"still within\n")
    _print_from_c(b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_python_is_heard_within(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_decoders():
        print("told", file=sys.stderr)
    assert capfd.readouterr().err == "told\n"
