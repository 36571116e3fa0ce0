"""Mix recordings of birds and of scenes into a data set in which several classes are heard at once.

    python docs/scripts/make_mixtures.py BIRDS SCENES DEST [--seed N] [--mixtures 1000]
    audiostride scan DEST/manifest.csv

BIRDS has the layout of DCASE 2018 task 3 (a CSV with `hasbird`), SCENES that of TUT Urban Acoustic Scenes 2018. DEST
gets WAV files in `audio`, `manifest.csv`, and `mixtures.csv`, which says what each was mixed of and at which ratio.

The manifest has the columns `path,start_s,duration_s,split,labels`, then `bird` and one for every scene, which hold
`yes` or `no`. In `labels` stand `bird`, if one sings, and the scenes, joined by `;`. Of every split

- 40 % are a recording with birds and one of a scene, 20 % a recording without birds and one of a scene, the same
  one where that of the first is known, so that scenes are heard alone too;
- 25 % are recordings of two scenes;
- 15 % have no label: a recording without birds whose scene is unknown, or if there is none, noise of some colour.

Two recordings are added at a ratio of their energies drawn evenly from -10 to 10 dB; the shorter one repeats. A
recording that both data sets have has the labels of both. A scene is taken to have no birds unless BIRDS says so.

All recordings of one source are in one split. Names with the same number of five or more digits, as of freesound.org,
are one source; without such a number it is the location of a scene, or the item. The data sets' own splits are left
aside, since neither knows the sources of the other.
"""

import argparse
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import torch

from audiostride.data.audio import BadAudioError, Waveform, read_blocks, to_int16
from audiostride.data.coloured_noise import EXPONENTS, replace_by_noise
from audiostride.data.manifest import LABEL_SEPARATOR, LABELS_COLUMN, SPLITS, Clip, write_windows
from audiostride.datasets.birds import read_birds
from audiostride.datasets.grouped_splits import share_out, split_groups
from audiostride.datasets.tables import read_rows
from audiostride.datasets.tut_scenes import NAME, read_tut_scenes
from audiostride.errors import DataError, UserError
from audiostride.files import csv_text, write_atomic, write_text_atomic

RATE = 16000
BIRD, YES_NO = "bird", ("no", "yes")
SHARES = (0.7, 0.15, 0.15)  # of train, valid and test
SNR_DB = (-10.0, 10.0)
NOISE_DB = (-60.0, -20.0)  # of full scale
PEAK = 0.9  # the highest of a mixture
KINDS = {"bird and scene": 0.4, "no bird and scene": 0.2, "two scenes": 0.25, "no label": 0.15}


@dataclass(frozen=True)
class Recording:
    """What the data sets say of the samples of a file."""

    path: Path
    source: str
    classes: frozenset[str]
    is_listed: bool  # among the birds


@dataclass(frozen=True)
class Mixture:
    """A waveform `(time,)`, its classes, the recordings in it, and the ratio of their energies in dB."""

    waveform: Waveform
    classes: frozenset[str] = frozenset()
    recordings: Sequence[Recording] = ()
    snr_db: float | None = None


def read_waveform(path: Path) -> Waveform:
    try:
        return np.concatenate(list(read_blocks(path, RATE)))
    except BadAudioError as error:
        raise DataError(f"{path}: {error}") from error


def source_of(name: str) -> str:
    """Give the number of a recording on freesound.org, which both data sets have in names, or else the name."""
    number = re.search(r"\d{5,}", name)
    return number[0] if number else name


def clips_of(birds: Path, scenes: Path) -> Iterator[tuple[Clip, str]]:
    """Yield the clips of both data sets, with what tells their source."""
    rows = read_rows(scenes / "meta.csv", ("filename", "identifier"), NAME, delimiter="\t")
    places = {scenes / row["filename"]: row["identifier"] for row in rows}
    yield from ((clip, places[clip.path]) for clip in read_tut_scenes(scenes))
    yield from ((clip, clip.path.stem) for clip in read_birds(birds))


def read_recordings(birds: Path, scenes: Path) -> list[Recording]:
    """Give every recording that can be heard, once; one in both data sets has the classes of both."""
    of_samples: dict[bytes, Recording] = {}
    for clip, name in clips_of(birds, scenes):
        waveform = read_waveform(clip.path)
        if not waveform.any():
            continue
        key = hashlib.sha256(waveform.tobytes()).digest()
        classes = frozenset(clip.labels.values()) - {"no_bird"}
        known = of_samples.get(key, Recording(clip.path, source_of(name), frozenset(), is_listed=False))
        is_listed = known.is_listed or BIRD in clip.labels
        of_samples[key] = Recording(known.path, known.source, known.classes | classes, is_listed)
    return list(of_samples.values())


def split_recordings(recordings: Sequence[Recording], seed: int) -> Mapping[str, list[Recording]]:
    """Split whole sources, those with the same classes in the shares of the splits."""
    classes: dict[str, frozenset[str]] = defaultdict(frozenset)
    for recording in recordings:
        classes[recording.source] |= recording.classes
    splits: dict[str, str] = {}
    for alike in sorted(set(map(tuple, map(sorted, classes.values())))):
        splits |= split_groups((source for source in classes if tuple(sorted(classes[source])) == alike), SHARES, seed)
    return {split: [r for r in recordings if splits[r.source] == split] for split in SPLITS}


