"""What data a run was trained on, so that a resumed run is not another one by accident."""

import json
from collections import Counter
from collections.abc import Iterable

from pydantic import TypeAdapter, ValidationError

from audiostride.data.cache import PackedAudio
from audiostride.data.corpus import Corpus
from audiostride.errors import UserError, listing
from audiostride.runs.folder import RunFolder

Fingerprint = list[tuple[str, int]]  # every row, as JSON, with the checksum of its recording
BACKGROUND = "background"  # in place of the split


def fingerprint(corpora: Iterable[Corpus], background: PackedAudio | None = None) -> Fingerprint:
    """Take the rows of the manifests and the background noise, with the checksums of the decoded recordings."""
    rows: Fingerprint = []
    for corpus in corpora:
        for clip, checksum in zip(corpus.clips, corpus.checksums, strict=True):
            row = [str(clip.path), clip.split, clip.start_s, clip.duration_s, dict(sorted(clip.labels.items()))]
            rows.append((json.dumps(row), checksum))
    noises = background.checksums.items() if background else ()
    return rows + [(json.dumps([str(path), BACKGROUND, 0.0]), checksum) for path, checksum in noises]


def _name(row: str) -> str:
    path, split, start_s, *_ = json.loads(row)
    return f"{path} ({split}{f', from {start_s:g} s' if start_s else ''})"


def differences(before: Fingerprint, now: Fingerprint) -> list[str]:
    """List in words what differs: recordings with other samples, rows that are gone, new, or in another order."""
    checksums, rows_before, rows_now = dict(before), [row for row, _ in before], [row for row, _ in now]
    changed = [
        f"{_name(row)}: other samples"
        for row, checksum in dict(now).items()
        if checksums.get(row, checksum) != checksum
    ]
    gone = [f"{_name(row)}: its row is gone or differs" for row in Counter(rows_before) - Counter(rows_now)]
    new = [f"{_name(row)}: its row is new or differs" for row in Counter(rows_now) - Counter(rows_before)]
    if not gone and not new and rows_before != rows_now:  # the windows are drawn by their place
        return [*changed, "the rows of the manifest are in another order"]
    return [*changed, *gone, *new]


def _read(run: RunFolder) -> Fingerprint | None:
    """Read what a run was begun with, None where it does not say so."""
    try:
        return TypeAdapter(Fingerprint).validate_json(run.data.read_bytes())
    except (OSError, ValidationError):
        return None


def check_same_data(run: RunFolder, now: Fingerprint) -> str | None:
    """Compare the data with those that a run was begun with.

    Returns:
        A note for a run of an older version, which does not say what it was trained on.

    Raises:
        UserError: they differ.
    """
    if (before := _read(run)) is None:
        return "the run does not say which data it was trained on, so they are not compared"
    if lines := differences(before, now):
        raise UserError(
            f"{run.path}: the data are not those that the run began with; resume all the same with "
            f"allow_changed_data (--allow-changed-data), or begin again:\n{listing(lines)}"
        )
    return None
