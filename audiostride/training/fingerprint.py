"""What data a run was trained on, so that a resumed run is not another one by accident."""

import json
from collections.abc import Iterable

from audiostride.data.corpus import Corpus
from audiostride.errors import UserError, listing
from audiostride.runs.folder import RunFolder

Fingerprint = dict[str, int]  # the checksum of every clip's recording, by the clip's row


def fingerprint(corpora: Iterable[Corpus]) -> Fingerprint:
    """Take the rows of the manifests with the checksums of their decoded recordings."""
    rows: Fingerprint = {}
    for corpus in corpora:
        for clip, checksum in zip(corpus.clips, corpus.checksums, strict=True):
            row = [str(clip.path), clip.split, clip.start_s, clip.duration_s, dict(sorted(clip.labels.items()))]
            rows[json.dumps(row)] = checksum
    return rows


def _name(row: str) -> str:
    path, split, start_s, *_ = json.loads(row)
    return f"{path} ({split}{f', from {start_s:g} s' if start_s else ''})"


def differences(before: Fingerprint, now: Fingerprint) -> list[str]:
    """List in words what differs: recordings with other samples, rows that are gone, rows that are new."""
    changed = [f"{_name(row)}: other samples" for row, checksum in now.items() if before.get(row, checksum) != checksum]
    gone = [f"{_name(row)}: its row is gone or differs" for row in before if row not in now]
    new = [f"{_name(row)}: its row is new or differs" for row in now if row not in before]
    return [*changed, *gone, *new]


def check_same_data(run: RunFolder, now: Fingerprint) -> str | None:
    """Compare the data with those that a run was begun with.

    Returns:
        A note for a run of an older version, which does not say what it was trained on.

    Raises:
        UserError: they differ.
    """
    try:
        before: Fingerprint = json.loads(run.data.read_text())
    except (OSError, ValueError):
        return "the run does not say which data it was trained on, so they are not compared"
    if lines := differences(before, now):
        raise UserError(
            f"{run.path}: the data are not those that the run was begun with; go on all the same with "
            f"allow_changed_data (--allow-changed-data), or begin anew:\n{listing(lines)}"
        )
    return None
