"""Speech Commands: one folder per word, two lists of held-out files."""

from pathlib import Path

from audiostride.data.manifest import Clip
from audiostride.datasets.background_noise import FOLDER as BACKGROUND
from audiostride.datasets.tables import read_lines
from audiostride.errors import UserError

LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}


def read_speech_commands(root: Path) -> list[Clip]:
    """Give the clips of Speech Commands v0.01 or v0.02 in `root`, labelled in the column `label`.

    Raises:
        UserError: not the layout of Speech Commands.

    Reference:
        Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition", 2018.
    """
    held_out: dict[str, str] = {}
    for split, name in LISTS.items():
        held_out |= dict.fromkeys(read_lines(root / name, "Speech Commands"), split)
    words = sorted(p for p in root.iterdir() if p.is_dir() and p.name != BACKGROUND and not p.name.startswith("."))
    clips = [
        Clip(file, held_out.pop(f"{word.name}/{file.name}", "train"), {"label": word.name})
        for word in words
        for file in sorted(word.glob("*.wav"))
        if not file.name.startswith(".")
    ]
    if not clips:
        raise UserError(f"{root}: no WAV file in any word's folder; expected ROOT/WORD/*.wav")
    if held_out:
        listing = "\n".join(f"  {LISTS[split]}: {name}" for name, split in held_out.items())
        raise UserError(f"{root}: {len(held_out)} listed file(s) are missing:\n{listing}")
    return clips
