"""The packed cache: recordings decoded once into files of int16 samples.

A cache folder holds one pack per group of recordings. A pack is named by a hash of what is in it
(path, size, modification time of every recording, sample rate), written aside and moved into place
when whole: what carries its final name is right, and a recording that changed belongs to another pack.
The index holds a checksum per recording, and a pack that does not agree with it is decoded again.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from audiostride.data.audio import BadAudioError, read_blocks, to_int16
from audiostride.data.packed import PackedClip, PackedFile
from audiostride.errors import UserError

FORMAT = 2  # raise when decoding, resampling or the layout of a pack changes
N_FILES_PER_PACK = 64
STALE_S = 7 * 24 * 3600
N_PACKS_MAX = 256  # each holds an open file
CHUNK = 2**20  # bytes

Entry = tuple[int, int] | str  # samples and checksum of a recording, or the reason why it has none


def default_cache_dir() -> Path:
    """`$AUDIOSTRIDE_CACHE`, else the user's cache folder."""
    if folder := os.environ.get("AUDIOSTRIDE_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audiostride"


@dataclass(frozen=True)
class PackedAudio:
    """Decoded recordings.

    Attributes:
        samples: per path.
        bad: the reason for each path that could not be decoded.
        checksums: CRC-32 of the samples, per path.
        note: on recordings that were decoded again since the cache was damaged; None for none.
    """

    samples: Mapping[Path, PackedClip]
    bad: Mapping[Path, str]
    sample_rate: int
    checksums: Mapping[Path, int]
    note: str | None = None


def _group(paths: Iterable[Path]) -> list[list[Path]]:
    """Give groups of about `N_FILES_PER_PACK`; a recording more or less changes one group alone."""
    paths = sorted(set(paths))
    n_packs = 1
    while n_packs * N_FILES_PER_PACK < len(paths) and n_packs < N_PACKS_MAX:
        n_packs *= 2
    groups: list[list[Path]] = [[] for _ in range(n_packs)]
    for path in paths:
        groups[int(hashlib.sha256(os.fsencode(path)).hexdigest(), 16) % n_packs].append(path)
    return [group for group in groups if group]


def _pack_name(group: Sequence[Path], sample_rate: int) -> str:
    digest = hashlib.sha256(f"{FORMAT} {sample_rate}\n".encode())
    for path in group:
        stat = path.stat()
        digest.update(os.fsencode(path.absolute()) + f"\0{stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def _decode(path: Path, sample_rate: int, file: BinaryIO) -> Entry:
    """Append a recording to `file`: the samples written and their checksum, or the reason for none.

    An error of the disk is neither: it ends the call, for it is no fault of the recording.
    """
    start, crc = file.tell(), 0
    try:
        for block in read_blocks(path, sample_rate):
            content = to_int16(block).tobytes()
            crc = zlib.crc32(content, crc)
            file.write(content)
    except BadAudioError as error:
        file.seek(start)
        file.truncate()
        return str(error)
    return (file.tell() - start) // 2, crc


def _write_pack(group: Sequence[Path], sample_rate: int, folder: Path, on_file: Callable[[], None]) -> None:
    aside = Path(tempfile.mkdtemp(prefix="partial-", dir=folder.parent))
    try:
        with (aside / "samples.i16").open("wb") as file:
            entries = []
            for path in group:
                entries.append(_decode(path, sample_rate, file))
                on_file()
        (aside / "index.json").write_text(json.dumps(entries))
        try:
            aside.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process wrote the same pack meanwhile
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _read_index(folder: Path) -> list[Entry]:
    """Read what a pack holds of each recording: samples and checksum, or the reason for none."""
    content = json.loads((folder / "index.json").read_text())
    return [entry if isinstance(entry, str) else (int(entry[0]), int(entry[1])) for entry in content]


def _is_whole(folder: Path, n_recordings: int) -> bool:
    """Tell whether `folder` is a pack that nothing has cut short, taken away or changed since: every byte is read."""
    try:
        entries = _read_index(folder)
        if len(entries) != n_recordings:
            return False
        with (folder / "samples.i16").open("rb") as file:
            for entry in entries:
                if not isinstance(entry, str) and _checksum(file, 2 * entry[0]) != entry[1]:
                    return False
            return not file.read(1)
    except (OSError, ValueError, TypeError, IndexError):
        return False


def _checksum(file: BinaryIO, n_bytes: int) -> int | None:
    """Compute the checksum of the next bytes of a file; None where it ends before."""
    crc = 0
    while n_bytes > 0:
        content = file.read(min(n_bytes, CHUNK))
        if not content:
            return None
        crc, n_bytes = zlib.crc32(content, crc), n_bytes - len(content)
    return crc


def _open_pack(group: Sequence[Path], folder: Path) -> list[tuple[Path, PackedClip | str, int]]:
    """Open a pack: of every recording its samples and their checksum, or the reason for none."""
    file = PackedFile(folder / "samples.i16")
    opened: list[tuple[Path, PackedClip | str, int]] = []
    offset = 0
    for path, entry in zip(group, _read_index(folder), strict=True):
        if isinstance(entry, str):
            opened.append((path, entry, 0))
        else:
            opened.append((path, PackedClip(file, offset, entry[0]), entry[1]))
            offset += entry[0]
    return opened


def pack_audio(
    paths: Iterable[Path],
    sample_rate: int,
    cache_dir: Path | None = None,
    n_workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PackedAudio:
    """Decode what the cache does not hold yet, in parallel, and open all of it.

    Args:
        paths: existing recordings.
        sample_rate: Hz, of the packed samples.
        cache_dir: created if need be, by default `default_cache_dir()`.
        n_workers: decoding threads; by default one per processor.
        on_progress: called with the recordings done and in all, while some are decoded.

    Interrupted at any moment it leaves only whole packs; the next call goes on from there.
    """
    cache_dir = default_cache_dir() if cache_dir is None else cache_dir
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{cache_dir}: cannot be a folder for decoded audio ({error.strerror}); "
            "set data.cache_dir or AUDIOSTRIDE_CACHE to another one"
        ) from error
    for leftover in cache_dir.glob("partial-*"):  # of a process that was killed
        with suppress(FileNotFoundError):  # renamed meanwhile by the process that wrote it
            if time.time() - leftover.stat().st_mtime > STALE_S:
                shutil.rmtree(leftover, ignore_errors=True)
    groups = _group(paths)
    folders = [cache_dir / _pack_name(group, sample_rate) for group in groups]
    packs = dict(zip(folders, groups, strict=True))
    n_damaged = 0
    if _not_whole(packs, n_workers):
        with _sole_writer(cache_dir, folders):  # of several processes that want the same, one decodes
            todo = _not_whole(packs, n_workers)
            n_damaged = sum(len(group) for folder, group in todo.items() if folder.is_dir())
            _write_packs(todo, sample_rate, n_workers, on_progress)
    opened = [each for group, folder in zip(groups, folders, strict=True) for each in _open_pack(group, folder)]
    return PackedAudio(
        {path: content for path, content, _ in opened if not isinstance(content, str)},
        {path: content for path, content, _ in opened if isinstance(content, str)},
        sample_rate,
        {path: crc for path, content, crc in opened if not isinstance(content, str)},
        f"{n_damaged} recording(s) decoded again: their file in the cache was damaged" if n_damaged else None,
    )


def _not_whole(packs: Mapping[Path, Sequence[Path]], n_workers: int | None) -> dict[Path, Sequence[Path]]:
    """Find the packs, by folder, that are not there or damaged."""
    with ThreadPoolExecutor(n_workers or os.cpu_count()) as pool:
        whole = list(pool.map(_is_whole, packs, map(len, packs.values())))
    return {folder: group for (folder, group), is_whole in zip(packs.items(), whole, strict=True) if not is_whole}


@contextmanager
def _sole_writer(cache_dir: Path, folders: Sequence[Path]) -> Iterator[None]:
    """Hold the lock of a set of packs, which ends with the process however it ends."""
    name = hashlib.sha256("".join(folder.name for folder in folders).encode()).hexdigest()[:32]
    path = cache_dir / f"{name}.lock"
    with FileLock(path):
        try:
            yield
        finally:  # whoever waits for it finds all packs whole
            path.unlink(missing_ok=True)


def _write_packs(
    todo: Mapping[Path, Sequence[Path]],
    sample_rate: int,
    n_workers: int | None,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Decode groups of recordings into new packs, in parallel."""
    for folder in todo:
        shutil.rmtree(folder, ignore_errors=True)
    n_all, n_done = sum(map(len, todo.values())), 0

    def on_file() -> None:
        nonlocal n_done
        if stopped:
            raise InterruptedError
        n_done += 1
        if on_progress is not None:
            on_progress(n_done, n_all)

    stopped = False
    with ThreadPoolExecutor(n_workers or os.cpu_count()) as pool:
        futures = [pool.submit(_write_pack, group, sample_rate, folder, on_file) for folder, group in todo.items()]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stopped = True  # the threads end after the recording they are at
            pool.shutdown(wait=True, cancel_futures=True)
            raise
