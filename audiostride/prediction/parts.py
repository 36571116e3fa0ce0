"""What a prediction of one part of the recordings leaves to be gathered by: which part it is, once it is finished."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from audiostride.files import write_text_atomic


@dataclass(frozen=True)
class Part:
    """A finished part of a prediction.

    Attributes:
        all_recordings: hash of the paths of the recordings of all parts.
        recordings: paths of this part, in their order.
        failed: those of them that cannot be used, with the reason.
        sample_rate: Hz of the model.
        classes: task and name of what can be detected.
    """

    all_recordings: str
    recordings: tuple[str, ...]
    failed: dict[str, str]
    sample_rate: int
    classes: tuple[tuple[str, str], ...]

    def write(self, path: Path) -> None:
        """Write the part to a file that is whole or not there."""
        write_text_atomic(path, json.dumps(asdict(self)) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Part | None":
        """Read the part again; None if it is not finished, or not readable."""
        try:
            content = json.loads(path.read_text())
            content["recordings"] = tuple(content["recordings"])
            content["classes"] = tuple((task, name) for task, name in content["classes"])
            return cls(**content)
        except (OSError, ValueError, TypeError, KeyError):
            return None


def hash_paths(paths: Sequence[Path]) -> str:
    """Hash paths in their order.

    >>> hash_paths([Path("a.wav"), Path("b.wav")]) == hash_paths([Path("b.wav"), Path("a.wav")])
    False
    """
    return hashlib.sha256(b"\0".join(map(os.fsencode, paths))).hexdigest()
