"""Small recordings and tables of annotations, for tests."""

from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 1000
RAVEN = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)")


def wav(path: Path, duration_s: float = 10.0) -> Path:
    """A recording of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, round(duration_s * RATE)), RATE)
    return path


def write(path: Path, text: str | bytes, encoding: str = "utf-8") -> Path:
    """A file with its folder, line ends as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def raven(*rows: tuple[object, ...], columns: tuple[str, ...] = ("Annotation",)) -> str:
    """A selection table; rows hold number, view, start, end, and the further columns."""
    lines = [(*RAVEN, *columns)]
    lines += [(row[0], row[1], 1, row[2], row[3], 0, 400, *row[4:]) for row in rows]  # type: ignore[misc]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)
