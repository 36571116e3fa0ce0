"""The mixtures of birds and scenes: every recording is a tone, so that a mixture tells what it was made of."""

import csv
import runpy
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.data.manifest import read_manifest
from audiostride.data.scan import scan_manifest
from tests.datasets.tables import write

SCRIPT = Path(__file__).parents[1] / "docs/scripts/make_mixtures.py"
RATE, N_MIXTURES = 16000, 100


@dataclass(frozen=True)
class Tone:
    """A recording of a second, with the classes that both data sets together give it."""

    frequency_hz: int
    source: str
    classes: frozenset[str]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, 0.3 * np.sin(2 * np.pi * self.frequency_hz * np.arange(RATE) / RATE), RATE)


def render(root: Path) -> dict[int, Tone]:
    """Render both data sets below `root`; the tones by frequency.

    Of 18 sources of scenes, each with the takes a and b, those with even numbers are among the birds as well, one of
    them with birds: their take a, and a take c of an unknown scene. Four more sources with birds and four without are
    there alone, each with two takes.
    """
    tones: dict[int, Tone] = {}
    meta, items = ["filename\tscene_label\tidentifier"], ["itemid,datasetid,hasbird"]

    def tone(source: str, *classes: str) -> Tone:
        made = Tone(400 + 37 * len(tones), source, frozenset(classes))
        return tones.setdefault(made.frequency_hz, made)

    def add_item(item: str, recording: Tone) -> None:
        recording.write(root / f"birds/wav/{item}.wav")
        items.append(f"{item},ff1010bird,{int('bird' in recording.classes)}")

    def add_scene(name: str, scene: str, recording: Tone) -> None:
        recording.write(root / f"scenes/audio/{name}.wav")
        meta.append(f"audio/{name}.wav\t{scene}\t{scene}-{recording.source}")

    for number in map(str, range(10000, 10018)):
        scene = ("park", "tram")[int(number) % 4 // 2]
        sings = ["bird"] if number == "10004" else []
        both = tone(number, scene, *sings)
        add_scene(f"{scene}-{number}-a", scene, both)
        add_scene(f"{scene}-{number}-b", scene, tone(number, scene))
        if int(number) % 2 == 0:
            add_item(f"{number}a", both)
            add_item(f"{number}c", tone(number, *sings))
    for number in map(str, range(20000, 20008)):
        for take in "ab":
            add_item(f"{number}{take}", tone(number, *(["bird"] if number < "20004" else [])))
    names = [line.split("\t")[0] + "\n" for line in meta[1:]]
    write(root / "scenes/meta.csv", "\n".join(meta) + "\n")
    write(root / "scenes/evaluation_setup/fold1_train.txt", "".join(names[1:]))
    write(root / "scenes/evaluation_setup/fold1_test.txt", names[0])
    write(root / "birds/meta.csv", "\n".join(items) + "\n")
    return tones


def make(root: Path, dest: Path, *options: str) -> int:
    """Run the script; its exit code."""
    command = [str(SCRIPT), str(root / "birds"), str(root / "scenes"), str(dest), *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mixtures")


@pytest.fixture(scope="module")
def tones(root: Path) -> dict[int, Tone]:
    tones = render(root)
    assert make(root, root / "mix", f"--mixtures={N_MIXTURES}") == 0
    return tones


def heard(path: Path, tones: Mapping[int, Tone]) -> dict[Tone, float]:
    """The tones in a mixture, with their energies."""
    power = np.abs(np.fft.rfft(sf.read(path)[0])) ** 2
    return {tone: power[hz] for hz, tone in tones.items() if power[hz] > 1e-3 * power.max()}


def told(root: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((root / "mix/mixtures.csv").read_text().splitlines()))


def test_the_columns_are_those_of_windows_and_one_for_every_class(root: Path, tones: dict[int, Tone]) -> None:
    header = (root / "mix/manifest.csv").read_text().split("\n")[0]
    assert header == "path,start_s,duration_s,split,labels,bird,park,tram"
    clips = read_manifest(root / "mix/manifest.csv").clips
    assert len(clips) == N_MIXTURES
    assert {(clip.start_s, clip.duration_s) for clip in clips} == {(0.0, 1.0)}


def test_the_labels_are_what_is_heard(root: Path, tones: dict[int, Tone]) -> None:
    sets = set()
    for clip in read_manifest(root / "mix/manifest.csv").clips:
        found = heard(clip.path, tones)
        assert len(found) in (1, 2)
        classes = frozenset().union(*(tone.classes for tone in found))
        assert clip.labels.get("labels", "") == ";".join(sorted(classes))
        assert {name for name in ("bird", "park", "tram") if clip.labels[name] == "yes"} == classes
        sets.add(classes)
    assert {frozenset(), frozenset({"park"}), frozenset({"park", "tram"}), frozenset({"bird", "tram"})} <= sets


def test_ratios_are_in_their_range_and_as_told(root: Path, tones: dict[int, Tone]) -> None:
    ratios_db = []
    for row in told(root):
        found = heard(root / "mix" / row["path"], tones)
        assert len(found) == bool(row["first"]) + bool(row["second"])
        if row["second"]:
            first, second = (next(t for t in found if t.source in row[name]) for name in ("first", "second"))
            assert first.source != second.source
            ratios_db.append(10 * np.log10(found[first] / found[second]))
            assert ratios_db[-1] == pytest.approx(float(row["snr_db"]), abs=0.05)
    assert -10.05 < min(ratios_db) < -8
    assert 8 < max(ratios_db) < 10.05


def test_no_source_is_in_two_splits(root: Path, tones: dict[int, Tone]) -> None:
    splits = defaultdict(set)
    for clip in read_manifest(root / "mix/manifest.csv").clips:
        for tone in heard(clip.path, tones):
            splits[tone.source].add(clip.split)
    assert all(len(of_source) == 1 for of_source in splits.values())
    assert set().union(*splits.values()) == {"train", "valid", "test"}


def test_a_scan_finds_nothing_wrong(root: Path, tones: dict[int, Tone]) -> None:
    scan = scan_manifest(read_manifest(root / "mix/manifest.csv"), n_workers=1)
    assert [*scan.bad, *scan.silent, *scan.clipped, *scan.duplicates] == []


def test_a_seed_gives_the_same_bytes_and_another_one_others(root: Path, tones: dict[int, Tone], tmp_path: Path) -> None:
    for name, seed in (("again", 0), ("other", 1)):
        make(root, tmp_path / name, f"--mixtures={N_MIXTURES}", f"--seed={seed}")
    bytes_of = {
        folder: {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in (root / "mix", tmp_path / "again", tmp_path / "other")
    }
    first, again, other = bytes_of.values()
    assert again == first
    assert other != first


def test_where_all_scenes_are_known_what_has_no_label_is_noise(tmp_path: Path) -> None:
    render(tmp_path)
    items = (tmp_path / "birds/meta.csv").read_text().splitlines(keepends=True)
    unknown = [line for line in items if line.endswith(",0\n") and (line.startswith("2000") or "c," in line)]
    write(tmp_path / "birds/meta.csv", "".join(line for line in items if line not in unknown))
    assert make(tmp_path, tmp_path / "mix", "--mixtures=40") == 0
    rows = [row for row in told(tmp_path) if row["kind"] == "no label"]
    assert rows
    for row in rows:
        waveform = sf.read(tmp_path / "mix" / row["path"])[0]
        assert (row["first"], row["snr_db"]) == ("", "")
        assert len(waveform) == RATE
        assert -61 < 10 * np.log10(np.square(waveform).mean()) < -19


@pytest.mark.parametrize("case", ["no folder", "not empty", "broken", "no mixtures", "one scene"])
def test_a_mistake_is_told_and_no_manifest_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    if case != "no folder":
        render(tmp_path)
    if case == "not empty":
        write(tmp_path / "mix/notes.txt", "mine")
    if case == "broken":
        write(tmp_path / "birds/wav/20000a.wav", "RIFF")
    if case == "one scene":
        meta = tmp_path / "scenes/meta.csv"
        write(meta, meta.read_text().replace("\ttram\t", "\tpark\t"))
    assert make(tmp_path, tmp_path / "mix", "--mixtures=0" if case == "no mixtures" else "--mixtures=20") == 2
    expected = {
        "no folder": "scenes/meta.csv: not found",
        "not empty": "mix: not empty",
        "broken": "birds/wav/20000a.wav: ",
        "no mixtures": "--mixtures 0: expected 1 or more",
        "one scene": "holds the scene park alone",
    }
    assert expected[case] in capsys.readouterr().err
    assert not (tmp_path / "mix/manifest.csv").exists()
