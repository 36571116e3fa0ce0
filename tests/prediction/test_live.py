"""Sound from a pipe is answered as it comes."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import soundfile as sf

from audiostride.errors import DataError
from audiostride.loading import load_model
from audiostride.prediction.live import Pcm, listen, read_pcm
from audiostride.prediction.model import WindowModel
from audiostride.prediction.stream import WindowResult, predict_files
from audiostride.vocabulary import Encoding
from tests.program import run

TASKS = ("tone", "place")


@pytest.fixture(scope="module")
def model(untrained: Path) -> WindowModel:
    return load_model(untrained, "cpu")


@pytest.fixture
def pipe() -> Iterator[tuple[int, IO[bytes]]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as file:
        yield reading, file
    os.close(reading)


def fed(content: bytes, pipe: tuple[int, IO[bytes]]) -> int:
    """The reading end of a pipe that all of `content` will come through."""
    reading, file = pipe

    def write() -> None:
        with file:
            file.write(content)

    threading.Thread(target=write).start()
    return reading


@pytest.mark.parametrize(("encoding", "kind"), [("s16le", "<i2"), ("f32le", "<f4")])
def test_samples_are_those_sent_whatever_the_pieces(pipe: tuple[int, IO[bytes]], encoding: Encoding, kind: str) -> None:
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, (500, 2))
    scaled = np.rint(sound * 32768) if kind == "<i2" else sound
    reading = fed(scaled.astype(kind).tobytes(), pipe)
    blocks = list(read_pcm(reading, Pcm(16000, 2, encoding), 37))  # never a whole number of frames
    np.testing.assert_allclose(np.concatenate(blocks), sound.mean(axis=1), atol=1e-4)


def test_what_has_come_is_not_held_back(pipe: tuple[int, IO[bytes]]) -> None:
    reading, file = pipe
    blocks = read_pcm(reading, Pcm(16000, 1, "s16le"), 8000)
    for n in (1, 100, 7):
        file.write(bytes(2 * n))
        assert len(next(blocks)) == n  # or it would wait for ever


def test_samples_that_are_no_numbers_are_told(pipe: tuple[int, IO[bytes]]) -> None:
    with pytest.raises(DataError, match="is it f32le"):
        list(read_pcm(fed(np.full(10, np.nan, "<f4").tobytes(), pipe), Pcm(16000, 1, "f32le"), 8000))


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_pipe_gives_what_the_file_gives(
    model: WindowModel, pipe: tuple[int, IO[bytes]], tmp_path: Path, rate: int
) -> None:
    t = np.arange(int(2.7 * rate)) / rate
    sound = np.rint(8000 * np.sin(2 * np.pi * 440 * t**1.3)).astype("<i2")
    sf.write(tmp_path / "a.wav", sound, rate)
    *expected, _ = predict_files(model, [tmp_path / "a.wav"], TASKS, n_window=16000, n_hop=8000, n_threads=1)
    found = list(listen(model, fed(sound.tobytes(), pipe), Pcm(rate, 1, "s16le"), TASKS, n_window=16000, n_hop=8000))
    assert len(found) == len(expected) == 5
    for a, b in zip(found, expected, strict=True):
        assert isinstance(b, WindowResult)
        assert (a.start_s, a.end_s) == (b.start_s, b.end_s)
        for task in TASKS:
            np.testing.assert_allclose(a.probabilities[task], b.probabilities[task], atol=1e-4)


def test_a_window_is_answered_before_more_comes(model: WindowModel, pipe: tuple[int, IO[bytes]]) -> None:
    reading, file = pipe
    results = listen(model, reading, Pcm(16000, 1, "s16le"), TASKS, n_window=16000, n_hop=8000)
    for n_samples, end_s in ((16000, 1.0), (8000, 1.5), (8000, 2.0)):
        file.write(bytes(2 * n_samples))
        assert next(results).end_s == end_s  # or it would wait for ever


@pytest.mark.parametrize("content", [b"", b"x"])
def test_an_input_without_sound_is_told(content: bytes, model: WindowModel, pipe: tuple[int, IO[bytes]]) -> None:
    with pytest.raises(DataError, match="ended before any sound came"):
        list(listen(model, fed(content, pipe), Pcm(16000, 1, "s16le"), TASKS, n_window=16000, n_hop=8000))


def test_an_input_shorter_than_a_frame_is_told(model: WindowModel, pipe: tuple[int, IO[bytes]]) -> None:
    with pytest.raises(DataError, match="standard input: shorter than a frame of 25 ms"):
        list(listen(model, fed(bytes(20), pipe), Pcm(16000, 1, "s16le"), TASKS, n_window=16000, n_hop=8000))


@pytest.mark.parametrize(("form", "kind"), [("WAV", "a WAV"), ("FLAC", "a FLAC"), ("OGG", "an Ogg")])
def test_a_file_with_a_header_is_no_raw_sound(
    form: str, kind: str, model: WindowModel, pipe: tuple[int, IO[bytes]], tmp_path: Path
) -> None:
    sf.write(tmp_path / "a", np.zeros(16000), 16000, format=form)
    pcm, content = Pcm(8000, 2, "f32le"), (tmp_path / "a").read_bytes()
    told = f"{kind} file, expected raw samples; pipe it through ffmpeg -v error -i - -f f32le -ac 2 -ar 8000 -"
    with pytest.raises(DataError, match=told):
        list(listen(model, fed(content, pipe), pcm, TASKS, n_window=16000, n_hop=8000))


def begin(untrained: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "audiostride.cli.main", "listen", str(untrained), "--threshold", "0", *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_the_command_prints_a_line_before_more_comes_and_ends_with_its_input(untrained: Path) -> None:
    process = begin(untrained, "--task", "tone")
    assert process.stdin is not None
    assert process.stdout is not None
    for n_samples, times in ((16000, b"0.000\t1.000"), (8000, b"0.500\t1.500")):
        process.stdin.write(bytes(2 * n_samples))
        process.stdin.flush()
        start, end, task, name, probability = process.stdout.readline().split(b"\t")
        assert start + b"\t" + end == times
        assert (task, name in (b"low", b"mid", b"high")) == (b"tone", True)
        assert 1 / 3 < float(probability) <= 1
    rest, told = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, b"")
    assert b"Traceback" not in told


def test_the_command_ends_with_an_error_where_no_sound_came(untrained: Path) -> None:
    process = begin(untrained)
    rest, told = process.communicate(b"", timeout=60)
    assert (process.returncode, rest) == (1, b"")
    assert told.splitlines()[-1] == b"standard input: ended before any sound came"


def test_a_terminal_is_refused_with_what_to_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    descriptors = os.openpty()
    monkeypatch.setattr("audiostride.cli.listen.STDIN", descriptors[1])
    assert run(monkeypatch, "listen", "m.onnx", "--sample-rate", 44100) == 2
    assert "arecord -q -t raw -f S16_LE -r 44100 | audiostride listen m.onnx" in capsys.readouterr().err
    for descriptor in descriptors:
        os.close(descriptor)


def test_the_command_is_quiet_when_nobody_reads_on(untrained: Path) -> None:
    process = begin(untrained)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(bytes(2 * 16000))
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.readline()  # of either task
    process.stdout.close()
    process.stdout = None
    process.stdin.write(bytes(2 * 16000))
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 0
    assert told.splitlines() == [
        "task place: its probabilities are not calibrated",
        "listening at 16000 Hz; Ctrl-C ends",
    ]
