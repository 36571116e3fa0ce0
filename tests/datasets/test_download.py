"""Archives from a server on this machine: fetched, resumed, checked, unpacked, and refused."""

import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import filelock
import pytest

from audiostride import datasets
from audiostride.data.manifest import read_manifest
from audiostride.datasets import card as cards
from audiostride.datasets.card import Archive, Card
from audiostride.datasets.download import FOLDER, download, fetch
from audiostride.datasets.unpack import ASIDE, ArchiveError, unpack
from audiostride.errors import DataError, UserError
from tests.program import run

FILES = {
    "bed/00a_nohash_0.wav": b"train",
    "bed/00b_nohash_0.wav": b"valid",
    "cat/00c_nohash_0.wav": b"test",
    "validation_list.txt": b"bed/00b_nohash_0.wav\n",
    "testing_list.txt": b"cat/00c_nohash_0.wav\n",
}


def tar_of(files: dict[str, bytes], *others: tarfile.TarInfo) -> bytes:
    """A gzipped tar of files, with members of other kinds at its end."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in others:
            tar.addfile(member)
    return made.getvalue()


def zip_of(files: dict[str, bytes], mode: int = 0) -> bytes:
    """A zip of files, with the Unix mode `mode`."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return made.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `files`; `requests` lists what was asked for, with the range."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.knows_ranges = True
        self.tells_length = True
        self.code = 200
        self.cut_after: int | None = None  # bytes of one answer

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        span = self.headers["Range"]
        self.server.requests.append((self.path, span))
        content = self.server.files[self.path[1:]]
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span and self.server.knows_ranges else 0
        if self.server.code != 200:
            self.send_error(self.server.code)
            return
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.server.tells_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = None if self.server.cut_after is None else start + self.server.cut_after
        self.wfile.write(content[start:stop])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def offer(server: Server, name: str, content: bytes, **keys: object) -> Archive:
    """Put a file on the server; as a card would name it, with its checksum."""
    server.files[name] = content
    keys = {"sha256": hashlib.sha256(content).hexdigest(), **keys}
    return Archive.model_validate({"url": server.url(name), **keys})


def card_of(*archives: Archive, version: str | None = None) -> Card:
    return Card(
        name="speech_commands",
        version=version,
        description="two words",
        label="label",
        classes=("bed", "cat"),
        counts={"train": 1, "valid": 1, "test": 1},
        licence="CC0",
        citation="nobody",
        archives=archives,
    )


def files_in(root: Path) -> dict[str, bytes]:
    """The files below `root` that are no archives and no notes of the download."""
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(FOLDER)}


# the command


