"""What the model said of every window, kept so that tables can be written anew without predicting again."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audiostride.prediction.journal import Entry, Table
from audiostride.prediction.model import Logits, WindowModel
from audiostride.prediction.stream import FileResult, FileSum, WindowResult

N_BLOCK = 4096  # windows read at a time


class LogitStore:
    """A file of logits: a row of float32 per window, the classes of one task after those of the other.

    Where the rows of a recording end, and how many samples it has, its entry in the journal says.

    Args:
        path: of the file.
        model: whose classes and temperatures count.
        tasks: that are kept.
        n_window, n_hop: samples of a window and of the hop, which say where a row lies.
    """

    def __init__(self, path: Path, model: WindowModel, tasks: Sequence[str], n_window: int, n_hop: int) -> None:
        self.path, self.model, self.tasks, self.n_window, self.n_hop = path, model, tuple(tasks), n_window, n_hop
        self.columns: dict[str, slice] = {}
        n_columns = 0
        for task in tasks:
            self.columns[task] = slice(n_columns, n_columns + len(model.classes[task]))
            n_columns = self.columns[task].stop
        self.n_columns = n_columns

    def open(self, end: int) -> None:
        """Open the file for new rows behind the first `end` bytes."""
        self.table = Table(self.path, end, "")

    def add(self, logits: Mapping[str, Logits]) -> None:
        """Keep the logits `(class,)` of a window."""
        self.table.write(np.concatenate([logits[task] for task in self.tasks]).astype("<f4").tobytes())

    def replay(self, path: Path, entry: Entry, start: int) -> Iterator[WindowResult | FileResult]:
        """Give the results of a recording again, as predicting it gave them, to the last bit.

        Args:
            path: of the recording.
            entry: what the journal says of it.
            start: byte at which its rows begin.
        """
        rate, total = self.model.sample_rate, FileSum(self.model, self.tasks)
        for i, row in enumerate(self._rows(start, entry.ends[0])):
            logits = {task: row[columns] for task, columns in self.columns.items()}
            first = i * self.n_hop
            last = min(first + self.n_window, entry.n_samples)
            yield WindowResult(path, first / rate, last / rate, total.add(logits), logits)
        duration_s = entry.n_samples / rate
        yield FileResult(path, duration_s, total.n_windows, total.probabilities(), total.mean_logits())

    def _rows(self, start: int, end: int) -> Iterator[npt.NDArray[np.float32]]:
        with self.path.open("rb") as file:
            file.seek(start)
            for at in range(start, end, 4 * self.n_columns * N_BLOCK):
                content = file.read(min(end - at, 4 * self.n_columns * N_BLOCK))
                yield from np.frombuffer(content, "<f4").reshape(-1, self.n_columns)
