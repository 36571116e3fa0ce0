"""Annotated recordings to evaluate a model on: which of them, which task, which classes."""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audiostride.build import read_task_manifests
from audiostride.data.manifest import Clip, read_manifest
from audiostride.datasets.annotations import NO_CLASS, Annotated, Annotations, Naming, read_annotations
from audiostride.errors import ArgumentError, DataError, UserError
from audiostride.runs.scoring import Subject

N_NAMED = 20  # classes in a message


@dataclass(frozen=True)
class EventData:
    """What a task is evaluated on.

    Attributes:
        task: of the model.
        classes: of the task that count as events, in the order of the model.
        recordings: with the spans of these classes alone.
        notes: what was left out, a line each.
    """

    task: str
    classes: tuple[str, ...]
    recordings: Sequence[Annotated]
    notes: Sequence[str]


def read_events(
    subject: Subject, path: Path, renamed: Mapping[str, str] | None = None, ignored: Collection[str] = ()
) -> Annotations:
    """Read a folder of recordings and tables, or one table.

    Args:
        subject: whose classes may be ignored though no table has them.
        path: the folder or the table.
        renamed: new names of annotated classes.
        ignored: classes, as renamed, whose spans label nothing.

    Raises:
        UserError: no such folder or table, a mistake in a table, or an unknown class to rename or ignore.
        DataError: no table belongs to a recording that can be used.
    """
    known = {name for classes in subject.model.classes.values() for name in classes}
    naming = Naming(renamed or {}, [name for name in ignored if name not in known])
    if path.is_dir():
        annotations = read_annotations(path, naming)
    elif path.exists():
        annotations = read_annotations(path.parent, naming, only=path)
    else:
        raise UserError(f"{path}: no such folder of recordings and tables, and no such table")
    annotations.check()
    return annotations


def _named(names: Collection[str]) -> str:
    shown = sorted(names)[:N_NAMED]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def event_classes(subject: Subject, task: str, ignored: Collection[str] = ()) -> tuple[str, ...]:
    """Give the classes of a task that can be events: neither its background nor ignored."""
    background = subject.model.traits[task].background
    return tuple(name for name in subject.model.classes[task] if name != background and name not in ignored)


def choose_task(subject: Subject, names: Collection[str], task: str | None = None) -> str:
    """Choose the task whose classes the annotations name; where nothing is annotated, any fits.

    Args:
        names: of the annotated classes; without any, all that is detected is a false alarm.
        task: the user's choice.

    Raises:
        ArgumentError: no such task, or several fit. DataError: the annotations name no class of the model.
    """
    tasks = list(subject.model.classes)
    if task is not None and task not in tasks:
        raise ArgumentError("task", task, f"the model has no such task, expected one of {', '.join(tasks)}")
    fitting = [one for one in tasks if not names or set(event_classes(subject, one)) & set(names)]
    if task is not None:
        fitting = [one for one in fitting if one == task]
    if not fitting:
        asked = tasks if task is None else [task]
        classes = {name for one in asked for name in event_classes(subject, one)}
        told = f"no annotated class is one of the model's; annotated: {_named(names)}"
        raise DataError(f"{told}; the model has {_named(classes)}; rename classes by OLD=NEW")
    if len(fitting) > 1:
        why = "each of which has annotated classes" if names else "since nothing is annotated"
        expected = f"expected one of {', '.join(fitting)}, {why}"
        raise ArgumentError("task", "NAME", expected)
    return fitting[0]


def _place(path: Path) -> str:
    return os.path.realpath(path)


def _splits(clips: Sequence[Clip]) -> dict[str, set[str]]:
    """Collect the splits of every recording."""
    splits: dict[str, set[str]] = {}
    for path in {clip.path for clip in clips}:
        splits[_place(path)] = set()
    places = {clip.path: _place(clip.path) for clip in clips}
    for clip in clips:
        splits[places[clip.path]].add(clip.split)
    return splits


def _known_splits(subject: Subject, manifest: Path | None) -> tuple[dict[str, set[str]] | None, str | None]:
    """Give the splits of every recording of the manifests; None, and the reason, where these are not known."""
    if manifest is not None:
        return _splits(read_manifest(manifest).clips), None
    if not subject.knows_manifests:
        return None, "an exported model does not know its manifests"
    try:
        manifests = read_task_manifests(subject.recipe.tasks)
    except UserError as error:
        return None, f"the manifest of the run cannot be read ({str(error).splitlines()[0]})"
    read = {id(one): one for one in manifests.values()}
    return _splits([clip for one in read.values() for clip in one.clips]), None


def _of_split(
    subject: Subject, recordings: Sequence[Annotated], split: str, manifest: Path | None
) -> tuple[list[Annotated], list[str]]:
    """Keep the recordings that no manifest has in another split, and say how many are left out."""
    splits, reason = _known_splits(subject, manifest)
    if splits is None:
        all_count = f"all {len(recordings)} recordings count, those that it was trained on too"
        return list(recordings), [f"{reason}: {all_count}"]
    others = {recording.path: splits.get(_place(recording.path), set()) - {split} for recording in recordings}
    kept = [recording for recording in recordings if not others[recording.path]]
    counts = Counter(name for found in others.values() for name in found)
    of_others = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
    notes = []
    if counts:
        n_left_out = len(recordings) - len(kept)
        notes.append(
            f"{n_left_out} of {len(recordings)} recordings left out: in another split than {split} ({of_others})"
        )
    if n_unknown := sum(_place(recording.path) not in splits for recording in kept):
        notes.append(f"{n_unknown} recording(s) in no manifest of the run: they count")
    if not kept:
        raise DataError(f"no annotated recording is left in the split {split}; {'; '.join(notes)}")
    return kept, notes


def _span_note(counts: Mapping[str, int], what: str) -> list[str]:
    if not counts:
        return []
    names = _named([f"{name} ({n})" for name, n in counts.items()])
    return [f"{sum(counts.values())} span(s) {what}, neither hits nor misses: {names}"]


def choose_events(
    subject: Subject,
    annotations: Annotations,
    *,
    task: str | None = None,
    split: str = "test",
    manifest: Path | None = None,
    ignored: Collection[str] = (),
) -> EventData:
    """Choose what a model is evaluated on.

    Args:
        subject: the model, and the manifests that it knows.
        annotations: what `read_events` gives.
        task: by default the one whose classes are annotated.
        split: recordings that a manifest has in another one are left out.
        manifest: that says so, instead of those of the run.
        ignored: classes whose spans and detections do not count.

    Raises:
        UserError: an unknown or ambiguous task, or an unreadable manifest.
        DataError: no class or no recording is left.
    """
    names = {name for recording in annotations.recordings for *_, name in recording.spans if name != NO_CLASS}
    task = choose_task(subject, names - set(ignored), task)
    classes = event_classes(subject, task, ignored)
    kept, notes = _of_split(subject, annotations.recordings, split, manifest)
    spans = Counter(name for recording in kept for *_, name in recording.spans)
    background = subject.model.traits[task].background
    notes += _span_note({name: n for name, n in spans.items() if name == background}, "of the background")
    skipped = {*classes, *ignored, background, NO_CLASS}
    notes += _span_note({name: n for name, n in spans.items() if name not in skipped}, "of classes unknown to the task")
    recordings = [
        replace(recording, spans=[span for span in recording.spans if span[2] in classes]) for recording in kept
    ]
    return EventData(task, classes, recordings, notes)