@pytest.fixture
def speech_commands(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """What `prepare speech_commands --download` finds in its card."""
    archive = offer(server, "words.tar.gz", tar_of({f"./{name}": content for name, content in FILES.items()}))
    folder = tmp_path / "cards"
    folder.mkdir()
    (folder / "speech_commands.yaml").write_text(card_of(archive, version="v0.02").model_dump_json())
    monkeypatch.setattr(cards, "CARDS", folder)
    return archive


def test_a_data_set_is_downloaded_and_prepared(
    speech_commands: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "words"
    assert run(monkeypatch, "prepare", "speech_commands", "--download", root) == 0
    clips = read_manifest(root / "manifest.csv").clips
    assert [(clip.path.parent.name, clip.split) for clip in clips] == [
        ("bed", "train"),
        ("bed", "valid"),
        ("cat", "test"),
    ]
    shown = capsys.readouterr().err
    assert "compared with the published counts of speech_commands v0.02" in shown
    assert "differs" not in shown
    assert "published protocol" not in shown


def test_a_part_of_a_data_set_is_told_to_be_whole_but_for_the_published_protocol(
    speech_commands: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "words"
    assert run(monkeypatch, "prepare", "speech_commands", "--download", root) == 0
    capsys.readouterr()
    (root / "bed/00a_nohash_0.wav").unlink()
    assert run(monkeypatch, "prepare", "speech_commands", root) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[-2] == "differs from the published counts: train: 0 clips, officially 1"
    assert told[-1].startswith("the manifest is complete for what is there")


def test_a_second_run_fetches_nothing(
    speech_commands: Archive, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        assert run(monkeypatch, "prepare", "speech_commands", "--download", tmp_path / "words") == 0
    assert server.requests == [("/words.tar.gz", None)]


def test_a_connection_cut_off_ends_with_a_message(
    speech_commands: Archive,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.cut_after = 100
    assert run(monkeypatch, "prepare", "speech_commands", "--download", tmp_path) == 1
    shown = capsys.readouterr().err
    assert re.fullmatch(rf"{speech_commands.url}: cut off \(.*\); 100 bytes are kept, .*\n", shown)


def test_an_unpublished_checksum_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = tar_of(FILES)
    card = card_of(offer(server, "words.tar.gz", content, sha256=None))
    monkeypatch.setattr(datasets, "find_card", lambda name, version: card)
    assert run(monkeypatch, "prepare", "speech_commands", "--download", tmp_path) == 0
    assert (
        f"words.tar.gz: no checksum is published; the downloaded file has sha256:{hashlib.sha256(content).hexdigest()}"
        in (capsys.readouterr().err)
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["folder"], "folder: no data set with official archives"),
        (["nsynht"], "nsynht: no such data set"),
        (["nsynth", "--version", "v2"], "--version v2: nsynth has no versions"),
        (["speech_commands", "--version", "v1"], "--version v1: expected one of v0.02, v0.01"),
    ],
)
def test_what_has_no_archives_is_refused(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "prepare", "--download", arguments[0], tmp_path, *arguments[1:]) == 2
    assert told in capsys.readouterr().err


# fetching


def test_a_cut_download_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    archive = offer(server, "a.zip", content)
    server.cut_after = 1000
    with pytest.raises(DataError, match="cut off"):
        fetch(archive, tmp_path)
    server.cut_after = None
    assert fetch(archive, tmp_path).read_bytes() == content
    assert server.requests == [("/a.zip", None), ("/a.zip", "bytes=1000-")]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_server_without_ranges_sends_everything_again(server: Server, tmp_path: Path) -> None:
    archive = offer(server, "a.zip", b"0123456789")
    (tmp_path / "a.zip.part").write_bytes(b"01234")
    server.knows_ranges = False
    assert fetch(archive, tmp_path).read_bytes() == b"0123456789"


def test_a_part_that_is_whole_is_taken(server: Server, tmp_path: Path) -> None:
    archive = offer(server, "a.zip", b"0123456789")
    (tmp_path / "a.zip.part").write_bytes(b"0123456789")
    assert fetch(archive, tmp_path).read_bytes() == b"0123456789"
    assert server.requests == [("/a.zip", "bytes=10-")]


def test_a_part_longer_than_the_file_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    archive = offer(server, "a.zip", b"0123456789")
    (tmp_path / "a.zip.part").write_bytes(b"something else")
    assert fetch(archive, tmp_path).read_bytes() == b"0123456789"


def test_a_server_that_tells_no_length_is_believed_at_its_end(server: Server, tmp_path: Path) -> None:
    archive = offer(server, "a.zip", b"0123456789")
    server.tells_length = False
    told: list[tuple[int, int]] = []
    fetch(archive, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(10, 0), (10, 10)]


def test_an_archive_that_is_there_is_not_fetched(server: Server, tmp_path: Path) -> None:
    archive = offer(server, "a.zip", b"0123456789")
    (tmp_path / "a.zip").write_bytes(b"0123456789")
    fetch(archive, tmp_path)
    assert server.requests == []


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_another_checksum_is_told_and_the_file_deleted(server: Server, tmp_path: Path, algorithm: str) -> None:
    found = hashlib.new(algorithm, b"changed").hexdigest()
    expected = hashlib.new(algorithm, b"official").hexdigest()
    archive = offer(server, "a.zip", b"changed", **{"sha256": None, algorithm: expected})
    with pytest.raises(DataError, match=rf"^{archive.url}: .*{expected} but got {found}"):
        fetch(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_size_is_told_and_the_file_deleted(server: Server, tmp_path: Path) -> None:
    archive = offer(server, "a.zip", b"0123456789", sha256=None, size=11)
    with pytest.raises(DataError, match=r"a\.zip: 10 bytes, expected 11"):
        fetch(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [404, 500])
def test_an_answer_of_failure_is_told_and_the_part_kept(server: Server, tmp_path: Path, code: int) -> None:
    archive = offer(server, "a.zip", b"0123456789")
    (tmp_path / "a.zip.part").write_bytes(b"01234")
    server.code = code
    with pytest.raises(DataError, match=rf"^{archive.url}: HTTP {code} "):
        fetch(archive, tmp_path)
    assert (tmp_path / "a.zip.part").read_bytes() == b"01234"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.zip", "nowhere/a.zip"])
def test_a_host_out_of_reach_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(DataError, match=rf"^{url}: cannot be reached \(.*\)$"):
        fetch(Archive(url=url), tmp_path)


def test_an_interruption_keeps_the_part(server: Server, tmp_path: Path) -> None:
    archive = offer(server, "a.zip", b"0123456789")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(archive, tmp_path, interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip.part"]


def test_an_interruption_at_the_checksum_keeps_the_part(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object, **keys: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pooch.core.hash_matches", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(offer(server, "a.zip", b"0123456789"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.zip.part": b"0123456789"}


def test_a_part_that_cannot_be_written_is_told(server: Server, tmp_path: Path) -> None:
    archive = offer(server, "a.zip", b"0123456789")
    (tmp_path / "a.zip.part").mkdir()
    with pytest.raises(DataError, match=r"a\.zip\.part: Is a directory"):
        fetch(archive, tmp_path)


# a whole data set


def test_several_archives_are_put_together(server: Server, tmp_path: Path) -> None:
    card = card_of(
        offer(server, "1.zip", zip_of({"top/audio/a.wav": b"a", "top/meta.csv": b"m"}), strip=1),
        offer(server, "2.zip", zip_of({"top/audio/b.wav": b"b"}), strip=1),
        offer(server, "labels", b"itemid", file_name="labels.csv", unpack_to="birds"),
        offer(server, "birds.tgz", tar_of({"wav/c.wav": b"c"}), unpack_to="birds"),
    )
    download(card, tmp_path)
    assert files_in(tmp_path) == {
        "audio/a.wav": b"a",
        "audio/b.wav": b"b",
        "meta.csv": b"m",
        "birds/labels.csv": b"itemid",
        "birds/wav/c.wav": b"c",
    }


def test_only_what_is_missing_is_fetched(server: Server, tmp_path: Path) -> None:
    first, second = (offer(server, f"{name}.zip", zip_of({name: b""})) for name in "ab")
    download(card_of(first), tmp_path)
    download(card_of(first, second), tmp_path)
    assert [path for path, _ in server.requests] == ["/a.zip", "/b.zip"]


def test_an_archive_that_changed_is_fetched_again(server: Server, tmp_path: Path) -> None:
    download(card_of(offer(server, "a.zip", zip_of({"a": b"old"}))), tmp_path)
    download(card_of(offer(server, "a.zip", zip_of({"a": b"new"}))), tmp_path)
    assert files_in(tmp_path) == {"a": b"new"}


def test_the_folder_of_another_data_set_is_refused(server: Server, tmp_path: Path) -> None:
    download(card_of(offer(server, "a.zip", zip_of({"a": b""}))), tmp_path)
    with pytest.raises(UserError, match=r"holds a\.zip, which is not of speech_commands v0\.01"):
        download(card_of(version="v0.01"), tmp_path)


def test_an_interrupted_unpacking_is_repeated(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = card_of(offer(server, "words.tar.gz", tar_of(FILES)))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("audiostride.datasets.unpack._move", interrupted)
        with pytest.raises(KeyboardInterrupt):
            download(card, tmp_path)
    assert files_in(tmp_path) == {}
    download(card, tmp_path)
    assert files_in(tmp_path) == FILES
    assert len(server.requests) == 1


def test_what_is_no_archive_is_told_and_fetched_again(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"a\.tar\.gz: cannot be unpacked"):
        download(card_of(offer(server, "a.tar.gz", b"<html>Sorry</html>", sha256=None)), tmp_path)
    download(card_of(offer(server, "a.tar.gz", tar_of({"a": b"a"}), sha256=None)), tmp_path)
    assert files_in(tmp_path) == {"a": b"a"}


def test_notes_that_are_no_json_count_as_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "unpacked.json").write_text("{")
    download(card_of(offer(server, "a.zip", zip_of({"a": b""}))), tmp_path)
    assert list(json.loads((tmp_path / FOLDER / "unpacked.json").read_text())) == ["a.zip"]


def test_a_root_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/\.archives: cannot be written \(Not a directory\)"):
        download(card_of(), tmp_path / "file")


def test_two_downloads_into_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    with filelock.FileLock(tmp_path / FOLDER / "lock"), pytest.raises(UserError, match="another download"):
        download(card_of(), tmp_path)


# unpacking


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


HOSTILE = {
    "absolute.tar.gz": tar_of({"good": b"", "/etc/out": b""}),
    "up.tar.gz": tar_of({"good": b"", "a/../../out": b""}),
    "symlink.tar.gz": tar_of({"good": b""}, link("out", "../..")),
    "hardlink.tar.gz": tar_of({"good": b""}, link("out", "../out", tarfile.LNKTYPE)),
    "device.tar.gz": tar_of({"good": b""}, link("out", "", tarfile.CHRTYPE)),
    "absolute.zip": zip_of({"good": b"", "/etc/out": b""}),
    "up.zip": zip_of({"good": b"", "../out": b""}),
    "backslash.zip": zip_of({"good": b"", "..\\out": b""}),
    "drive.zip": zip_of({"good": b"", "C:/out": b""}),
    "symlink.zip": zip_of({"out": b".."}, mode=0o120777),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_member_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name])
    with pytest.raises(ArchiveError, match=rf"{re.escape(name)}: '.*out' (leaves|is a link)"):
        unpack(tmp_path / name, tmp_path / "data")
    assert {path.name for path in tmp_path.rglob("*")} == {name, "data"}


CONTENT = bytes(range(256)) * 20
DAMAGED = {
    "cut.tar.gz": tar_of({"a": CONTENT})[:-20],
    "without its end.tar.gz": tar_of({"a": CONTENT})[:-8],
    "wrong checksum.tar.gz": tar_of({"a": CONTENT})[:-8] + bytes(8),
    "no tar.tar.gz": gzip.compress(b"no tar"),
    "no gzip.tar.gz": b"no gzip",
    "cut.zip": zip_of({"a": CONTENT})[:-20],
    "flipped.zip": zip_of({"a": CONTENT}).replace(CONTENT[:8], CONTENT[8:16], 1),
    "no zip.zip": b"no zip",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_archive_leaves_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(DAMAGED[name])
    with pytest.raises(ArchiveError, match=rf"{re.escape(name)}: cannot be unpacked \(.+\)"):
        unpack(tmp_path / name, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(("name", "made"), [("a.tar.gz", tar_of({"a": CONTENT})), ("a.zip", zip_of({"a": CONTENT}))])
def test_an_archive_larger_than_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, made: bytes
) -> None:
    (tmp_path / name).write_bytes(made)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 5119}))
    with pytest.raises(DataError, match=rf"{name}: needs 5120 bytes more to be unpacked, 5119 are free"):
        unpack(tmp_path / name, tmp_path)


def test_files_in_the_way_are_replaced_and_others_kept(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a").write_bytes(b"old")
    (tmp_path / "audio" / "own").write_bytes(b"own")
    (tmp_path / "a.zip").write_bytes(zip_of({"audio/a": b"new", "audio/": b""}))
    unpack(tmp_path / "a.zip", tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "audio").iterdir()} == {"a": b"new", "own": b"own"}


def test_what_a_killed_run_left_aside_is_no_data(tmp_path: Path) -> None:
    (tmp_path / ASIDE).mkdir()
    (tmp_path / ASIDE / "half").touch()
    (tmp_path / "a.zip").write_bytes(zip_of({"a": b""}))
    unpack(tmp_path / "a.zip", tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "a.zip"]


def test_stripped_names_lose_their_first_folders(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(tar_of({"README": b"", "./top/a": b"a", "top/b/c": b"c"}))
    unpack(tmp_path / "a.tgz", tmp_path / "data", strip=1)
    assert files_in(tmp_path / "data") == {"a": b"a", "b/c": b"c"}


def test_progress_ends_with_the_size_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(made := zip_of(FILES))
    told: list[tuple[int, int]] = []
    unpack(tmp_path / "a.zip", tmp_path, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(made), len(made))
    assert [done for done, total in told if done == total] == [len(made)]


@pytest.mark.parametrize("tells_length", [True, False])
def test_an_archive_that_goes_on_is_stopped_at_its_size(server: Server, tmp_path: Path, tells_length: bool) -> None:
    server.tells_length = tells_length
    archive = offer(server, "a.zip", bytes(50_000_000), sha256=None, size=1000)
    with pytest.raises(DataError, match="more than the 1000 bytes"):
        fetch(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []
