"""Windows of whole recordings at once, to find events at many thresholds without predicting anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from audiostride.prediction.detector import Rules
from audiostride.prediction.events import GAP_S
from audiostride.prediction.stream import Probabilities

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """The windows of recordings that lie end to end on one axis of time.

    `events` gives what a `Detector` and an `EventMerger` give for each recording. They take window by window, as a
    stream comes; this takes all windows in a few operations on arrays, as a curve over many thresholds needs.

    Shape:
        recordings: `(window,)`, the number of the recording, ascending.
        starts_s, ends_s: `(window,)`, ascending in each recording.
        probabilities: `(window, class)`.
    """

    recordings: npt.NDArray[np.intp]
    starts_s: Times
    ends_s: Times
    probabilities: Probabilities

    @classmethod
    def joined(cls, tracks: Sequence["Track"], offsets_s: Times) -> "Track":
        """Lay tracks of one recording each end to end, the `i`-th one from `offsets_s[i]` on."""
        return cls(
            np.repeat(np.arange(len(tracks)), [len(track.starts_s) for track in tracks]),
            np.concatenate([track.starts_s + offset for track, offset in zip(tracks, offsets_s, strict=True)]),
            np.concatenate([track.ends_s + offset for track, offset in zip(tracks, offsets_s, strict=True)]),
            np.concatenate([track.probabilities for track in tracks]),
        )

    def smoothed(self, smooth_s: float) -> "Track":
        """Average the probabilities over the windows of a recording that began in the last so many seconds."""
        if not smooth_s or not len(self.starts_s):
            return self
        first = np.searchsorted(self.starts_s, self.starts_s - smooth_s - GAP_S)
        first = np.maximum(first, np.searchsorted(self.recordings, self.recordings))  # none of another recording
        sums = np.concatenate([np.zeros_like(self.probabilities[:1]), self.probabilities.cumsum(axis=0)])
        stop = np.arange(1, len(first) + 1)
        return replace(self, probabilities=(sums[stop] - sums[first]) / (stop - first)[:, None])

    def events(self, column: int, threshold: float, rules: Rules) -> Times:
        """Find the events `(event, 2)` of a class, start and end in seconds, in smoothed windows.

        Args:
            column: of the class.
            threshold: that a window must reach.
            rules: how many windows confirm one, and how far apart windows of one event may lie.
        """
        k, n = rules.confirm
        hits = np.flatnonzero(self.probabilities[:, column] >= threshold)
        places = hits + n * self.recordings[hits]  # so that no window confirms one of another recording
        first = np.searchsorted(places, places - n + 1)  # the first hit among the last n windows
        confirmed = np.arange(len(hits)) - first + 1 >= k
        if not confirmed.any():
            return np.empty((0, 2))
        starts_s, ends_s = self.starts_s[hits[first[confirmed]]], self.ends_s[hits[confirmed]]
        owners = self.recordings[hits[confirmed]]
        is_new = (starts_s[1:] > ends_s[:-1] + rules.gap_s) | (owners[1:] != owners[:-1])
        begins = np.concatenate([[0], 1 + np.flatnonzero(is_new)])
        stops = np.append(begins[1:], len(starts_s))
        return np.stack([starts_s[begins], ends_s[stops - 1]], axis=1)
