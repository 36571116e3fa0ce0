"""Official archives, fetched with resume and checksums and unpacked once."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import filelock
import pooch
import requests
import urllib3

from audiostride.datasets.card import PACKED, Archive, Card
from audiostride.datasets.unpack import ArchiveError, unpack
from audiostride.errors import DataError, UserError
from audiostride.files import write_text_atomic

OnProgress = Callable[[int, int], None]
Progress = Callable[[str], AbstractContextManager[OnProgress]]

FOLDER = ".archives"  # in the root of a data set: its archives, and a note of those that are unpacked
NOTES = "unpacked.json"
CHUNK = 1 << 16
TIMEOUT_S = (10, 60)  # to connect; between two packets
HTTP_OK, HTTP_PARTIAL, HTTP_NOTHING_LEFT = 200, 206, 416


def _silent(what: str) -> AbstractContextManager[OnProgress]:
    return nullcontext(lambda done, total: None)


class _TooLargeError(DataError):
    """An archive that goes on behind its size."""


def _stream(url: str, partial: Path, size: int | None, on_progress: OnProgress) -> None:
    """Append to `partial` what it lacks, or write it anew where the server knows no ranges."""
    done = partial.stat().st_size if partial.is_file() else 0
    # not compressed for the way: the checksum is that of the file
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        code, span = response.status_code, response.headers.get("Content-Range", "")
        if code == HTTP_NOTHING_LEFT and span == f"bytes */{done}":
            on_progress(done, done)
            return
        if done and code in (HTTP_PARTIAL, HTTP_NOTHING_LEFT) and not span.startswith(f"bytes {done}-"):
            partial.unlink()  # not the beginning of what the server has now
            _stream(url, partial, size, on_progress)
            return
        if code not in (HTTP_OK, HTTP_PARTIAL):
            raise DataError(f"{url}: HTTP {code} {response.reason}")
        done = done if code == HTTP_PARTIAL else 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else 0
        with partial.open("ab" if done else "wb") as file:
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                if size is not None and done + len(chunk) > size:
                    raise _TooLargeError(f"{url}: more than the {size} bytes that it should have; stopped and deleted")
                file.write(chunk)
                done += len(chunk)
                on_progress(done, total)
        if not total:
            on_progress(done, done)


def _cause(error: BaseException) -> BaseException:
    """Give what lies beneath the errors of requests and urllib3: refused, unknown name, timed out."""
    while beneath := error.__cause__ or error.__context__:
        error = beneath
    return error


def _resume(url: str, partial: Path, size: int | None, on_progress: OnProgress) -> None:
    try:
        _stream(url, partial, size, on_progress)
    except _TooLargeError:
        partial.unlink(missing_ok=True)
        raise
    except requests.RequestException as error:
        raise DataError(f"{url}: cannot be reached ({_cause(error)})") from error
    except urllib3.exceptions.HTTPError as error:
        kept = partial.stat().st_size
        raise DataError(
            f"{url}: cut off ({_cause(error)}); {kept} bytes are kept, run the same command again to resume"
        ) from error
    except OSError as error:
        raise DataError(f"{partial}: {error.strerror or error}") from error


def fetch(archive: Archive, folder: Path, on_progress: OnProgress = lambda done, total: None) -> Path:
    """Give the archive in `folder`, fetched unless it is there with the right checksum.

    What an interrupted call has fetched stays as `NAME.part`, and the next one asks for the rest of it.

    Args:
        on_progress: called with the bytes fetched and in all, 0 as long as the server does not tell.

    Raises:
        DataError: no connection or one cut off, a full disk, another checksum or size than the card's.
    """
    partial = folder / f"{archive.name}.part"

    def downloader(url: str, output: str, _: object) -> None:
        _resume(url, partial, archive.size, on_progress)
        os.unlink(output)
        try:
            os.link(partial, output)  # pooch deletes its own file if it is interrupted at the checksum
        except OSError:  # no links on this disk
            partial.replace(output)

    pooch.get_logger().setLevel("WARNING")  # else it prints
    try:
        path = Path(
            pooch.retrieve(archive.url, archive.known_hash, archive.name, folder.absolute(), downloader=downloader)
        )
    except DataError:
        raise
    except ValueError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"{archive.url}: {error}") from error
    partial.unlink(missing_ok=True)
    if archive.size is not None and (size := path.stat().st_size) != archive.size:
        path.unlink()
        raise DataError(f"{archive.url}: {size} bytes, expected {archive.size}; deleted")
    return path


def _put(archive: Archive, path: Path, root: Path, on_progress: OnProgress) -> None:
    """Unpack what `fetch` returned to its place below `root`, or move it there if there is nothing to unpack."""
    folder = root / (archive.unpack_to or "")
    if archive.name.endswith(PACKED):
        try:
            unpack(path, folder, archive.strip, on_progress)
        except ArchiveError:
            path.unlink()
            raise
    else:
        folder.mkdir(exist_ok=True)
        path.replace(folder / archive.name)


def _read_notes(path: Path) -> dict[str, str]:
    with suppress(FileNotFoundError, ValueError):
        notes = json.loads(path.read_text(encoding="utf-8"))
        return notes if isinstance(notes, dict) else {}
    return {}


def _download(card: Card, root: Path, progress: Progress) -> dict[str, str]:
    notes_path = root / FOLDER / NOTES
    notes, unchecked = _read_notes(notes_path), {}
    if foreign := sorted(notes.keys() - {archive.name for archive in card.archives}):
        raise UserError(f"{root}: holds {foreign[0]}, which is not of {card.title}; expected another folder")
    for archive in card.archives:
        if archive.name in notes and archive.known_hash in (None, notes[archive.name]):
            continue
        with progress(f"fetching {archive.name}") as on_progress:
            path = fetch(archive, root / FOLDER, on_progress)
        notes[archive.name] = archive.known_hash or f"sha256:{pooch.file_hash(str(path))}"
        with progress(f"unpacking {archive.name}") as on_progress:
            _put(archive, path, root, on_progress)
        write_text_atomic(notes_path, json.dumps(notes, indent=2) + "\n")
        if archive.known_hash is None:
            unchecked[archive.name] = notes[archive.name]
    return unchecked


def download(card: Card, root: Path, progress: Progress = _silent) -> dict[str, str]:
    """Fetch the archives of a data set into `root/.archives` and unpack them into `root`; what is there is skipped.

    Args:
        progress: given what is done, a context with the function to call with (bytes done, bytes in all).

    Returns:
        By name the checksum, `sha256:...`, of every archive fetched now for which none is published.

    Raises:
        UserError: `root` cannot be written, holds another data set, or is downloaded into already.
        DataError: what `fetch` and `unpack` raise.
    """
    folder = root / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / "lock").acquire(timeout=0)
    except filelock.Timeout as error:
        raise UserError(f"{root}: another download into it is under way") from error
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    with lock:
        return _download(card, root, progress)
