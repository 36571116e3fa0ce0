"""Look through all recordings of a manifest: what cannot be used, and what one should know before training."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from audiostride.data.audio import BadAudioError, open_audio, read_channels
from audiostride.data.manifest import Manifest
from audiostride.files import csv_text, write_text_atomic

SILENCE_DB = -80.0  # a recording whose peak is below it is silent
FULL_SCALE = 1 - 2**-14  # samples at or above it are at the end of the range
CLIPPED_SHARE = 1e-3  # a recording with more of its samples there is clipped


@dataclass(frozen=True)
class Recording:
    """What one file holds; `problem` is None if it can be used, and only then is the rest known."""

    path: Path
    problem: str | None
    duration_s: float = 0.0
    peak: float = 0.0
    clipped_share: float = 0.0
    content: str = ""  # a digest of the decoded samples

    @property
    def is_silent(self) -> bool:
        return self.problem is None and self.peak < 10 ** (SILENCE_DB / 20)

    @property
    def is_clipped(self) -> bool:
        return self.clipped_share > CLIPPED_SHARE


@dataclass(frozen=True)
class Scan:
    """All files of a manifest."""

    manifest: Manifest
    recordings: Sequence[Recording]

    @cached_property
    def bad(self) -> list[Recording]:
        """What training would leave out."""
        return [r for r in self.recordings if r.problem is not None]

    @cached_property
    def silent(self) -> list[Recording]:
        return [r for r in self.recordings if r.is_silent]

    @cached_property
    def clipped(self) -> list[Recording]:
        return [r for r in self.recordings if r.is_clipped]

    @cached_property
    def duplicates(self) -> list[list[Path]]:
        """Groups of files in several splits with the same samples; silence is no content."""
        splits: dict[Path, set[str]] = defaultdict(set)
        for clip in self.manifest.clips:
            splits[clip.path].add(clip.split)
        groups: dict[str, list[Path]] = defaultdict(list)
        for recording in self.recordings:
            if recording.problem is None and not recording.is_silent:
                groups[recording.content].append(recording.path)
        return [
            paths
            for paths in groups.values()
            if len(paths) > 1 and len(set().union(*(splits[path] for path in paths))) > 1
        ]

    @cached_property
    def balance(self) -> Mapping[str, Mapping[str, Counter[str]]]:
        """Number of clips per label column, class and split."""
        counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for clip in self.manifest.clips:
            for column, label in clip.labels.items():
                counts[column][label][clip.split] += 1
        return counts


def scan_file(path: Path) -> Recording:
    """Decode one file to its end."""
    digest, peak, n_clipped, n_samples = hashlib.blake2b(digest_size=16), 0.0, 0, 0
    try:
        with open_audio(path) as file:
            duration_s = file.frames / file.samplerate
            for block in read_channels(file, file.frames):
                level = np.abs(block)
                peak = max(peak, float(level.max()))
                if peak >= FULL_SCALE:
                    n_clipped += int(np.count_nonzero(level >= FULL_SCALE))
                n_samples += block.size
                digest.update(block.data)
    except (BadAudioError, OSError) as error:
        return Recording(path, str(error))
    return Recording(path, None, duration_s, peak, n_clipped / n_samples, digest.hexdigest())


def scan_manifest(
    manifest: Manifest, n_workers: int | None = None, on_progress: Callable[[int, int], None] | None = None
) -> Scan:
    """Decode every file of a manifest, each once, in `n_workers` threads (by default one per processor)."""
    paths = list(dict.fromkeys(clip.path for clip in manifest.clips))
    recordings = []
    with ThreadPoolExecutor(n_workers) as pool:
        try:
            for recording in pool.map(scan_file, paths):
                recordings.append(recording)
                if on_progress is not None:
                    on_progress(len(recordings), len(paths))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return Scan(manifest, recordings)


def write_quarantine(path: Path, scan: Scan) -> None:
    """Write what cannot be used as CSV: path and reason."""
    rows = [[recording.path, recording.problem] for recording in scan.bad]
    write_text_atomic(path, csv_text([["path", "problem"], *rows]))
