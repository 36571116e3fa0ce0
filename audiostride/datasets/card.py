"""The card of a data set: what the official release holds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from audiostride.data.manifest import Clip
from audiostride.yaml_lines import read_yaml

_PACKAGE = Path(__file__).parents[1]
# beside the package in a checkout, inside it once installed
CARDS = next(path for path in (_PACKAGE / "data_manifests", _PACKAGE.parent / "data_manifests") if path.is_dir())


class Archive(BaseModel):
    """One file to download; size in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    md5: str | None = None
    sha256: str | None = None
    size: int | None = None


class Card(BaseModel):
    """Classes, official number of clips per split, licence and source of a data set.

    `counts` has splits as keys, or several joined by `+` where only their sum is official.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    label: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    counts: dict[str, int]
    licence: str
    citation: str
    archives: tuple[Archive, ...]


def load_card(name: str) -> Card:
    """The card `data_manifests/NAME.yaml`."""
    return Card.model_validate(read_yaml(CARDS / f"{name}.yaml")[0])


def differences(card: Card, clips: Sequence[Clip]) -> list[str]:
    """Where clips differ from the card, a line each."""
    found = {clip.labels[card.label] for clip in clips if card.label in clip.labels}
    lines = []
    for what, names in (("missing", set(card.classes) - found), ("unexpected", found - set(card.classes))):
        if names:
            lines.append(f"{len(names)} {what} classes: {', '.join(sorted(names))}")
    counts = Counter(clip.split for clip in clips)
    for split, expected in card.counts.items():
        found_there = sum(counts[part] for part in split.split("+"))
        if found_there != expected:
            lines.append(f"{split}: {found_there} clips, officially {expected}")
    return lines