class Mixer:
    """Draws mixtures of the recordings of a split.

    Args:
        split: its name, for errors.
        recordings: all of the split.
        scenes: the names of the scenes.
        rng: what draws.
    """

    def __init__(
        self, split: str, recordings: Sequence[Recording], scenes: Sequence[str], rng: np.random.Generator
    ) -> None:
        self.split, self.rng = split, rng
        self.birds = [r for r in recordings if BIRD in r.classes]
        self.others = [r for r in recordings if r.is_listed and BIRD not in r.classes]
        self.unlabelled = [r for r in self.others if not r.classes]
        self.scenes = {name: [r for r in recordings if r.classes == {name}] for name in scenes}
        pools = {"with birds": self.birds, "without birds": self.others} | {
            f"of {k}": v for k, v in self.scenes.items()
        }
        for what, pool in pools.items():
            if not pool:
                raise UserError(f"{split}: no recording {what}; expected one from a source of its own in every split")

    def _one(self, pool: Sequence[Recording]) -> Recording:
        return pool[self.rng.integers(len(pool))]

    def _scene(self, names: Iterable[str], source: str = "") -> Recording:
        """Draw one of `names`, then a recording of it that is not of `source`; if there is none, one of any scene."""
        for known in (sorted(names), self.scenes):
            pools = [[r for r in self.scenes[name] if r.source != source] for name in known]
            if pools := [pool for pool in pools if pool]:
                return self._one(pools[self.rng.integers(len(pools))])
        raise UserError(f"{self.split}: no scene of another source than {source}")

    def _mix(self, first: Recording, second: Recording) -> Mixture:
        a, b = (read_waveform(recording.path) for recording in (first, second))
        n, snr_db = max(len(a), len(b)), float(self.rng.uniform(*SNR_DB))
        a, b = np.resize(a, n), np.resize(b, n)
        ratio = np.square(a, dtype=np.float64).sum() / np.square(b, dtype=np.float64).sum()
        mixed = a + b * np.float32(np.sqrt(ratio / 10 ** (snr_db / 10)))
        mixed *= min(1, PEAK / np.abs(mixed).max())
        return Mixture(mixed, first.classes | second.classes, (first, second), snr_db)

    def _without_label(self, n_samples: int) -> Mixture:
        if self.unlabelled:
            recording = self._one(self.unlabelled)
            return Mixture(read_waveform(recording.path), recordings=(recording,))
        torch.manual_seed(int(self.rng.integers(2**62)))
        noise = replace_by_noise(torch.zeros(1, n_samples), torch.tensor([True]), tuple(EXPONENTS), NOISE_DB)
        return Mixture(noise[0].numpy())

    def draw(self, kind: str) -> Mixture:
        """Draw a mixture of one of `KINDS`."""
        if kind == "two scenes":
            first = self._scene(self.scenes)
            return self._mix(first, self._scene(self.scenes.keys() - first.classes, first.source))
        if kind == "no label":
            return self._without_label(len(read_waveform(self._scene(self.scenes).path)))
        if kind == "bird and scene":
            first = self._one(self.birds)
            return self._mix(first, self._scene(self.scenes, first.source))
        first = self._one(self.others)
        return self._mix(first, self._scene(first.classes or self.scenes, first.source))


def clip_of(path: Path, split: str, mixture: Mixture, columns: Sequence[str]) -> Clip:
    answers = {name: YES_NO[name in mixture.classes] for name in columns}
    labels = {LABELS_COLUMN: LABEL_SEPARATOR.join(sorted(mixture.classes))} if mixture.classes else {}
    return Clip(path, split, labels | answers, 0.0, len(mixture.waveform) / RATE)


def write_wav(path: Path, waveform: Waveform) -> None:
    file = io.BytesIO()
    sf.write(file, to_int16(waveform), RATE, format="WAV", subtype="PCM_16")
    write_atomic(path, file.getvalue())


def make_mixtures(birds: Path, scenes: Path, dest: Path, n_mixtures: int, seed: int) -> None:
    """Write the data set into a folder that is new or empty, its manifest last."""
    if dest.exists() and any(dest.iterdir()):
        raise UserError(f"{dest}: not empty, expected a new folder")
    recordings = read_recordings(birds, scenes)
    names = sorted({name for recording in recordings for name in recording.classes - {BIRD}})
    if len(names) < 2:
        raise UserError(f"{scenes}: holds the scene {', '.join(names) or 'none'} alone, expected two or more")
    rng = np.random.default_rng(seed)
    mixers = {
        split: Mixer(split, of_split, names, rng) for split, of_split in split_recordings(recordings, seed).items()
    }
    (dest / "audio").mkdir(parents=True, exist_ok=True)
    clips: list[Clip] = []
    rows: list[list[object]] = [["path", "kind", "first", "second", "snr_db"]]
    for (split, mixer), n_split in zip(mixers.items(), share_out(n_mixtures, SHARES), strict=True):
        counts = share_out(n_split, tuple(KINDS.values()))
        for i, kind in enumerate(kind for kind, n in zip(KINDS, counts, strict=True) for _ in range(n)):
            path, mixture = dest / "audio" / f"{split}_{i:05}.wav", mixer.draw(kind)
            write_wav(path, mixture.waveform)
            clips.append(clip_of(path, split, mixture, (BIRD, *names)))
            first, second, *_ = [*(r.path for r in mixture.recordings), "", ""]
            rows.append([path.relative_to(dest).as_posix(), kind, first, second, mixture.snr_db])
    write_text_atomic(dest / "mixtures.csv", csv_text(rows))
    write_windows(dest / "manifest.csv", clips)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("birds", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("dest", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mixtures", type=int, default=1000)
    options = parser.parse_args()
    if options.mixtures < 1:
        parser.error(f"--mixtures {options.mixtures}: expected 1 or more")
    try:
        make_mixtures(options.birds, options.scenes, options.dest, options.mixtures, options.seed)
    except (UserError, DataError) as error:
        parser.error(str(error))
    print(f"wrote {options.dest / 'manifest.csv'}")


if __name__ == "__main__":
    main()
