"""Archives unpacked so that no file lands outside of a folder, and none by halves."""

import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, BinaryIO

from audiostride.errors import DataError

ASIDE = ".unpacking"  # in the folder that an archive is unpacked to; what an interrupted run left there is no data
CHUNK = 1 << 20

# what Python's readers raise for archives that are cut off, damaged or none
BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)


class ArchiveError(DataError):
    """An archive that is damaged, or that would write outside of its folder."""


@dataclass(frozen=True)
class _Member:
    name: str
    is_file: bool
    is_folder: bool
    open: Callable[[], IO[bytes] | None]


def _tar_members(file: BinaryIO, reserve: Callable[[int], None]) -> Iterator[_Member]:
    with gzip.open(file) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            reserve(member.size)  # one by one: a tar has no table of contents
            yield _Member(member.name, member.isreg(), member.isdir(), partial(tar.extractfile, member))
        while stream.read(CHUNK):  # to the end, where the checksum is
            pass


def _zip_members(file: BinaryIO, reserve: Callable[[int], None]) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        reserve(sum(info.file_size for info in archive.infolist()))
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 from systems without it
            is_file = not info.is_dir() and kind in (0, stat.S_IFREG)
            yield _Member(info.filename, is_file, info.is_dir(), partial(archive.open, info))


def _place(member: _Member, strip: int) -> Path | None:
    """Say where a member goes below the folder; None for what `strip` takes away whole."""
    path = PurePosixPath(member.name.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(member.name).drive or ".." in path.parts:
        raise ArchiveError(f"{member.name!r} leaves the folder that the archive is unpacked to")
    if not (member.is_file or member.is_folder):
        raise ArchiveError(f"{member.name!r} is a link or a device, expected files and folders only")
    return Path(*path.parts[strip:]) if path.parts[strip:] else None


def _extract(archive: Path, aside: Path, strip: int, on_progress: Callable[[int, int], None]) -> None:
    def reserve(size: int) -> None:
        if size > (free := shutil.disk_usage(aside).free):
            raise DataError(f"{archive}: needs {size} bytes more to be unpacked, {free} are free")

    read = _zip_members if archive.suffix == ".zip" else _tar_members
    size = archive.stat().st_size
    with archive.open("rb") as file:
        for member in read(file, reserve):
            place = _place(member, strip)
            if place is not None and member.is_folder:
                (aside / place).mkdir(parents=True, exist_ok=True)
            elif place is not None and (source := member.open()):
                (aside / place).parent.mkdir(parents=True, exist_ok=True)
                with source, (aside / place).open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK)
            on_progress(min(file.tell(), size - 1), size)
    on_progress(size, size)


def _move(source: Path, target: Path) -> None:
    """Move what is in a folder into another, whose own folders are kept and whose files are replaced."""
    for path in source.iterdir():
        place = target / path.name
        if path.is_dir() and place.is_dir():
            _move(path, place)
        else:
            path.replace(place)


def unpack(
    archive: Path, folder: Path, strip: int = 0, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Unpack a `.zip` or a gzipped tar into `folder`, where nothing appears before all of it is unpacked.

    Args:
        strip: how many leading folders are taken off the names in the archive.
        on_progress: called with the bytes of the archive read and its size.

    Raises:
        ArchiveError: a damaged archive, or one with a name or a link that leaves the folder, or a device.
        DataError: the disk is full, or the folder cannot be written.
    """
    aside = folder / ASIDE
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        _extract(archive, aside, strip, on_progress)
        _move(aside, folder)
    except ArchiveError as error:
        raise ArchiveError(f"{archive}: {error}") from error
    except BROKEN as error:
        raise ArchiveError(f"{archive}: cannot be unpacked ({error})") from error
    except OSError as error:
        raise DataError(f"{error.filename or folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
