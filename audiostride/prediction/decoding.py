"""Windows of many recordings in order, decoded ahead in threads, in constant memory."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from threading import Event

from audiostride.data.audio import BadAudioError, Waveform, read_blocks
from audiostride.data.consecutive import consecutive_windows

N_AHEAD = 4  # recordings per thread that are begun before their turn, which keeps threads busy with short ones
POLL_S = 0.1


@dataclass(frozen=True)
class Source:
    """A recording to decode, or the part of one that begins at `start_s` and lasts `duration_s` (None: to the end)."""

    path: Path
    start_s: float = 0.0
    duration_s: float | None = None


@dataclass(frozen=True)
class Window:
    """A window `(n_window,)` and the samples it covers; a last one padded with zeros ends with the recording."""

    samples: Waveform
    start: int
    stop: int


@dataclass(frozen=True)
class Decoded:
    """The end of a recording: its length at the rate of the model."""

    n_samples: int


@dataclass(frozen=True)
class Failed:
    """The end of a recording that cannot be used, whatever came of it before."""

    reason: str


Part = Window | Decoded | Failed


def windows_with_ends(blocks: Iterator[Waveform], n_window: int, n_hop: int) -> Iterator[Window | Decoded]:
    """`consecutive_windows` with where they lie, then the length of the whole.

    >>> import numpy as np
    >>> blocks = iter([np.ones(250, np.float32)])
    >>> [(w.start, w.stop) if isinstance(w, Window) else w for w in windows_with_ends(blocks, 100, 100)]
    [(0, 100), (100, 200), (200, 250), Decoded(n_samples=250)]
    """
    n_read = 0

    def counted() -> Iterator[Waveform]:
        nonlocal n_read
        for block in blocks:
            n_read += len(block)
            yield block

    for i, samples in enumerate(consecutive_windows(counted(), n_window, n_hop)):
        start = i * n_hop
        yield Window(samples, start, min(start + n_window, n_read))  # a padded one comes when all is read
    yield Decoded(n_read)


def _parts(source: Source, sample_rate: int, n_window: int, n_hop: int) -> Iterator[Part]:
    try:
        blocks = read_blocks(source.path, sample_rate, source.start_s, source.duration_s)
        yield from windows_with_ends(blocks, n_window, n_hop)
    except BadAudioError as error:
        yield Failed(str(error))
    except OSError as error:
        yield Failed(error.strerror or str(error))
    except Exception as error:  # whatever a strange file does to a decoder, the other recordings go on
        yield Failed(f"cannot be decoded ({type(error).__name__}: {error})")


def _put(queue: "Queue[Part]", part: Part, stop: Event) -> bool:
    """Tell whether the part found a place before `stop` was set."""
    while not stop.is_set():
        with suppress(Full):
            queue.put(part, timeout=POLL_S)
            return True
    return False


def decode_in_order(
    sources: Sequence[Source], sample_rate: int, n_window: int, n_hop: int, *, n_threads: int, n_queued: int
) -> Generator[tuple[int, Part]]:
    """Yield the windows of one source after the other with the source's index, each ended by `Decoded` or `Failed`.

    Args:
        sample_rate: Hz of the windows.
        n_threads: that decode, each a recording of its own.
        n_queued: windows of a recording that wait at most.
    """
    stop = Event()

    def decode(source: Source, queue: "Queue[Part]") -> None:
        for part in _parts(source, sample_rate, n_window, n_hop):
            if not _put(queue, part, stop):
                return

    pool = ThreadPoolExecutor(n_threads, "decode")
    waiting: deque[tuple[int, Queue[Part]]] = deque()
    left = iter(enumerate(sources))
    try:
        while True:
            while len(waiting) < n_threads * N_AHEAD and (following := next(left, None)) is not None:
                i, source = following
                queue: Queue[Part] = Queue(n_queued)
                pool.submit(decode, source, queue)
                waiting.append((i, queue))
            if not waiting:
                return
            i, queue = waiting.popleft()
            part: Part | None = None
            while not isinstance(part, Decoded | Failed):
                part = queue.get()
                yield i, part
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
