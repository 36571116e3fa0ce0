"""Windows of recordings, each with the classes of the spans that it overlaps enough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audiostride.errors import ArgumentError

TOLERANCE_S = 1e-9  # of overlaps that are equal but for rounding
DECIMALS = 6  # of the seconds in a manifest
MAX_WINDOWS = 10_000_000  # of one recording
MarkedSpan = tuple[float, float, str]  # start and end in seconds, class


@dataclass(frozen=True)
class MinOverlap:
    """How much of a span a window must hold to get its class: `seconds` or `share`, whichever is met first.

    The share is that of the window or of the span: a long span need not lie in a window as a whole, nor fill a short
    one a window. A point lies in its window as a whole.

    Reference:
        `min_label_overlap` and `min_label_fraction` (of the span alone) of OpenSoundscape.
    """

    seconds: float | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> "MinOverlap":
        """Read `0.25s`, `50%` or both, between commas; a number alone is seconds.

        Raises:
            ArgumentError: anything else, or a share above 100 %.

        >>> MinOverlap.parse("0.25s,50%")
        MinOverlap(seconds=0.25, share=0.5)
        """
        values: dict[str, float] = {}
        for part in text.split(","):
            name = "share" if part.strip().endswith("%") else "seconds"
            try:
                value = float(part.strip().removesuffix("%" if name == "share" else "s"))
            except ValueError:
                value = math.nan
            value = value / 100 if name == "share" else value
            if name in values or not 0 <= value <= (1 if name == "share" else 1e9):
                raise ArgumentError("min_overlap", text, "expected seconds, percent or both, as 0.25s,50%")
            values[name] = value
        return cls(**values)

    def is_met(self, overlap_s: float, window_s: float, span_s: float) -> bool:
        """Tell whether an overlap is enough; a part of the span must lie in the window in any case."""
        if overlap_s <= 0:
            return False
        enough = [] if self.seconds is None else [self.seconds]
        if self.share is not None:
            enough += [self.share * window_s, self.share * span_s]
        return overlap_s + TOLERANCE_S >= min(enough)


@dataclass(frozen=True)
class Window:
    """A window and its classes.

    Attributes:
        is_marked: some span touches it, with enough overlap for its class or not.
    """

    start_s: float
    duration_s: float
    classes: tuple[str, ...]
    is_marked: bool


def window_starts(duration_s: float, window_s: float, hop_s: float) -> npt.NDArray[np.float64]:
    """Give the starts of windows every `hop_s`; the last one ends with the recording, so that nothing is left out.

    >>> window_starts(2.75, 1.0, 0.5).tolist()
    [0.0, 0.5, 1.0, 1.5, 1.75]
    """
    n_hops = math.floor(max(0.0, duration_s - window_s) / hop_s + TOLERANCE_S)
    if n_hops >= MAX_WINDOWS:
        raise ArgumentError(
            "hop_s", hop_s, f"gives {n_hops + 1} windows of one recording, expected {MAX_WINDOWS} at most"
        )
    starts = np.round(np.arange(n_hops + 1) * hop_s, DECIMALS)
    last = math.floor((duration_s - window_s) * 10**DECIMALS) / 10**DECIMALS
    return np.append(starts, last) if last > starts[-1] + 10**-DECIMALS else starts


def cut_windows(
    duration_s: float,
    spans: Sequence[MarkedSpan],
    *,
    window_s: float,
    hop_s: float,
    min_overlap: MinOverlap,
    background: str | None = None,
) -> tuple[list[Window], list[MarkedSpan]]:
    """Cut a recording into windows with classes.

    Args:
        duration_s: of the recording; a shorter one than a window is one window.
        spans: what is marked in it; one with an empty class labels nothing.
        window_s: length of a window.
        hop_s: from the start of one to that of the next.
        min_overlap: of a window and a span, for the window to get the span's class.
        background: a class that means nothing: it gives way to any other class in its window.

    Returns:
        The windows, and the spans whose class no window got.
    """
    starts = window_starts(duration_s, window_s, hop_s)
    length_s = min(window_s, duration_s)
    names: list[set[str]] = [set() for _ in starts]
    marked = np.zeros(len(starts), bool)
    unused = []
    begins = starts.tolist()
    for span in spans:
        start_s, end_s, name = span
        first = int(np.searchsorted(starts, start_s - length_s, "right"))
        stop = int(np.searchsorted(starts, end_s, "left" if end_s > start_s else "right"))
        if end_s == start_s:  # a point at the very end, too
            first = min(first, len(begins) - 1)
        marked[first:stop] = True
        is_used = not name
        for i in range(first, stop) if name else ():
            overlap_s = min(end_s, begins[i] + length_s) - max(start_s, begins[i])
            if end_s == start_s or min_overlap.is_met(overlap_s, length_s, end_s - start_s):
                names[i].add(name)
                is_used = True
        if not is_used:
            unused.append(span)
    for of_window in names:
        if len(of_window) > 1 and background is not None:
            of_window.discard(background)
    windows = [
        Window(begin, round(length_s, DECIMALS), tuple(sorted(of_window)), is_marked)
        for begin, of_window, is_marked in zip(begins, names, marked.tolist(), strict=True)
    ]
    return windows, unused
