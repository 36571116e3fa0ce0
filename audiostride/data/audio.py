"""Decode a recording to mono at one sample rate, block by block, and say what is wrong with it."""

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from audiostride.data.quiet import quiet_decoders

Waveform = npt.NDArray[np.float32]

BLOCK_S = 10.0
MAX_BLOCK = 2**24  # samples of all channels, whatever rate a header gives
LOUDEST = np.float32(1e18)  # of a sample: the sums of channels and of resampling stay finite
N_CHUNKS_MAX = 1000  # before that of the samples; a file of zeros would have millions
FORM_HEADER = 12  # bytes before the first chunk of a WAV or AIFF
OGG_PAGE_MAX, OGG_HEADER, OGG_END_OF_STREAM = 65307, 27, 4
SF_ERR_SYSTEM = 2  # libsndfile's code for an error of the operating system
UNKNOWN_SIZE = 0xFFFFFFFF  # what a program writes that streams a WAV and never comes back to its header


class BadAudioError(Exception):
    """A recording that cannot be used; the message is the reason without the path."""


class NotAudioError(BadAudioError):
    """A file in no format that libsndfile reads."""


def recording_endings() -> set[str]:
    """Give the endings, in small letters, of the formats that libsndfile reads."""
    return {f".{name.lower()}" for name in sf.available_formats()} | {".aif", ".oga", ".opus", ".wave"}


def named_as_recordings(folder: Path) -> list[Path]:
    """List what is named as a recording below `folder`, sorted: by its ending.

    It may be a link without a target, or a pipe. Links to folders are not followed.
    """
    endings = recording_endings()
    files = (path for path in folder.rglob("*") if path.suffix.lower() in endings and not path.name.startswith("."))
    return sorted(path for path in files if not path.is_dir())


def count_others(folder: Path) -> int:
    """Count the files below `folder` that are not named as recordings; hidden ones do not count."""
    endings = recording_endings()
    others = (path for path in folder.rglob("*") if path.suffix.lower() not in endings)
    return sum(path.is_file() and not path.name.startswith(".") for path in others)


def find_recordings(folder: Path) -> list[Path]:
    """Give the files among `named_as_recordings`."""
    return [path for path in named_as_recordings(folder) if path.is_file()]


def _missing_bytes(descriptor: int, head: bytes, size: int) -> int:
    """Say how many bytes of audio a WAV, RF64 or AIFF header promises beyond the end of the file."""

    def read(n_bytes: int, at: int) -> bytes:
        return head[at : at + n_bytes] if at + n_bytes <= len(head) else os.pread(descriptor, n_bytes, at)

    order = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">", b"FORM": ">"}.get(head[:4])
    if order is None:
        return 0
    at, long_size = FORM_HEADER, None
    for _ in range(N_CHUNKS_MAX):
        if len(header := read(8, at)) < 8:
            break
        name, n_bytes = struct.unpack(order + "4sI", header)
        at += len(header)
        if name == b"ds64":  # the sizes that 32 bits do not hold: of the form, then of the data
            long_size = struct.unpack("<QQ", read(16, at))[1]
        if name in (b"data", b"SSND"):
            promised = long_size if n_bytes == UNKNOWN_SIZE else n_bytes
            return 0 if promised is None else max(0, at + promised - size)
        at += n_bytes + n_bytes % 2  # chunks are padded to even sizes
    return 0


def _lacks_ogg_end(descriptor: int, head: bytes, size: int) -> bool:
    """Tell whether an Ogg file lacks its end: no header promises its length, but the last page is marked as such."""
    if head[:4] != b"OggS":
        return False
    tail = os.pread(descriptor, OGG_PAGE_MAX, max(0, size - OGG_PAGE_MAX))
    page = tail[max(0, tail.rfind(b"OggS\0")) :]
    if len(page) < OGG_HEADER or not page[5] & OGG_END_OF_STREAM:
        return True
    body = OGG_HEADER + page[OGG_HEADER - 1]  # the header ends with the number of segments, their sizes follow
    return len(page) < body + sum(page[OGG_HEADER:body])


