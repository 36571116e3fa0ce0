"""NSynth: a folder per split, each with `examples.json` and `audio`."""

import json
from pathlib import Path
from typing import Any

from audiostride.data.manifest import SPLITS, Clip
from audiostride.errors import UserError


def _examples(path: Path) -> dict[str, dict[str, Any]]:
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; expected the unpacked NSynth, with {path.parent.name} in it") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not JSON in UTF-8 ({error})") from error
    if not isinstance(notes, dict):
        raise UserError(f"{path}: expected a mapping from names to notes")
    for name, note in notes.items():
        if not (isinstance(note, dict) and {"instrument_family_str", "pitch"} <= note.keys()):
            raise UserError(f"{path}: {name}: expected a note with instrument_family_str and pitch")
    return notes


def read_nsynth(root: Path) -> list[Clip]:
    """Give the notes of NSynth in `root`: `instrument` (family, 11 classes) and `pitch` (MIDI number, 0 to 127).

    Raises:
        UserError: not the layout of NSynth.

    Reference:
        Engel et al., "Neural audio synthesis of musical notes with WaveNet autoencoders", 2017.
    """
    return [
        Clip(
            root / f"nsynth-{split}" / "audio" / f"{name}.wav",
            split,
            {"instrument": str(note["instrument_family_str"]), "pitch": str(note["pitch"])},
        )
        for split in SPLITS
        for name, note in sorted(_examples(root / f"nsynth-{split}" / "examples.json").items())
    ]
