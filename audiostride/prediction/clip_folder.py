"""A folder of clips that a prediction keeps up to date, and that never loses a file of someone else."""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiostride.data.excerpt import wav_excerpt
from audiostride.errors import ArgumentError
from audiostride.files import write_atomic, write_text_atomic
from audiostride.prediction.clips import Clip, ClipSettings

CLIP_NAME = re.compile(r"[^/.][^/]*/[01]\.[0-9]{3}_[^/]+s\.wav")


@dataclass(frozen=True)
class ClipsDone:
    """What was done.

    Attributes:
        folder: of the clips.
        n_all: clips in it.
        n_written: of these new, or written anew.
        n_removed: that are of no detection any more.
        failed: recordings out of which none could be cut, with the reason.
    """

    folder: Path
    n_all: int
    n_written: int
    n_removed: int
    failed: dict[Path, str] = field(default_factory=dict)


class ClipFolder:
    """A folder of clips, with a hidden record of which ones are there: of one prediction, of one shard.

    Args:
        settings: which clips, and where.
        out: folder of the prediction.
        tag: of the shard.
    """

    def __init__(self, settings: ClipSettings, out: Path, tag: str) -> None:
        self.settings, self.folder, self.owner = settings, settings.folder, str(out.resolve())
        self.record = self.folder / f".clips{tag}.json"

    def begin(self) -> None:
        """Make the folder.

        Raises:
            ArgumentError: it cannot be one of clips.
        """
        place = self.folder.resolve()
        inside = place.relative_to(self.owner).parts if place.is_relative_to(self.owner) else None
        if inside == ():
            raise self._error("the folder of the results, expected one of its own, as in DIR/clips")
        if inside is not None and inside[0].startswith(".predict"):
            raise self._error("within the state of the prediction, expected another folder")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._error(f"no folder that can be written to ({error.strerror})") from error
        self._known()

    def _error(self, problem: str) -> ArgumentError:
        return ArgumentError("clips", self.folder, problem)

    def _known(self) -> dict[str, list[Any] | None]:
        """Read which clips are in the folder and what is in them; of one that may not be complete None."""
        if not self.record.exists():
            return {}
        try:
            content = json.loads(self.record.read_bytes())
            owner, known = content["out"], dict(content["clips"])
            if not all(CLIP_NAME.fullmatch(name) for name in known):
                raise ValueError("names of other files")
        except (ValueError, TypeError, KeyError) as error:
            raise self._error(f"{self.record.name} in it is damaged; delete it with its clips") from error
        if owner != self.owner:
            raise self._error(f"holds the clips of {owner}, expected another folder")
        return known

    def _write_record(self, known: Mapping[str, list[Any] | None]) -> None:
        write_text_atomic(self.record, json.dumps({"out": self.owner, "clips": known}, indent=0) + "\n")

    def _check_free(self, names: Iterable[str]) -> None:
        for name in names:
            path = self.folder / name
            if path.is_symlink() or path.exists() or (path.parent.exists() and not path.parent.is_dir()):
                taken = name if path.parent.is_dir() else path.parent.name
                raise self._error(f"holds {taken}, which this prediction did not write; expected another folder")

    def fill(self, clips: Mapping[str, Clip]) -> ClipsDone:
        """Make the folder hold these clips, whenever an earlier process ended; what is there already stays.

        Raises:
            ArgumentError: a file of someone else has the name of a clip. Nothing is written then.
        """
        known = self._known()
        self._check_free(name for name in clips if name not in known)
        there = {
            name: known.get(name) == clip.content and (self.folder / name).exists() for name, clip in clips.items()
        }
        # from here on files that are to come are known too, wherever the process ends
        now: dict[str, list[Any] | None] = {name: clips[name].content if there[name] else None for name in clips}
        old = [name for name in known if name not in clips]
        if old or not all(there.values()):
            self._write_record(dict.fromkeys(old) | now)
        for name in old:
            self._remove(name)
        failed: dict[Path, str] = {}
        for name in sorted((name for name in clips if not there[name]), key=lambda name: clips[name].path):
            if self._write(name, clips[name], failed):
                now[name] = clips[name].content
        if old or not all(there.values()):
            self._write_record(now)
        n_there = sum(there.values())
        n_all = sum(content is not None for content in now.values())
        return ClipsDone(self.folder, n_all, n_all - n_there, len(old), failed)

    def _write(self, name: str, clip: Clip, failed: dict[Path, str]) -> bool:
        """Cut a clip out of its recording; tell whether that could be done."""
        try:
            content = wav_excerpt(Path(clip.path), clip.start_s, clip.end_s)
        except Exception as error:  # whatever a strange file does to a decoder, the other recordings go on
            failed[Path(clip.path)] = str(error)
            return False
        (self.folder / name).parent.mkdir(exist_ok=True)
        write_atomic(self.folder / name, content)
        return True

    def _remove(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.with_name(f".{path.name}.partial").unlink(missing_ok=True)
        with suppress(OSError):  # others are in it, or it is gone
            path.parent.rmdir()
