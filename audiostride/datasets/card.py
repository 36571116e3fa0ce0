"""The card of a data set: what the official release holds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from audiostride.data.manifest import Clip
from audiostride.recipe.yaml_lines import read_yaml

_PACKAGE = Path(__file__).parents[1]
# beside the package in a checkout, inside it once installed
CARDS = next(path for path in (_PACKAGE / "data_manifests", _PACKAGE.parent / "data_manifests") if path.is_dir())


Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # of one file or folder: never `..`, never a path
N_NAMED = 12  # classes in a line
PACKED = (".zip", ".tar.gz", ".tgz")


class Archive(BaseModel):
    """One file to download; size in bytes.

    It is saved as `file_name`, by default the last part of `url`. What is `PACKED` is unpacked into the folder
    `unpack_to` of the data set's root, by default the root itself, without the first `strip` folders of its names;
    any other file is put there as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    file_name: Name | None = None
    md5: str | None = None
    sha256: str | None = None
    size: int | None = None
    unpack_to: Name | None = None
    strip: Annotated[int, Field(ge=0)] = 0

    @property
    def name(self) -> str:
        """Give the name that it is saved under."""
        return self.file_name or self.url.rpartition("/")[2]

    @property
    def known_hash(self) -> str | None:
        """Give the published checksum, as `sha256:...` or `md5:...`."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"md5:{self.md5}" if self.md5 else None


class Card(BaseModel):
    """Classes, official number of clips per split, licence and source of a data set, or of one version of it.

    `counts` has splits as keys, or several joined by `+` where only their sum is official.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str | None = None
    description: str
    label: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    counts: dict[str, int]
    licence: str
    citation: str
    archives: tuple[Archive, ...]

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}" if self.version else self.name


def load_card(name: str) -> Card:
    """Give the card `data_manifests/NAME.yaml`."""
    return Card.model_validate(read_yaml(CARDS / f"{name}.yaml")[0])


def load_cards(name: str) -> list[Card]:
    """List the cards of a data set: `NAME.yaml`, of its newest version, and `NAME_vX.yaml`."""
    paths = [CARDS / f"{name}.yaml", *sorted(CARDS.glob(f"{name}_v*.yaml"), reverse=True)]
    return [load_card(path.stem) for path in paths if path.is_file()]


def recognise(cards: Sequence[Card], clips: Sequence[Clip]) -> Card:
    """Give the card of the version of clips: an older one if they have its classes and no other, else the newest."""
    newest, *older = cards
    found = {clip.labels.get(newest.label) for clip in clips}
    return next((card for card in older if found == set(card.classes)), newest)


def differences(card: Card, clips: Sequence[Clip]) -> list[str]:
    """Say where clips differ from the card, a line each."""
    found = {clip.labels[card.label] for clip in clips if card.label in clip.labels}
    lines = []
    for what, names in (("missing", set(card.classes) - found), ("unexpected", found - set(card.classes))):
        if names:
            more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
            lines.append(f"{len(names)} {what} classes: {', '.join(sorted(names)[:N_NAMED])}{more}")
    counts = Counter(clip.split for clip in clips)
    for split, expected in card.counts.items():
        found_there = sum(counts[part] for part in split.split("+"))
        if found_there != expected:
            lines.append(f"{split}: {found_there} clips, officially {expected}")
    return lines
