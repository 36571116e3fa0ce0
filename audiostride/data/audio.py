"""Decode a recording to mono at one sample rate, block by block, and say what is wrong with it."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

Waveform = npt.NDArray[np.float32]

BLOCK_S = 10.0
OGG_PAGE_MAX, OGG_END_OF_STREAM = 65307, 4
UNKNOWN_SIZE = 0xFFFFFFFF  # what a program writes that streams a WAV and never comes back to its header


class BadAudioError(Exception):
    """A recording that cannot be used; the message is the reason without the path."""


def _missing_bytes(path: Path) -> int:
    """How many bytes of audio a WAV, RF64 or AIFF header promises beyond the end of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        form = file.read(12)
        order = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">", b"FORM": ">"}.get(form[:4])
        if order is None:
            return 0
        long_size = None
        while len(header := file.read(8)) == 8:
            name, n_bytes = struct.unpack(order + "4sI", header)
            if name == b"ds64":  # the sizes that 32 bits do not hold: of the form, then of the data
                long_size = struct.unpack("<QQ", file.read(16))[1]
                n_bytes -= 16
            if name in (b"data", b"SSND"):
                promised = long_size if n_bytes == UNKNOWN_SIZE else n_bytes
                return 0 if promised is None else max(0, file.tell() + promised - size)
            file.seek(n_bytes + n_bytes % 2, 1)  # chunks are padded to even sizes
    return 0


def _lacks_ogg_end(path: Path) -> bool:
    """Whether the last page of an Ogg file is not marked as the last: its header promises no length."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, path.stat().st_size - OGG_PAGE_MAX))
        tail = file.read()
    last_page = tail.rfind(b"OggS\0")
    return last_page < 0 or not tail[last_page + 5 : last_page + 6] or not tail[last_page + 5] & OGG_END_OF_STREAM


def _open(path: Path) -> sf.SoundFile:
    if not path.is_file():
        raise BadAudioError("not a file")
    if path.stat().st_size == 0:
        raise BadAudioError("empty file (0 bytes)")
    try:
        file = sf.SoundFile(path)
    except sf.LibsndfileError as error:
        raise BadAudioError(f"not audio that libsndfile can read ({error.error_string})") from error
    if file.frames == 0:
        file.close()
        raise BadAudioError("a header without any samples")
    if n_missing := _missing_bytes(path):
        file.close()
        raise BadAudioError(f"truncated: the header promises {n_missing} more bytes than the file holds")
    if _lacks_ogg_end(path):
        file.close()
        raise BadAudioError("truncated: its last Ogg page is not marked as the end of the stream")
    return file


def _read_blocks(file: sf.SoundFile, n_frames: int) -> Iterator[Waveform]:
    """Mono blocks of `n_frames` frames from where `file` stands, each checked."""
    n_left, n_per_block = n_frames, int(BLOCK_S * file.samplerate)
    while n_left > 0:
        position = n_frames - n_left
        try:
            block = file.read(min(n_left, n_per_block), dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            raise BadAudioError(
                f"cannot be decoded after {position / file.samplerate:.2f} s ({error.error_string})"
            ) from error
        if len(block) == 0:
            raise BadAudioError(
                f"truncated: decodes to {position / file.samplerate:.2f} s of the "
                f"{n_frames / file.samplerate:.2f} s that the header promises"
            )
        if not np.isfinite(block).all():
            frame = position + int(np.argmin(np.isfinite(block).all(axis=1)))
            raise BadAudioError(f"NaN or infinite sample at {frame / file.samplerate:.3f} s")
        n_left -= len(block)
        yield block.mean(axis=1, dtype=np.float32)


def read_blocks(
    path: Path, sample_rate: int, start_s: float = 0.0, duration_s: float | None = None
) -> Iterator[Waveform]:
    """Yield a recording as mono blocks of up to `BLOCK_S` seconds at `sample_rate`, in constant memory.

    Any format, rate and number of channels that libsndfile reads; channels are averaged, rates
    converted with soxr.

    Args:
        path: the recording.
        sample_rate: Hz of the output.
        start_s: where the segment begins.
        duration_s: its length; cut at the end of the recording, which None also means.

    Raises:
        BadAudioError: empty, not audio, truncated, NaN samples, or a segment outside the recording.
            A truncated or damaged recording may raise only after some blocks.
    """
    with _open(path) as file:
        start = round(start_s * file.samplerate)
        if start >= file.frames:
            raise BadAudioError(f"start_s={start_s:g} lies beyond its end at {file.frames / file.samplerate:.2f} s")
        n_frames = file.frames - start
        if duration_s is not None:
            n_frames = min(n_frames, max(1, round(duration_s * file.samplerate)))
        if n_frames * sample_rate < file.samplerate:
            raise BadAudioError(f"shorter than one sample at {sample_rate} Hz")
        file.seek(start)
        blocks = _read_blocks(file, n_frames)
        if file.samplerate == sample_rate:
            yield from blocks
            return
        resampler = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
        for block in blocks:
            yield resampler.resample_chunk(block)
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def to_int16(waveform: Waveform) -> npt.NDArray[np.int16]:
    """Round to 16 bits; exact for samples that were 16 bits before, values beyond full scale clip."""
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)
