"""Look through all recordings of a manifest: what cannot be used, and what one should know before training."""

import hashlib
import math
import multiprocessing
import os
import signal
import threading
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from audiostride.data.audio import BadAudioError, open_audio, read_channels
from audiostride.data.class_counts import Counts, count_classes
from audiostride.data.manifest import Clip, Manifest, split_labels
from audiostride.errors import DataError
from audiostride.files import csv_text, path_text, write_text_atomic
from audiostride.vocabulary import LABELS_COLUMN

SILENCE_DB = -80.0  # a recording whose peak is below it is silent
FULL_SCALE = 1 - 2**-14  # samples at or above it are at the end of the range
CLIPPED_SHARE = 1e-3  # a recording with more of its samples there is clipped
FINGERPRINT_STEP = 64  # of the frames, every so-many-th


@dataclass(frozen=True)
class Recording:
    """What one file holds; `problem` is None if it can be used, and only then is the rest known."""

    path: Path
    problem: str | None
    duration_s: float = 0.0
    peak: float = 0.0
    clipped_share: float = 0.0
    fingerprint: tuple[int, ...] = ()  # equal for files with the same samples, and for few others

    @property
    def is_silent(self) -> bool:
        """Tell whether nothing can be heard."""
        return self.problem is None and self.peak < 10 ** (SILENCE_DB / 20)

    @property
    def is_clipped(self) -> bool:
        """Tell whether too many samples stand at full scale."""
        return self.clipped_share > CLIPPED_SHARE


@dataclass(frozen=True)
class Scan:
    """All files of a manifest."""

    manifest: Manifest
    recordings: Sequence[Recording]
    duplicates: Sequence[Sequence[Path]]  # groups of files in several splits with the same samples

    @cached_property
    def bad(self) -> list[Recording]:
        """Give what training would leave out: files, and segments that begin after the end of theirs."""
        return [r for r in self.recordings if r.problem is not None] + _beyond_the_end(self.manifest, self.recordings)

    @cached_property
    def silent(self) -> list[Recording]:
        """List the recordings in which nothing can be heard."""
        return [r for r in self.recordings if r.is_silent]

    @cached_property
    def clipped(self) -> list[Recording]:
        """List the recordings with too many samples at full scale."""
        return [r for r in self.recordings if r.is_clipped]

    @cached_property
    def balance(self) -> Mapping[str, Mapping[str, Counter[str]]]:
        """Give number of clips per label column, class and split; a clip counts for each class in `labels`."""
        counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for clip in self.manifest.clips:
            for column, label in clip.labels.items():
                for name in split_labels(label) if column == LABELS_COLUMN else (label,):
                    counts[column][name][clip.split] += 1
        return counts

    @cached_property
    def class_counts(self) -> Counts:
        """Give what there is of every class of the column `labels`, by class and split."""
        durations = {r.path: r.duration_s for r in self.recordings if r.problem is None}
        return count_classes(self.manifest, durations)


def scan_file(path: Path) -> Recording:
    """Decode one file to its end."""
    crc, peak, n_clipped, n_samples = 0, 0.0, 0, 0
    try:
        with open_audio(path) as file:
            duration_s = file.frames / file.samplerate
            for block in read_channels(file, file.frames, path):
                block_peak = max(float(block.max()), -float(block.min()))
                if block_peak >= FULL_SCALE:
                    n_clipped += int(np.count_nonzero(np.abs(block) >= FULL_SCALE))
                peak = max(peak, block_peak)
                n_samples += block.size
                crc = zlib.crc32(block[::FINGERPRINT_STEP].tobytes(), crc)
    except (BadAudioError, OSError) as error:
        return Recording(path, str(error))
    return Recording(path, None, duration_s, peak, n_clipped / n_samples, (n_samples, crc))


def _digest(path: Path) -> bytes:
    """Compute a digest of all decoded samples of a file that is known to be good."""
    digest = hashlib.sha256()
    with open_audio(path) as file:
        for block in read_channels(file, file.frames, path):
            digest.update(block.data)
    return digest.digest()


