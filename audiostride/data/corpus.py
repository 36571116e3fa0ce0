"""A manifest with its recordings: those of the wanted splits decoded and packed."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiostride.data.audio import why_not_there
from audiostride.data.cache import PackedAudio, pack_audio
from audiostride.data.manifest import Clip, Manifest, require_files
from audiostride.data.packed import PackedClip
from audiostride.data.targets import has_label
from audiostride.errors import DataError, listing
from audiostride.vocabulary import Kind


@dataclass(frozen=True)
class Corpus:
    """The usable clips of a manifest, each with its samples `(time,)` and the checksum of its recording."""

    manifest: Manifest
    clips: tuple[Clip, ...]
    samples: tuple[PackedClip, ...]
    checksums: tuple[int, ...]

    def select(self, split: str, columns: Collection[tuple[str, Kind]]) -> list[int]:
        """Give indices of the clips of `split` that have a label in one of `columns` at least, of a kind of task."""
        return [
            i
            for i, clip in enumerate(self.clips)
            if clip.split == split and any(has_label(clip, column, kind) for column, kind in columns)
        ]


def check_bad_files(bad: Sequence[str], max_bad_files: int) -> str | None:
    """Give a note on what is left out, or None; DataError if more is bad than allowed."""
    if not bad:
        return None
    bad = sorted(set(bad))  # one for all clips of a recording
    text = listing(bad)
    if len(bad) > max_bad_files:
        raise DataError(f"{len(bad)} recording(s) cannot be used, data.max_bad_files allows {max_bad_files}:\n{text}")
    return f"{len(bad)} recording(s) left out:\n{text}"


def _segment(clip: Clip, packed: PackedAudio) -> PackedClip:
    samples = packed.samples[clip.path]
    start = round(clip.start_s * packed.sample_rate)
    stop = len(samples) if clip.duration_s is None else start + max(1, round(clip.duration_s * packed.sample_rate))
    return samples.segment(start, stop)


def open_corpora(
    manifests: Sequence[Manifest],
    splits: Collection[str],
    sample_rate: int,
    cache_dir: Path | None = None,
    *,
    n_workers: int | None = None,
    max_bad_files: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Corpus], str | None]:
    """Open manifests through the packed cache; also a note on recordings left out or decoded again, None for none.

    Raises:
        DataError: more than `max_bad_files` recordings that are missing (of any split), cannot be decoded or are
            shorter than their segment's start (all listed with the reason).
    """
    missing = require_files((clip for manifest in manifests for clip in manifest.clips), max_bad_files)
    wanted = [[clip for clip in manifest.clips if clip.split in splits] for manifest in manifests]
    paths = {clip.path for clips in wanted for clip in clips}
    packed = pack_audio(paths.difference(missing), sample_rate, cache_dir, n_workers, on_progress)
    reasons = {path: why_not_there(path) for path in missing} | dict(packed.bad)
    bad = [f"{path}: {reason}" for path, reason in reasons.items()]
    corpora = []
    for manifest, clips in zip(manifests, wanted, strict=True):
        usable, samples = [], []
        for clip in clips:
            if clip.path in reasons:
                continue
            if len(segment := _segment(clip, packed)) == 0:
                bad.append(f"{clip.path}: start_s={clip.start_s:g} lies beyond its end")
                continue
            usable.append(clip)
            samples.append(segment)
        checksums = tuple(packed.checksums[clip.path] for clip in usable)
        corpora.append(Corpus(manifest, tuple(usable), tuple(samples), checksums))
    notes = (packed.note, check_bad_files(bad, max_bad_files))
    return corpora, "\n".join(filter(None, notes)) or None
