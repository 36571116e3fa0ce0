"""The packed cache: decodes once, notices changes, and holds nothing wrong whatever interrupts it."""

import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from audiostride.data import cache
from audiostride.data.cache import PackedAudio, default_cache_dir, pack_audio
from audiostride.data.packed import PackedClip

Samples = npt.NDArray[np.int16]
Pack = Callable[..., PackedAudio]

RATE = 16000


def write(path: Path, n: int, seed: int) -> Samples:
    """A recording of noise, and its samples."""
    samples = np.random.default_rng(seed).integers(-30000, 30000, n).astype(np.int16)
    sf.write(path, samples, RATE, subtype="PCM_16")
    return samples


def recordings(folder: Path, n_files: int) -> dict[Path, Samples]:
    return {folder / f"{i:03}.wav": write(folder / f"{i:03}.wav", 100 + i, i) for i in range(n_files)}


def assert_same(packed: Mapping[Path, Samples], expected: Mapping[Path, Samples]) -> None:
    assert set(packed) == set(expected)
    for path, samples in expected.items():
        np.testing.assert_array_equal(packed[path], samples, err_msg=path.name)


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """`pack_audio` with a cache folder of the test."""

    def pack(paths: object, sample_rate: int = RATE, **options: object) -> PackedAudio:
        return pack_audio(paths, sample_rate, tmp_path / "cache", **options)  # type: ignore[arg-type]

    return pack


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "N_FILES_PER_PACK", 2)