def _grouped(
    paths: Iterable[Path], key: Callable[[Path], Hashable], splits: Mapping[Path, set[str]]
) -> list[list[Path]]:
    """Give the paths by `key`: groups of at least two that are in several splits."""
    groups: dict[Hashable, list[Path]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    several = (group for group in groups.values() if len(group) > 1)
    return [group for group in several if len(set().union(*(splits[path] for path in group))) > 1]


def _overlap(clips: Sequence[Clip]) -> bool:
    """Tell whether clips of one file share samples across splits."""
    by_start = sorted(clips, key=lambda clip: clip.start_s)
    ends: dict[str, float] = {}  # the furthest of every split so far
    for clip in by_start:
        if any(clip.start_s < end for split, end in ends.items() if split != clip.split):
            return True
        end = math.inf if clip.duration_s is None else clip.start_s + clip.duration_s
        ends[clip.split] = max(end, ends.get(clip.split, 0.0))
    return False


def _beyond_the_end(manifest: Manifest, recordings: Sequence[Recording]) -> list[Recording]:
    """Give segments that begin after the end of their file, each as a recording with that problem."""
    durations = {r.path: r.duration_s for r in recordings if r.problem is None}
    return [
        Recording(clip.path, f"start_s={clip.start_s:g} lies beyond its end at {durations[clip.path]:.2f} s")
        for clip in manifest.clips
        if clip.start_s >= durations.get(clip.path, math.inf)
    ]


def find_duplicates(manifest: Manifest, recordings: Sequence[Recording]) -> list[list[Path]]:
    """Give groups of files in several splits with the same samples; silence is no content.

    Only files of the same fingerprint are decoded again and compared whole.
    """
    clips: dict[Path, list[Clip]] = defaultdict(list)
    for clip in manifest.clips:
        clips[clip.path].append(clip)
    splits = {path: {clip.split for clip in of_path} for path, of_path in clips.items()}
    fingerprints = {r.path: r.fingerprint for r in recordings if r.problem is None and not r.is_silent}
    alone = [[path] for path in fingerprints if len(splits[path]) > 1 and _overlap(clips[path])]
    alike = _grouped(fingerprints, fingerprints.__getitem__, splits)
    return alone + [group for paths in alike for group in _grouped(paths, _digest, splits)]


def _end_with_the_parent() -> None:
    """End this worker once its parent has gone: it would wait for ever for work of a process that was killed."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def scan_files(paths: Sequence[Path], n_workers: int) -> Iterator[Recording]:
    """`scan_file` of every path in order, in `n_workers` processes (in this one for 1): short files keep one busy.

    Raises:
        DataError: a process was killed, for lack of memory as a rule.
    """
    if n_workers == 1 or len(paths) < 2:
        yield from map(scan_file, paths)
        return
    chunk = max(1, min(64, len(paths) // (4 * n_workers)))
    n_workers = min(n_workers, -(-len(paths) // chunk))
    with ProcessPoolExecutor(n_workers, multiprocessing.get_context("spawn"), _end_with_the_parent) as pool:
        # processes start here, and take over that interrupts are left to this one
        old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            recordings = pool.map(scan_file, paths, chunksize=chunk)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
        try:
            yield from recordings
        except BrokenProcessPool as error:
            raise DataError("a process of the scan was killed; fewer of them need less memory (--jobs)") from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def scan_manifest(
    manifest: Manifest, n_workers: int | None = None, on_progress: Callable[[int, int], None] | None = None
) -> Scan:
    """Decode every file of a manifest in `n_workers` processes (by default one per processor)."""
    paths = list(dict.fromkeys(clip.path for clip in manifest.clips))
    recordings = []
    for recording in scan_files(paths, n_workers or os.cpu_count() or 1):
        recordings.append(recording)
        if on_progress is not None:
            on_progress(len(recordings), len(paths))
    return Scan(manifest, recordings, find_duplicates(manifest, recordings))


def write_quarantine(path: Path, scan: Scan) -> None:
    """Write what cannot be used as CSV: path and reason."""
    rows = [[path_text(recording.path), recording.problem] for recording in scan.bad]
    write_text_atomic(path, csv_text([["path", "problem"], *rows]))
