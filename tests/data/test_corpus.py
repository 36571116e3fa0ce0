"""A corpus: nothing missing, nothing silently left out, every segment in its place."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from audiostride.data.corpus import Corpus, open_corpora
from audiostride.data.manifest import Clip, Manifest
from audiostride.errors import DataError

Open = Callable[..., tuple[Corpus, str | None]]

RATE = 8000
N = 2 * RATE  # samples of every recording


@pytest.fixture
def samples(tmp_path: Path) -> npt.NDArray[np.int16]:
    """What `a.wav` and `b.wav` hold; `text.wav`, `empty.wav` and `cut.wav` cannot be used."""
    samples = np.random.default_rng(0).integers(-30000, 30000, N).astype(np.int16)
    for name in ("a.wav", "b.wav", "cut.wav"):
        sf.write(tmp_path / name, samples, RATE, subtype="PCM_16")
    (tmp_path / "cut.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:10000])
    (tmp_path / "text.wav").write_text("not a sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    return samples


@pytest.fixture
def opened(tmp_path: Path, samples: npt.NDArray[np.int16]) -> Open:
    """Opens the clips named; one named with a split as in `a.wav:test`, else of the split train."""

    def open_(*clips: str | Clip, splits: tuple[str, ...] = ("train",), **options: int) -> tuple[Corpus, str | None]:
        manifest = Manifest(tmp_path / "m.csv", tuple(map(clip, clips)), ("label",))
        (corpus,), note = open_corpora([manifest], splits, RATE, tmp_path / "cache", **options)
        return corpus, note

    def clip(named: str | Clip) -> Clip:
        if isinstance(named, Clip):
            return Clip(tmp_path / named.path, named.split, named.labels, named.start_s, named.duration_s)
        name, _, split = named.partition(":")
        return Clip(tmp_path / name, split or "train", {"label": name})

    return open_


def segment(start_s: float, duration_s: float | None, path: str = "a.wav") -> Clip:
    return Clip(Path(path), "train", {"label": "x"}, start_s, duration_s)


def told(opened: Open, *clips: str | Clip, **options: int) -> str:
    with pytest.raises(DataError) as caught:
        opened(*clips, **options)
    return str(caught.value)


def test_clips_have_their_samples(opened: Open, samples: npt.NDArray[np.int16]) -> None:
    corpus, note = opened("a.wav", "b.wav")
    np.testing.assert_array_equal(corpus.samples, [samples, samples])
    assert note is None


def test_only_the_splits_asked_for_are_opened(opened: Open) -> None:
    corpus, note = opened("a.wav", "b.wav:valid", "text.wav:test", splits=("train", "valid"))
    assert [clip.path.name for clip in corpus.clips] == ["a.wav", "b.wav"]
    assert note is None


def test_select_finds_the_labelled_clips_of_a_split(opened: Open) -> None:
    unlabelled = Clip(Path("a.wav"), "valid", {"other": "x"})
    corpus, _ = opened("a.wav", unlabelled, "b.wav:valid", "b.wav", splits=("train", "valid"))
    assert corpus.select("valid", [("label", "single")]) == [2]
    assert corpus.select("train", [("label", "single")]) == [0, 3]
    assert corpus.select("valid", [("label", "single"), ("other", "single")]) == [1, 2]


def test_manifests_that_share_recordings_have_a_corpus_each(tmp_path: Path, samples: npt.NDArray[np.int16]) -> None:
    clip = Clip(tmp_path / "a.wav", "train", {"label": "x"})
    manifests = [Manifest(tmp_path / f"{i}.csv", (clip,) * (i + 1), ("label",)) for i in range(2)]
    corpora, _ = open_corpora(manifests, ("train",), RATE, tmp_path / "cache")
    assert [len(corpus.clips) for corpus in corpora] == [1, 2]
    np.testing.assert_array_equal(corpora[1].samples[1], samples)


# segments


@pytest.mark.parametrize(
    ("start_s", "duration_s", "start", "stop"),
    [
        (0.0, None, 0, N),
        (0.5, None, 4000, N),
        (0.0, 0.25, 0, 2000),
        (0.5, 0.25, 4000, 6000),
        (1.5, 10.0, 12000, N),
        (1.0, 1e-6, 8000, 8001),
    ],
)
def test_a_segment_is_that_part_of_its_recording(
    opened: Open, samples: npt.NDArray[np.int16], start_s: float, duration_s: float | None, start: int, stop: int
) -> None:
    corpus, _ = opened(segment(start_s, duration_s))
    np.testing.assert_array_equal(corpus.samples[0], samples[start:stop])


def test_segments_of_one_recording_are_clips_of_their_own(opened: Open, samples: npt.NDArray[np.int16]) -> None:
    corpus, _ = opened(segment(0.0, 0.5), segment(0.5, 0.5), segment(1.0, 0.5))
    np.testing.assert_array_equal(np.concatenate(corpus.samples), samples[:12000])


@pytest.mark.parametrize("start_s", [2.0, 2.5, 1e6])
def test_a_segment_beyond_the_end_is_told(opened: Open, tmp_path: Path, start_s: float) -> None:
    assert f"{tmp_path / 'a.wav'}: start_s={start_s:g} lies beyond its end" in told(opened, segment(start_s, 1.0))


@pytest.mark.parametrize("bad_first", [False, True])
def test_a_segment_beyond_the_end_takes_no_other_segment_with_it(opened: Open, bad_first: bool) -> None:
    clips = [segment(9.0, 0.5), segment(0.0, 0.5)]
    corpus, _ = opened(*(clips if bad_first else clips[::-1]), max_bad_files=1)
    assert [clip.start_s for clip in corpus.clips] == [0.0]


def test_every_segment_beyond_the_end_is_told(opened: Open) -> None:
    message = told(opened, segment(8.0, 0.5), segment(9.0, 0.5))
    assert "start_s=8" in message
    assert "start_s=9" in message


# what cannot be used


BAD = ("text.wav", "empty.wav", "cut.wav")


@pytest.mark.parametrize("max_bad_files", [0, 2])
def test_more_bad_recordings_than_allowed_are_refused(opened: Open, max_bad_files: int) -> None:
    message = told(opened, "a.wav", *BAD, max_bad_files=max_bad_files)
    assert message.startswith(f"3 recording(s) cannot be used, data.max_bad_files allows {max_bad_files}:\n")


@pytest.mark.parametrize(
    ("name", "reason"), [("text.wav", "not audio"), ("empty.wav", "0 bytes"), ("cut.wav", "truncated")]
)
def test_every_bad_recording_is_told_with_its_reason(opened: Open, tmp_path: Path, name: str, reason: str) -> None:
    (line,) = [line for line in told(opened, "a.wav", *BAD).split("\n") if str(tmp_path / name) in line]
    assert reason in line


@pytest.mark.parametrize("max_bad_files", [3, 10])
def test_as_many_bad_recordings_as_allowed_are_left_out(opened: Open, max_bad_files: int) -> None:
    corpus, note = opened("text.wav", "a.wav", "empty.wav", "cut.wav", "b.wav", max_bad_files=max_bad_files)
    assert [clip.path.name for clip in corpus.clips] == ["a.wav", "b.wav"]
    assert len(corpus.samples) == 2
    assert note is not None


def test_what_is_left_out_is_noted_with_its_reason(opened: Open, tmp_path: Path) -> None:
    _, note = opened("a.wav", "empty.wav", max_bad_files=1)
    assert note == f"1 recording(s) left out:\n  {tmp_path / 'empty.wav'}: empty file (0 bytes)"


def test_clips_of_one_bad_recording_count_once(opened: Open) -> None:
    corpus, _ = opened(segment(0, 1, "text.wav"), segment(1, 1, "text.wav"), "a.wav", max_bad_files=1)
    assert len(corpus.clips) == 1


def test_missing_recordings_of_any_split_are_all_listed(opened: Open, tmp_path: Path) -> None:
    message = told(opened, "a.wav", "gone1.wav", "gone2.wav:test", "gone3.wav:unused", max_bad_files=2)
    expected = [f"  {tmp_path / f'gone{i}.wav'}" for i in (1, 2, 3)]
    assert message.split("\n") == ["3 of 4 recordings are missing, data.max_bad_files allows 2:", *expected]


def test_missing_recordings_are_left_out_as_far_as_allowed(opened: Open, tmp_path: Path) -> None:
    clips = ("gone.wav", "a.wav", "empty.wav", "gone2.wav:test", segment(1, 1, "gone.wav"))
    corpus, note = opened(*clips, max_bad_files=3)
    assert [clip.path.name for clip in corpus.clips] == ["a.wav"]
    assert note is not None
    assert note.startswith("3 recording(s) left out:\n")
    assert f"{tmp_path / 'gone.wav'}: no such file" in note
    assert told(opened, *clips, max_bad_files=2).startswith(
        "3 recording(s) cannot be used, data.max_bad_files allows 2"
    )


@pytest.mark.usefixtures("samples")
def test_missing_recordings_are_found_before_any_is_decoded(tmp_path: Path, opened: Open) -> None:
    told(opened, "a.wav", "gone.wav")
    assert not (tmp_path / "cache").exists()