@pytest.fixture
def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, decoding fails the test."""

    def decode(*_: object) -> Iterator[Samples]:
        raise AssertionError("decoded again")

    return lambda: monkeypatch.setattr(cache, "read_blocks", decode)


# what it holds


@pytest.mark.parametrize("n_files", [0, 1, 3, 70])
def test_every_recording_has_its_samples(tmp_path: Path, pack: Pack, n_files: int) -> None:
    expected = recordings(tmp_path, n_files)
    assert_same(pack(expected).samples, expected)


def test_many_recordings_lie_in_several_packs(tmp_path: Path, pack: Pack) -> None:
    pack(recordings(tmp_path, 70))
    assert len(list((tmp_path / "cache").iterdir())) > 1


def test_the_samples_are_left_in_their_file(tmp_path: Path, pack: Pack) -> None:
    (samples,) = pack(recordings(tmp_path, 1)).samples.values()
    assert isinstance(samples, PackedClip)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050])
def test_the_samples_are_at_the_rate_asked_for(tmp_path: Path, pack: Pack, sample_rate: int) -> None:
    write(tmp_path / "a.wav", 4000, 0)
    packed = pack([tmp_path / "a.wav"], sample_rate)
    assert packed.sample_rate == sample_rate
    assert len(packed.samples[tmp_path / "a.wav"]) == pytest.approx(4000 * sample_rate / RATE, abs=1)


def test_a_path_given_twice_is_decoded_once(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 2)
    seen: list[tuple[int, int]] = []
    packed = pack([*expected, *expected], on_progress=lambda *at: seen.append(at), n_workers=1)
    assert_same(packed.samples, expected)
    assert seen == [(1, 2), (2, 2)]


def test_the_order_of_the_paths_does_not_matter(
    tmp_path: Path, pack: Pack, forbid_decoding: Callable[[], None]
) -> None:
    expected = recordings(tmp_path, 5)
    pack(expected)
    forbid_decoding()
    assert_same(pack(reversed(list(expected))).samples, expected)


@pytest.mark.usefixtures("small_packs")
@pytest.mark.parametrize("n_workers", [1, 4])
def test_the_number_of_workers_changes_nothing(tmp_path: Path, pack: Pack, n_workers: int) -> None:
    expected = recordings(tmp_path, 9)
    assert_same(pack(expected, n_workers=n_workers).samples, expected)


def test_progress_counts_up_to_all(tmp_path: Path, pack: Pack) -> None:
    seen: list[tuple[int, int]] = []
    pack(recordings(tmp_path, 5), on_progress=lambda *at: seen.append(at))
    assert seen == [(i, 5) for i in range(1, 6)]


def test_a_recording_shorter_than_one_sample_is_no_crash(tmp_path: Path, pack: Pack) -> None:
    sf.write(tmp_path / "click.wav", np.full(1, 0.5), 192000)
    packed = pack([tmp_path / "click.wav"])
    assert {*packed.samples, *packed.bad} == {tmp_path / "click.wav"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"AUDIOSTRIDE_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, Path("/own")),
        ({"AUDIOSTRIDE_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, Path("/xdg/audiostride")),
        ({"AUDIOSTRIDE_CACHE": "", "XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "audiostride"),
    ],
)
def test_the_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: Path
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_cache_dir() == expected


# when it decodes


def test_a_second_call_decodes_nothing(tmp_path: Path, pack: Pack, forbid_decoding: Callable[[], None]) -> None:
    expected = recordings(tmp_path, 3)
    pack(expected)
    forbid_decoding()
    assert_same(pack(expected).samples, expected)


def test_a_second_call_reports_no_progress(tmp_path: Path, pack: Pack) -> None:
    paths = recordings(tmp_path, 3)
    pack(paths)
    seen: list[tuple[int, int]] = []
    pack(paths, on_progress=lambda *at: seen.append(at))
    assert seen == []


def test_a_recording_of_another_size_is_decoded_again(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 3)
    pack(expected)
    changed = tmp_path / "001.wav"
    stat = changed.stat()
    expected[changed] = write(changed, 300, 7)
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert_same(pack(expected).samples, expected)


def test_a_recording_of_another_time_is_decoded_again(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 3)
    pack(expected)
    changed = tmp_path / "001.wav"
    stat = changed.stat()
    expected[changed] = write(changed, len(expected[changed]), 7)
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert_same(pack(expected).samples, expected)


def test_another_rate_is_another_pack(tmp_path: Path, pack: Pack, forbid_decoding: Callable[[], None]) -> None:
    expected = recordings(tmp_path, 3)
    pack(expected)
    halved = pack(expected, 8000).samples
    assert [len(halved[path]) for path in expected] == [pytest.approx(len(x) / 2, abs=1) for x in expected.values()]
    forbid_decoding()
    assert_same(pack(expected).samples, expected)


def test_processes_that_want_the_same_recordings_decode_them_once(tmp_path: Path) -> None:
    paths = list(recordings(tmp_path, 40))
    code = (
        "import sys; from pathlib import Path; from audiostride.data.cache import pack_audio;"
        "told = [];"
        f"pack_audio(map(Path, sys.argv[1:]), {RATE}, Path({str(tmp_path / 'cache')!r}),"
        " on_progress=lambda done, n: told.append(done));"
        "print(len(told))"
    )
    command = [sys.executable, "-c", code, *map(str, paths)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(process.communicate(timeout=120)[0].strip() for process in processes) == ["0", "0", "40"]


@pytest.mark.usefixtures("small_packs")
def test_a_recording_more_is_one_new_pack(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 10)
    pack(expected)
    before = set((tmp_path / "cache").iterdir())
    expected[tmp_path / "000a.wav"] = write(tmp_path / "000a.wav", 50, 99)
    assert_same(pack(expected).samples, expected)
    assert len(set((tmp_path / "cache").iterdir()) - before) == 1


# recordings that cannot be decoded


@pytest.fixture
def with_bad(tmp_path: Path) -> dict[Path, Samples]:
    """Good recordings; between them stand one of text and one that turns bad after its first block."""
    good = recordings(tmp_path, 3)
    (tmp_path / "000b.wav").write_text("not a sound")
    late = np.zeros(11 * RATE, np.float32)
    late[-1] = np.nan
    sf.write(tmp_path / "001b.wav", late, RATE, subtype="FLOAT")
    return good


def all_wavs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.wav"))


def test_bad_recordings_are_told_with_their_reason(tmp_path: Path, pack: Pack, with_bad: dict[Path, Samples]) -> None:
    bad = pack(all_wavs(tmp_path)).bad
    assert set(bad) == {tmp_path / "000b.wav", tmp_path / "001b.wav"}
    assert "not audio" in bad[tmp_path / "000b.wav"]
    assert "NaN" in bad[tmp_path / "001b.wav"]


def test_neighbours_of_bad_recordings_have_their_samples(
    tmp_path: Path, pack: Pack, with_bad: dict[Path, Samples]
) -> None:
    assert_same(pack(all_wavs(tmp_path)).samples, with_bad)


@pytest.mark.usefixtures("with_bad")
def test_bad_recordings_are_remembered(tmp_path: Path, pack: Pack, forbid_decoding: Callable[[], None]) -> None:
    first = pack(all_wavs(tmp_path))
    forbid_decoding()
    assert pack(all_wavs(tmp_path)).bad == first.bad


def test_bad_recordings_alone_are_no_crash(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / "bad.wav").write_text("not a sound")
    assert list(pack([tmp_path / "bad.wav"]).bad) == [tmp_path / "bad.wav"]


def test_a_repaired_recording_is_good(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / "a.wav").write_text("not a sound")
    pack([tmp_path / "a.wav"])
    expected = {tmp_path / "a.wav": write(tmp_path / "a.wav", 100, 0)}
    packed = pack(expected)
    assert_same(packed.samples, expected)
    assert packed.bad == {}


def test_a_passing_error_of_the_disk_is_not_remembered(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: object) -> Iterator[Samples]:
        raise OSError(5, "Input/output error")

    expected = recordings(tmp_path, 2)
    with monkeypatch.context() as patch, suppress(OSError):
        patch.setattr(cache, "read_blocks", decode)
        pack(expected)
    assert_same(pack(expected).samples, expected)


# interruptions

SCRIPT = """
import sys
from pathlib import Path
from audiostride.data import cache
cache.N_FILES_PER_PACK = 2
folder = Path(sys.argv[1])
{body}
"""


def run(folder: Path, body: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", SCRIPT.format(body=body), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def interrupt_after(n_files: int) -> Callable[[int, int], None]:
    def on_progress(n_done: int, n_all: int) -> None:
        if n_done == n_files:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.usefixtures("small_packs")
@pytest.mark.parametrize("n_files", [1, 4, 9])
class TestInterrupted:
    @pytest.fixture
    def expected(self, tmp_path: Path, pack: Pack, n_files: int) -> dict[Path, Samples]:
        """Nine recordings; packing them ended after `n_files`."""
        expected = recordings(tmp_path, 9)
        with pytest.raises(KeyboardInterrupt):
            pack(expected, on_progress=interrupt_after(n_files), n_workers=1)
        return expected

    @pytest.mark.usefixtures("expected")
    def test_only_whole_packs_are_left(self, tmp_path: Path) -> None:
        for folder in (tmp_path / "cache").iterdir():
            assert sorted(path.name for path in folder.iterdir()) == ["index.json", "samples.i16"]
            assert not folder.name.startswith("partial")

    def test_the_next_call_has_every_sample(self, pack: Pack, expected: dict[Path, Samples]) -> None:
        assert_same(pack(expected).samples, expected)

    def test_the_next_call_goes_on_from_there(
        self, tmp_path: Path, pack: Pack, expected: dict[Path, Samples], n_files: int
    ) -> None:
        seen: list[tuple[int, int]] = []
        had_packs = any((tmp_path / "cache").iterdir())
        pack(expected, on_progress=lambda *at: seen.append(at))
        assert (seen[-1][1] < 9) == had_packs


@pytest.mark.usefixtures("small_packs")
def test_an_interruption_of_several_workers_ends_all_of_them(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 20)
    with pytest.raises((KeyboardInterrupt, InterruptedError)):
        pack(expected, on_progress=interrupt_after(3), n_workers=4)
    assert_same(pack(expected).samples, expected)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("n_files", [1, 5])
def test_a_killed_process_leaves_a_usable_cache(tmp_path: Path, n_files: int) -> None:
    expected = recordings(tmp_path, 9)
    killed = run(
        tmp_path,
        "import os, signal\n"
        f"die = lambda n_done, n_all: n_done == {n_files} and os.kill(os.getpid(), signal.SIGKILL)\n"
        f"cache.pack_audio(sorted(folder.glob('*.wav')), {RATE}, folder / 'cache', 1, die)",
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    packed = pack_audio(expected, RATE, tmp_path / "cache")
    assert_same(packed.samples, expected)
    assert packed.bad == {}


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources here")
def test_a_full_disk_is_an_error_and_no_fault_of_the_recording(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 5 * RATE, 0)
    ended = run(
        tmp_path,
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))\n"
        f"print(cache.pack_audio(folder.glob('*.wav'), {RATE}, folder / 'cache', 1).bad)",
    )
    assert "OSError" in ended.stderr, ended.stdout


def test_two_processes_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = recordings(tmp_path, 3)
    write_pack = cache._write_pack

    def write_twice(*arguments: object) -> None:
        write_pack(*arguments)  # type: ignore[arg-type]  # the other process was faster
        write_pack(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "_write_pack", write_twice)
    assert_same(pack_audio(expected, RATE, tmp_path / "cache").samples, expected)


@pytest.mark.parametrize(("age_s", "kept"), [(0, True), (30 * 24 * 3600, False)])
def test_what_a_killed_process_left_goes_in_time(tmp_path: Path, age_s: float, kept: bool) -> None:
    leftover = tmp_path / "cache" / "partial-x"
    leftover.mkdir(parents=True)
    then = time.time() - age_s
    os.utime(leftover, (then, then))
    pack_audio([], 16000, tmp_path / "cache")
    assert leftover.exists() == kept


def test_a_pack_that_another_process_has_just_finished_is_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [folder / "partial-x"])  # renamed since it was listed
    pack_audio([], 16000, tmp_path / "cache")


@pytest.mark.parametrize("name", ["index.json", "samples.i16"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 10)])
def test_a_damaged_pack_is_made_anew(tmp_path: Path, pack: Pack, name: str, damage: Callable[[Path], object]) -> None:
    expected = recordings(tmp_path, 3)
    pack(expected)
    (folder,) = (tmp_path / "cache").iterdir()
    damage(folder / name)
    assert_same(pack(expected).samples, expected)


def test_a_pack_with_other_samples_of_the_same_size_is_made_anew(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 3)
    pack(expected)
    (folder,) = (tmp_path / "cache").iterdir()
    content = bytearray((folder / "samples.i16").read_bytes())
    content[100] ^= 1
    (folder / "samples.i16").write_bytes(content)
    assert_same(pack(expected).samples, expected)


def test_a_pack_with_an_index_of_another_layout_is_made_anew(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 3)
    pack(expected)
    (folder,) = (tmp_path / "cache").iterdir()
    (folder / "index.json").write_text("[100, 101, 102]")
    assert_same(pack(expected).samples, expected)


def test_checksums_are_those_of_the_samples(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 3)
    packed = pack(expected)
    assert packed.checksums == {path: zlib.crc32(samples.tobytes()) for path, samples in expected.items()}


def test_an_index_that_lacks_recordings_is_made_anew(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 3)
    pack(expected)
    (folder,) = (tmp_path / "cache").iterdir()
    (folder / "index.json").write_text("[]")
    (folder / "samples.i16").write_bytes(b"")
    assert_same(pack(expected).samples, expected)


def test_a_damaged_pack_is_told(tmp_path: Path, pack: Pack) -> None:
    expected = recordings(tmp_path, 3)
    assert pack(expected).note is None
    (folder,) = (tmp_path / "cache").iterdir()
    os.truncate(folder / "samples.i16", 10)
    assert pack(expected).note == "3 recording(s) decoded again: their file in the cache was damaged"
    assert pack(expected).note is None
