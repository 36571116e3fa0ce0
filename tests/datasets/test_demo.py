"""The demo: the same bytes every time, and sounds that are what their labels say."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.data.manifest import Clip, read_manifest
from audiostride.datasets import demo, prepare
from audiostride.datasets.demo import FAMILIES, PITCHES, SAMPLE_RATE, render_demo, render_note, render_scene
from audiostride.errors import UserError

Clips = dict[str, list[Clip]]

SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def clips(root: Path) -> Clips:
    """The whole demo, rendered once."""
    return render_demo(root)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of fewer recordings."""
    monkeypatch.setattr(demo, "PITCHES", range(60, 62))
    monkeypatch.setattr(demo, "N_TAKES", {"train": 1, "valid": 1, "test": 1})
    monkeypatch.setattr(demo, "N_SCENES", {"train": 4, "valid": 2, "test": 2})


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.usefixtures("few")
def test_two_renderings_are_the_same_bytes(tmp_path: Path) -> None:
    prepare("demo", tmp_path / "first")
    prepare("demo", tmp_path / "second")
    assert digests(tmp_path / "first") == digests(tmp_path / "second")


@pytest.mark.usefixtures("few")
def test_no_two_recordings_are_the_same(tmp_path: Path) -> None:
    render_demo(tmp_path)
    of_content = digests(tmp_path)
    assert len(set(of_content.values())) == len(of_content) == 4 * 2 * 3 + 8


@pytest.mark.usefixtures("few")
def test_the_manifests_hold_the_recordings(tmp_path: Path) -> None:
    written = prepare("demo", tmp_path).manifests
    assert set(written) == {tmp_path / "notes.csv", tmp_path / "birds.csv"}
    for path, clips in written.items():
        assert read_manifest(path).clips == tuple(clips)


@pytest.mark.usefixtures("few")
def test_the_demo_takes_no_name_for_its_manifests(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^out=.*/one.csv: "):
        prepare("demo", tmp_path, tmp_path / "one.csv")


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("manifest", "label", "classes"),
    [
        ("notes.csv", "family", set(FAMILIES)),
        ("notes.csv", "pitch", {str(pitch) for pitch in PITCHES}),
        ("birds.csv", "bird", {"yes", "no"}),
    ],
)
def test_every_split_holds_every_class_equally_often(
    clips: Clips, manifest: str, label: str, classes: set[str], split: str
) -> None:
    counts = Counter(clip.labels[label] for clip in clips[manifest] if clip.split == split)
    assert set(counts) == classes
    assert len(set(counts.values())) == 1


@pytest.mark.parametrize("manifest", ["notes.csv", "birds.csv"])
def test_no_recording_is_in_two_splits(clips: Clips, manifest: str) -> None:
    paths = [clip.path for clip in clips[manifest]]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(("manifest", "duration_s"), [("notes.csv", 1.2), ("birds.csv", 2.0)])
def test_recordings_are_mono_at_16_khz(clips: Clips, manifest: str, duration_s: float) -> None:
    kinds = {(info.samplerate, info.channels, info.subtype, info.frames) for info in map(header, clips[manifest])}
    assert kinds == {(16000, 1, "PCM_16", round(duration_s * 16000))}


def header(clip: Clip) -> "sf._SoundFileInfo":
    return sf.info(clip.path)


@pytest.mark.parametrize("manifest", ["notes.csv", "birds.csv"])
def test_levels_lie_between_silence_and_full_scale(clips: Clips, manifest: str) -> None:
    peaks = [np.abs(sf.read(clip.path)[0]).max() for clip in clips[manifest]]
    assert min(peaks) > 0.03
    assert max(peaks) < 0.99


# sounds


def spectrum(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and the magnitude at each, about 0.2 Hz apart."""
    n = 5 * len(signal)
    return np.fft.rfftfreq(n, 1 / SAMPLE_RATE), np.abs(np.fft.rfft(signal * np.hanning(len(signal)), n))


def nominal_hz(pitch: int) -> float:
    return float(440 * 2 ** ((pitch - 69) / 12))


@pytest.mark.parametrize("pitch", [60, 65, 69, 71])
@pytest.mark.parametrize("family", sorted(FAMILIES))
class TestNote:
    def test_the_fundamental_is_that_of_its_pitch(self, family: str, pitch: int) -> None:
        hz, magnitude = spectrum(render_note(family, pitch, np.random.default_rng(pitch)))
        near = (hz > nominal_hz(pitch - 2)) & (hz < nominal_hz(pitch + 2))
        found = hz[near][np.argmax(magnitude[near])]
        assert abs(12 * np.log2(found / nominal_hz(pitch))) < 0.15  # semitones

    def test_nothing_sounds_below_its_fundamental(self, family: str, pitch: int) -> None:
        hz, magnitude = spectrum(render_note(family, pitch, np.random.default_rng(pitch)))
        fundamental = magnitude[np.abs(hz - nominal_hz(pitch)) < 5].max()
        assert magnitude[hz < nominal_hz(pitch - 3)].max() < 0.1 * fundamental


@pytest.mark.parametrize("seed", range(5))
def test_a_bird_adds_energy_where_birds_sing(seed: int) -> None:
    with_bird, without = (render_scene(np.random.default_rng(seed), has_bird=has_bird) for has_bird in (True, False))
    hz, chirps = spectrum(with_bird - without)
    band = (hz > 2000) & (hz < 7500)
    assert (chirps[band] ** 2).sum() > 0.95 * (chirps**2).sum() > 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("second", [0, 1])
def test_a_bird_sings_in_every_second(seed: int, second: int) -> None:
    with_bird, without = (render_scene(np.random.default_rng(seed), has_bird=has_bird) for has_bird in (True, False))
    chirps = (with_bird - without)[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE]
    assert np.abs(chirps).max() > 0.03
