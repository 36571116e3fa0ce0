"""A look at the recordings of a manifest: formats, lengths, classes, and the spectrum in use."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from audiostride.data.audio import BadAudioError, open_audio, read_blocks
from audiostride.data.manifest import Clip, Manifest, split_labels
from audiostride.drafts.spectrum import ClipLevels, Spectrum, band_edges, clip_levels, occupied_spectrum
from audiostride.errors import DataError, listing
from audiostride.vocabulary import LABELS_COLUMN

N_HEADERS = 2000  # recordings whose header is read
N_DECODED = 120  # clips that are listened to
N_SAMPLES = 40_000_000  # decoded in all
LONGEST_S = 10.0  # of a clip, from its middle
RARE_RATE_SHARE = 0.05  # recordings of a rate that so few have do not hold the others down


@dataclass(frozen=True)
class Header:
    """What the header of a recording says."""

    sample_rate: int
    n_channels: int
    duration_s: float


@dataclass(frozen=True)
class Survey:
    """What a manifest holds.

    Args:
        n_recordings: files, of which `headers` are those that were read and can be used.
        headers: by path.
        problems: recordings that cannot be used, with the reason.
        durations_s: of the clips with a known length, in ascending order.
        spectrum: the range of frequencies in use.
        n_listened: clips that the spectrum was measured on.
    """

    n_recordings: int
    headers: Mapping[Path, Header]
    problems: Mapping[Path, str]
    durations_s: Sequence[float]
    spectrum: Spectrum
    n_listened: int

    @property
    def rates(self) -> Counter[int]:
        """Count the recordings of every sample rate."""
        return Counter(header.sample_rate for header in self.headers.values())

    @property
    def channels(self) -> Counter[int]:
        """Count the recordings of every number of channels."""
        return Counter(header.n_channels for header in self.headers.values())

    @property
    def lowest_rate(self) -> int:
        """Give the lowest sample rate in Hz, of those that more than a few recordings have."""
        return min(rate for rate, n in self.rates.items() if n >= RARE_RATE_SHARE * len(self.headers))


def read_headers(paths: Sequence[Path]) -> tuple[dict[Path, Header], dict[Path, str]]:
    """Read the headers of recordings; those that cannot be used with the reason."""
    headers, problems = {}, {}
    for path in paths:
        try:
            with open_audio(path) as file:
                headers[path] = Header(file.samplerate, file.channels, file.frames / file.samplerate)
        except (BadAudioError, OSError) as error:
            problems[path] = str(error)
    return headers, problems


def _in_turn(clips: Sequence[Clip], label: str) -> Iterator[tuple[str, Clip]]:
    """Yield clips with their class, of every class in turn; a clip of several classes counts for the first."""
    of_class: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        text = clip.labels.get(label, "")
        of_class[(split_labels(text) or ("",))[0] if label == LABELS_COLUMN else text].append(clip)
    generator = random.Random(0)  # noqa: S311  no secret
    for of_one in of_class.values():
        generator.shuffle(of_one)
    rows = zip_longest(*([(name, clip) for clip in of_one] for name, of_one in sorted(of_class.items())))
    return (pair for pair in chain.from_iterable(rows) if pair is not None)


def _excerpt(clip: Clip, header: Header, longest_s: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Decode the middle of a clip at the rate of its recording."""
    duration_s = min(clip.duration_s or np.inf, header.duration_s - clip.start_s)
    length_s = min(duration_s, longest_s)
    start_s = clip.start_s + (duration_s - length_s) / 2
    return np.concatenate(list(read_blocks(clip.path, header.sample_rate, start_s, length_s)))


def survey_manifest(manifest: Manifest, label: str, on_progress: Callable[[int, int], None] | None = None) -> Survey:
    """Look at the recordings of a manifest: the headers of up to 2000, and up to 120 clips in full.

    Args:
        manifest: as `read_manifest` gives it.
        label: column of the classes.
        on_progress: called with the number of clips listened to, and of all that will be.

    Raises:
        DataError: no recording can be used.
    """
    paths = list(dict.fromkeys(clip.path for clip in manifest.clips))
    step = -(-len(paths) // N_HEADERS)
    headers, problems = read_headers(paths[::step])
    if not headers:
        lines = listing([f"{path}: {problem}" for path, problem in problems.items()])
        raise DataError(f"{manifest.path}: no recording of it can be used:\n{lines}")
    known = [c for c in manifest.clips if c.path in headers and c.start_s < headers[c.path].duration_s]
    durations = sorted(min(clip.duration_s or np.inf, headers[clip.path].duration_s - clip.start_s) for clip in known)
    chosen = list(_in_turn(known, label))[:N_DECODED]
    edges = band_edges(max(header.sample_rate for header in headers.values()) / 2)
    levels: dict[str, list[ClipLevels]] = defaultdict(list)
    for i, (name, clip) in enumerate(chosen):
        header = headers[clip.path]
        longest_s = min(LONGEST_S, N_SAMPLES / len(chosen) / header.sample_rate)
        try:
            waveform = _excerpt(clip, header, longest_s)
        except (BadAudioError, OSError) as error:
            problems[clip.path] = str(error)
            continue
        if (measured := clip_levels(waveform, header.sample_rate, edges)) is not None:
            levels[name].append(measured)
        if on_progress is not None:
            on_progress(i + 1, len(chosen))
    return Survey(
        len(paths),
        {path: header for path, header in headers.items() if path not in problems},
        problems,
        durations,
        occupied_spectrum(levels, edges),
        sum(map(len, levels.values())),
    )