def _missing_w64(descriptor: int, head: bytes, size: int) -> int:
    """Count the bytes of audio that a Sony Wave64 header promises beyond the end of the file."""
    if head[:4] != b"riff" or head[24:28] != b"wave":
        return 0
    at = 40  # behind the identifier and the size of the file, and its kind
    for _ in range(N_CHUNKS_MAX):
        if at >= size or len(header := os.pread(descriptor, 24, at)) < 24:
            break
        n_bytes = int.from_bytes(header[16:], "little")  # with the 24 bytes of this header
        if header[:4] == b"data":
            return max(0, at + n_bytes - size)
        if n_bytes < 24:
            return 0
        at += n_bytes + -n_bytes % 8  # chunks begin at multiples of 8
    return 0


def _missing_au(head: bytes, size: int) -> int:
    """Count the bytes of audio that a Sun AU header promises beyond the end of the file."""
    order: Literal["big", "little"] | None = {b".snd": "big", b"dns.": "little"}.get(head[:4])  # type: ignore[assignment]
    if order is None or len(head) < 12:
        return 0
    start, n_bytes = (int.from_bytes(head[i : i + 4], order) for i in (4, 8))
    return 0 if n_bytes == UNKNOWN_SIZE else max(0, start + n_bytes - size)


def _truncation(descriptor: int) -> str | None:
    """Give what is missing by the container's own account, if anything; BadAudioError for an empty file or none."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise BadAudioError("a folder" if stat.S_ISDIR(status.st_mode) else "not a file")
    if status.st_size == 0:
        raise BadAudioError("empty file (0 bytes)")
    head = os.pread(descriptor, 4096, 0)
    try:
        n_missing = _missing_bytes(descriptor, head, status.st_size)
    except struct.error:
        return "truncated within its header"
    n_missing = n_missing or _missing_w64(descriptor, head, status.st_size) or _missing_au(head, status.st_size)
    if n_missing:
        return f"truncated: the header promises {n_missing} more bytes than the file holds"
    if _lacks_ogg_end(descriptor, head, status.st_size):
        return "truncated: its last Ogg page is not marked as the end of the stream, or not whole"
    return None


def _raise_system_error(error: sf.LibsndfileError, path: Path) -> None:
    """Raise OSError if the operating system is to blame, which is no fault of the recording."""
    if error.code == SF_ERR_SYSTEM:
        raise OSError(errno.EIO, "cannot be read", str(path)) from error


@contextmanager
def _decoding(path: Path, what: Callable[[], str]) -> Iterator[None]:
    """Turn every failure of the decoder into the reason for this file: the one place that knows what it raises.

    Args:
        what: says what fails.
    """
    try:
        yield
    except sf.LibsndfileError as error:
        _raise_system_error(error, path)
        raise BadAudioError(f"{what()} ({error.error_string})") from error
    except (RuntimeError, ValueError, TypeError, AssertionError, MemoryError, struct.error) as error:
        raise BadAudioError(f"{what()} ({error})") from error


def _sound_file(descriptor: int, path: Path) -> sf.SoundFile:
    """Open a file with libsndfile, or say why it cannot."""
    try:
        return sf.SoundFile(descriptor, closefd=False)
    except sf.LibsndfileError as error:
        _raise_system_error(error, path)
        raise NotAudioError(f"not audio that libsndfile can read ({error.error_string})") from error
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise NotAudioError(f"not audio that libsndfile can read ({error})") from error


def why_not_there(path: Path) -> str:
    """Say why a path leads to no recording."""
    if os.path.exists(path):
        return "not a file"
    return "a link without a target" if os.path.islink(path) else "no such file"


@contextmanager
def open_audio(path: Path) -> Iterator[sf.SoundFile]:
    """Give a recording whose header and size agree, open.

    Raises:
        BadAudioError: no recording, or one that is shorter than its header says. OSError: it cannot be read.
    """
    try:  # an OSError says why, where libsndfile says "System error"; a pipe is not waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:  # a ValueError for a name with a NUL
        if os.path.isfile(path):  # which is false as well for a name that is too long
            raise
        raise BadAudioError(why_not_there(path)) from error
    try:
        problem = _truncation(descriptor)
        with quiet_decoders(), _sound_file(descriptor, path) as file:
            if problem is None and file.frames <= 0:
                problem = "a header without any samples"
            if problem is None and file.samplerate < 1:
                problem = f"a header that says {file.samplerate} samples a second"
            if problem is not None:
                raise BadAudioError(problem)
            yield file
    finally:
        os.close(descriptor)


def read_channels(file: sf.SoundFile, n_frames: int, path: Path) -> Iterator[Waveform]:
    """Yield blocks `(time, channel)` of `n_frames` frames from where `file` stands, at its own rate.

    Raises:
        BadAudioError: fewer frames than that, or a sample that is no finite number. OSError: it cannot be read.
    """
    n_left, n_per_block = n_frames, max(1, min(int(BLOCK_S * file.samplerate), MAX_BLOCK // file.channels))
    while n_left > 0:
        position = n_frames - n_left
        with _decoding(path, lambda at=position / file.samplerate: f"cannot be decoded after {at:.2f} s"):  # type: ignore[misc]
            block = file.read(min(n_left, n_per_block), dtype="float32", always_2d=True)
        if len(block) == 0:
            raise BadAudioError(
                f"truncated: decodes to {position / file.samplerate:.2f} s of the "
                f"{n_frames / file.samplerate:.2f} s that the header promises"
            )
        with np.errstate(all="ignore"):  # damaged samples may overflow, and are named below
            energy = np.vdot(block, block)
        if not np.isfinite(energy):  # which is fast to find
            finite = np.isfinite(block).all(axis=1)
            if not finite.all():
                frame = position + int(np.argmin(finite))
                raise BadAudioError(f"NaN or infinite sample at {frame / file.samplerate:.3f} s")
            block = block.clip(-LOUDEST, LOUDEST)
        n_left -= len(block)
        yield block


def read_blocks(
    path: Path, sample_rate: int, start_s: float = 0.0, duration_s: float | None = None
) -> Iterator[Waveform]:
    """Yield a recording as mono blocks of up to `BLOCK_S` seconds at `sample_rate`, in constant memory.

    Any format, rate and number of channels that libsndfile reads; channels are averaged, rates
    converted with soxr, values beyond full scale clipped to [-1, 1].

    Args:
        path: the recording.
        sample_rate: Hz of the output.
        start_s: where the segment begins.
        duration_s: its length; cut at the end of the recording, which None also means.

    Raises:
        BadAudioError: empty, not audio, truncated, NaN samples, or a segment outside the recording.
            A truncated or damaged recording may raise only after some blocks.
        OSError: the file cannot be read, whatever is in it.
    """
    with open_audio(path) as file:
        start = round(start_s * file.samplerate)
        if start >= file.frames:
            raise BadAudioError(f"start_s={start_s:g} lies beyond its end at {file.frames / file.samplerate:.2f} s")
        n_frames = file.frames - start
        if duration_s is not None:
            n_frames = min(n_frames, max(1, round(duration_s * file.samplerate)))
        if n_frames * sample_rate < file.samplerate:
            raise BadAudioError(f"shorter than one sample at {sample_rate} Hz")
        if start:
            with _decoding(path, lambda: f"cannot be decoded from {start_s:g} s"):
                file.seek(start)
        blocks = (
            block[:, 0] if file.channels == 1 else block.mean(axis=1, dtype=np.float32)
            for block in read_channels(file, n_frames, path)
        )
        yield from at_rate(blocks, file.samplerate, sample_rate)


def at_rate(blocks: Iterable[Waveform], rate_in: int, rate_out: int) -> Iterator[Waveform]:
    """Convert a mono stream from `rate_in` to `rate_out` Hz, block by block; values beyond full scale are clipped."""
    if rate_in == rate_out:
        yield from map(_clip, blocks)
        return
    resampler = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32")
    for block in blocks:
        yield _clip(resampler.resample_chunk(block))
    yield _clip(resampler.resample_chunk(np.zeros(0, np.float32), last=True))


def _clip(waveform: Waveform) -> Waveform:
    return np.clip(waveform, -1, 1)


def to_int16(waveform: Waveform) -> npt.NDArray[np.int16]:
    """Round to 16 bits; exact for samples that were 16 bits before, values beyond full scale clip."""
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)
