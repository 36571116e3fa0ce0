"""The packed cache: recordings decoded once into files of int16 samples.

A cache folder holds one pack per group of recordings. A pack is named by a hash of what is in it
(path, size, modification time of every recording, sample rate), written aside and moved into place
when whole: what carries its final name is right, and a recording that changed belongs to another pack.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from audiostride.data.audio import BadAudioError, read_blocks, to_int16
from audiostride.data.packed import PackedClip, PackedFile
from audiostride.errors import UserError

FORMAT = 1  # raise when decoding, resampling or the layout of a pack changes
N_FILES_PER_PACK = 64
STALE_S = 7 * 24 * 3600
N_PACKS_MAX = 256  # each holds an open file


def default_cache_dir() -> Path:
    """`$AUDIOSTRIDE_CACHE`, else the user's cache folder."""
    if folder := os.environ.get("AUDIOSTRIDE_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audiostride"


@dataclass(frozen=True)
class PackedAudio:
    """Decoded recordings: samples per path, and the reason for each path that could not be decoded."""

    samples: Mapping[Path, PackedClip]
    bad: Mapping[Path, str]
    sample_rate: int


def _group(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of about `N_FILES_PER_PACK`; a recording more or less changes one group alone."""
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


def _decode(path: Path, sample_rate: int, file: BinaryIO) -> int | str:
    """Append a recording to `file`: the samples written, or the reason for none.

    An error of the disk is neither: it ends the call, for it is no fault of the recording.
    """
    start = file.tell()
    try:
        for block in read_blocks(path, sample_rate):
            file.write(to_int16(block).tobytes())
    except BadAudioError as error:
        file.seek(start)
        file.truncate()
        return str(error)
    return (file.tell() - start) // 2


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


def _is_whole(folder: Path) -> bool:
    """Whether `folder` is a pack that nothing has cut short or taken away since."""
    try:
        entries: list[int | str] = json.loads((folder / "index.json").read_text())
        n_bytes = (folder / "samples.i16").stat().st_size
    except (OSError, ValueError):
        return False
    return n_bytes == 2 * sum(entry for entry in entries if isinstance(entry, int))


def _open_pack(group: Sequence[Path], folder: Path) -> tuple[dict[Path, PackedClip], dict[Path, str]]:
    entries: list[int | str] = json.loads((folder / "index.json").read_text())
    file = PackedFile(folder / "samples.i16")
    samples, bad, offset = {}, {}, 0
    for path, entry in zip(group, entries, strict=True):
        if isinstance(entry, str):
            bad[path] = entry
        else:
            samples[path] = PackedClip(file, offset, entry)
            offset += entry
    return samples, bad


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
        if time.time() - leftover.stat().st_mtime > STALE_S:
            shutil.rmtree(leftover, ignore_errors=True)
    groups = _group(paths)
    folders = [cache_dir / _pack_name(group, sample_rate) for group in groups]
    todo = [(group, folder) for group, folder in zip(groups, folders, strict=True) if not _is_whole(folder)]
    for _, folder in todo:
        shutil.rmtree(folder, ignore_errors=True)  # damaged, if there at all
    n_all, n_done = sum(len(group) for group, _ in todo), 0

    def on_file() -> None:
        nonlocal n_done
        if stopped:
            raise InterruptedError
        n_done += 1
        if on_progress is not None:
            on_progress(n_done, n_all)

    stopped = False
    with ThreadPoolExecutor(n_workers or os.cpu_count()) as pool:
        futures = [pool.submit(_write_pack, group, sample_rate, folder, on_file) for group, folder in todo]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stopped = True  # the threads end after the recording they are at
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    packs = [_open_pack(group, folder) for group, folder in zip(groups, folders, strict=True)]
    return PackedAudio(
        {path: data for samples, _ in packs for path, data in samples.items()},
        {path: reason for _, bad in packs for path, reason in bad.items()},
        sample_rate,
    )
