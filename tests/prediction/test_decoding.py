"""Windows of recordings come in order, with their ends, and only so many wait."""

import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.prediction import decoding
from audiostride.prediction.decoding import Decoded, Failed, Source, Window, decode_in_order, windows_with_ends


@pytest.mark.parametrize("n_samples", [40, 100, 149, 150, 151, 990, 1000])
def test_windows_lie_where_they_say_and_the_last_ends_with_the_recording(n_samples: int) -> None:
    samples = np.arange(1, n_samples + 1, dtype=np.float32)
    *windows, end = windows_with_ends(iter(np.array_split(samples, 3)), 100, 50)
    assert end == Decoded(n_samples)
    for window in windows:
        assert isinstance(window, Window)
        n_audio = window.stop - window.start
        np.testing.assert_array_equal(window.samples[:n_audio], samples[window.start : window.stop])
        assert not window.samples[n_audio:].any()
        assert len(window.samples) == 100
    assert windows[-1].stop == n_samples or n_samples - windows[-1].stop < 50


def test_recordings_come_in_order_whatever_their_length(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.wav" for i in range(20)]
    for i, path in enumerate(paths):
        sf.write(path, np.full(100 * (1 + 13 * i % 7), i / 100), 1000)
    found = list(decode_in_order(list(map(Source, paths)), 1000, 100, 100, n_threads=3, n_queued=2))
    assert [i for i, part in found if isinstance(part, Decoded)] == list(range(20))
    for i, part in found:
        if isinstance(part, Window):
            assert part.samples[0] == pytest.approx(i / 100, abs=1e-4)


def test_a_bad_recording_ends_with_its_reason_and_the_next_one_comes(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    sf.write(tmp_path / "good.wav", np.zeros(100), 1000)
    found = list(
        decode_in_order(
            [Source(tmp_path / "bad.wav"), Source(tmp_path / "good.wav")], 1000, 100, 100, n_threads=1, n_queued=2
        )
    )
    assert isinstance(found[0][1], Failed)
    assert "not audio" in found[0][1].reason
    assert found[-1] == (1, Decoded(100))


def test_an_unforeseen_error_of_a_decoder_is_the_recording_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(path: Path, *arguments: object) -> None:
        raise ArithmeticError("odd")

    monkeypatch.setattr(decoding, "read_blocks", explode)
    assert list(decode_in_order([Source(tmp_path)], 1000, 100, 100, n_threads=1, n_queued=2)) == [
        (0, Failed("cannot be decoded (ArithmeticError: odd)"))
    ]


def test_no_more_is_decoded_ahead_than_is_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_read = 0

    def endless(path: Path, *arguments: object) -> object:
        nonlocal n_read
        while True:
            n_read += 1
            yield np.zeros(100, np.float32)

    monkeypatch.setattr(decoding, "read_blocks", endless)
    paths = [Source(tmp_path / str(i)) for i in range(50)]
    with closing(decode_in_order(paths, 1000, 100, 100, n_threads=2, n_queued=5)) as parts:
        next(parts)
        time.sleep(0.2)
        assert n_read <= 2 * (5 + 1) + 1  # in the queues of two threads, in their hands, and the one taken


def test_threads_end_with_their_reader(tmp_path: Path) -> None:
    sf.write(tmp_path / "long.wav", np.zeros(100_000), 1000)
    parts = decode_in_order([Source(tmp_path / "long.wav")], 1000, 100, 100, n_threads=2, n_queued=2)
    next(parts)
    parts.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_a_part_of_a_recording_is_decoded_alone(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.arange(1000) / 2000, 1000)
    sources = [Source(tmp_path / "a.wav", 0.2, 0.1), Source(tmp_path / "a.wav", 0.75)]
    found = list(decode_in_order(sources, 1000, 100, 100, n_threads=2, n_queued=2))
    assert [(i, part.n_samples) for i, part in found if isinstance(part, Decoded)] == [(0, 100), (1, 250)]
    first = next(part for _, part in found if isinstance(part, Window))
    np.testing.assert_allclose(first.samples, np.arange(200, 300) / 2000, atol=1e-4)
