"""Consecutive windows of fixed length, to evaluate on and to predict; without torch, which takes seconds to import."""

from collections.abc import Iterable, Iterator

import numpy as np

from audiostride.data.audio import Waveform


def consecutive_windows(blocks: Iterable[Waveform], n_window: int, n_hop: int) -> Iterator[Waveform]:
    """Cut a stream of samples into windows `(n_window,)` every `n_hop` samples, in constant memory.

    The last window is zero-padded, and dropped if it holds under half a window of audio; the
    only window of a clip is never dropped. No window follows one that reached the end.

    >>> [int(w.sum()) for w in consecutive_windows([np.ones(250, np.float32)], 100, 100)]
    [100, 100, 50]
    """
    if n_window < 1 or n_hop < 1:
        raise ValueError(f"n_window and n_hop must be at least 1 sample, got {n_window} and {n_hop}")
    buffer = np.zeros(0, np.float32)
    start, only = 0, True
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) - start >= n_window:
            yield buffer[start : start + n_window]
            start, only = start + n_hop, False
        buffer, start = buffer[start:], max(0, start - len(buffer))
    tail = buffer[start:]
    n_new = len(tail) - max(0, n_window - n_hop)  # what the window before did not hold
    if only or (n_new > 0 and 2 * len(tail) >= n_window):
        yield np.pad(tail, (0, n_window - len(tail)))
