"""Samples in a file, read where they are needed: resident memory does not grow with what has been read."""

import os
import weakref
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Int16 = npt.NDArray[np.int16]


class Samples(Protocol):
    """Samples `(time,)` of a clip, in memory or in a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Int16: ...


class PackedFile:
    """A file of int16 samples, open for reading from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)

    def read(self, first: int, n_samples: int) -> Int16:
        """Give samples from `first` on.

        Raises:
            OSError: the file is shorter by now, or the disk fails.
        """
        samples = np.empty(n_samples, np.int16)
        view, n_done = samples.data.cast("B"), 0
        while n_done < len(view):  # the system may return less than was asked for
            n_read = os.preadv(self.descriptor, [view[n_done:]], 2 * first + n_done)
            if n_read == 0:
                raise OSError(f"{self.path}: cut short since it was opened")
            n_done += n_read
        return samples


class PackedClip:
    """A part of a packed file, `(time,)`, int16: a slice of it (step 1) is read and given as an array."""

    def __init__(self, file: PackedFile, first: int, n_samples: int) -> None:
        self.file, self.first, self.n_samples = file, first, n_samples

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, part: slice) -> Int16:
        start, stop, _ = part.indices(self.n_samples)
        return self.file.read(self.first + start, max(0, stop - start))

    def __array__(self, dtype: npt.DTypeLike | None = None, *, copy: bool | None = None) -> npt.NDArray[np.generic]:
        return self[:].astype(dtype, copy=False)

    def segment(self, start: int, stop: int) -> "PackedClip":
        """Give the part from `start` to `stop`, neither beyond the ends, without reading it."""
        start, stop, _ = slice(start, stop).indices(self.n_samples)
        return PackedClip(self.file, self.first + start, max(0, stop - start))
