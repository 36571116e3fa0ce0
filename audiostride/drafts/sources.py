"""What somebody has, as a manifest: a public data set, annotated recordings, a folder of folders, or a manifest."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audiostride.data.audio import find_recordings, recording_endings
from audiostride.data.manifest import write_windows
from audiostride.datasets import Prepared, prepare
from audiostride.datasets.annotated import Cutting, cut_recordings
from audiostride.datasets.annotations import Annotations, read_annotations
from audiostride.datasets.folder import read_folder
from audiostride.datasets.layouts import recognise_layout
from audiostride.errors import ArgumentError, UserError
from audiostride.vocabulary import LabelFrom

SourceKind = Literal["manifest", "data set", "annotations", "folder"]
KIND_TEXTS: Mapping[SourceKind, str] = {
    "manifest": "a manifest",
    "data set": "a public data set",
    "annotations": "annotated recordings",
    "folder": "a folder with a folder for each class",
}
USES: Mapping[SourceKind, Collection[str]] = {  # the arguments of `prepare_source` that a source has a use for
    "manifest": (),
    "data set": ("manifest",),
    "annotations": ("manifest", "window_s"),
    "folder": ("manifest", "label_from"),
}
MANIFEST = "manifest.csv"
BACKGROUND = "none"  # the class of windows in which nothing is marked
WINDOWS_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)  # of annotated recordings
MARKED_SHARE = 0.9  # of the spans that a window is to hold whole


@dataclass(frozen=True)
class Source:
    """What lies at a path.

    Args:
        kind: how a manifest comes of it.
        root: the folder of the recordings.
        data_set: name of a public data set.
        annotations: what its tables mark.
    """

    kind: SourceKind
    root: Path
    data_set: str | None = None
    annotations: Annotations | None = None


@dataclass(frozen=True)
class PreparedSource:
    """The manifest of a source, and what was decided while it was written."""

    manifest: Path
    is_new: bool
    notes: Sequence[str] = field(default_factory=list)


def find_source(path: Path) -> Source:
    """Tell what lies at `path`.

    Raises:
        UserError: nothing that recordings with classes could be read from; says what is expected.
    """
    if path.is_file() and path.suffix.lower() == ".csv":
        return Source("manifest", path.parent)
    if path.is_file() and path.suffix.lower() in recording_endings():
        raise UserError(f"{path}: a recording; expected the folder ROOT of ROOT/CLASS/{path.name}, with all classes")
    if not path.is_dir():
        what = "not a CSV" if path.exists() else "no such folder"
        raise UserError(f"{path}: {what}; expected a folder of recordings, or a manifest in CSV")
    if (path / MANIFEST).is_file():
        return Source("manifest", path)
    if (name := recognise_layout(path)) is not None:
        return Source("data set", path, name)
    annotations = read_annotations(path)
    if annotations.tables and annotations.recordings:
        return Source("annotations", path, annotations=annotations)
    recordings = find_recordings(path)
    if not any(recording.parent != path for recording in recordings):
        one_class = f"; if its recordings are one class of several, name the folder above, {path.resolve().parent}"
        raise UserError(
            f"{path}: no classes; expected a folder for each class with its recordings (ROOT/CLASS/*.wav), tables of "
            f"annotations beside the recordings, or {MANIFEST} with the columns path, split and label"
            f"{one_class if recordings else ''}"
        )
    return Source("folder", path)


def _fitting_window(annotations: Annotations) -> float:
    """Choose the window that holds most of the marked spans whole."""
    lengths = sorted(end - start for recording in annotations.recordings for start, end, _ in recording.spans)
    if not lengths:
        return 1.0
    usual = lengths[min(len(lengths) - 1, int(MARKED_SHARE * len(lengths)))]
    return next((window for window in WINDOWS_S if window >= usual), WINDOWS_S[-1])


def _cut(annotations: Annotations, manifest: Path, window_s: float | None) -> PreparedSource:
    annotations.check()
    window_s = _fitting_window(annotations) if window_s is None else window_s
    cut = cut_recordings(annotations, Cutting(window_s, background=BACKGROUND))
    write_windows(manifest, cut.clips)
    return PreparedSource(manifest, is_new=True, notes=cut.notes)


def prepare_source(
    source: Source,
    path: Path,
    *,
    out: Path | None = None,
    label_from: LabelFrom | None = None,
    window_s: float | None = None,
) -> PreparedSource:
    """Write the manifest of a source where it has none; a manifest that is there is never replaced.

    Args:
        source: as `find_source` gives it for `path`.
        path: what the user named.
        out: the manifest to write, by default `manifest.csv` in the folder.
        label_from: as of `prepare`, of a folder of folders.
        window_s: of annotated recordings, by default the one that holds nine of ten marked spans whole.

    Raises:
        UserError: as of the readers, a file at `out`, or an argument that the source has no use for. DataError: nothing
            is left.
    """
    given = {"manifest": out, "label_from": label_from, "window_s": window_s}
    for option, value in given.items():
        if value is not None and option not in USES[source.kind]:
            raise ArgumentError(option, value, f"has no use for {path}, {KIND_TEXTS[source.kind]}")
    if source.kind == "manifest":
        return PreparedSource(path if path.is_file() else path / MANIFEST, is_new=False)
    manifest = out or source.root / MANIFEST
    if manifest.exists():
        raise ArgumentError("manifest", manifest, "is there already; give it in place of the folder, or another name")
    if source.annotations is not None:
        return _cut(source.annotations, manifest, window_s)
    if source.data_set is None:
        _check_several(source.root, label_from)
    prepared = prepare(source.data_set or "folder", source.root, manifest, label_from=label_from)
    notes = [*prepared.notes, *_differences(prepared.differences), *_others(source, prepared)]
    return PreparedSource(manifest, is_new=True, notes=notes)


def _check_several(root: Path, label_from: LabelFrom | None) -> None:
    """Raise UserError where all recordings are of one class."""
    clips = read_folder(root, label_from)
    labels = {clip.labels["label"] for clip in clips}
    if len(labels) > 1:
        return
    (label,) = labels
    folder = next(parent for parent in clips[0].path.parents if parent.name == label)
    cure = ""
    if label_from != "parent" and len({clip.path.parent for clip in clips} - {folder}) > 1:
        cure = f": name {folder}, or say --label-from parent, if the folders below it are the classes"
    raise UserError(f"{root}: {label} is the only folder with recordings; expected a folder for each class{cure}")


def _others(source: Source, prepared: Prepared) -> list[str]:
    """Say how many recordings a data set leaves out: it may lie beside others."""
    if source.data_set is None:
        return []
    listed = {clip.path for clips in prepared.manifests.values() for clip in clips}
    n_others = len(set(find_recordings(source.root)) - listed)
    recordings = "recording is" if n_others == 1 else "recordings are"
    return [f"{source.root}: {n_others} {recordings} not part of {source.data_set} and left out"] if n_others else []


def _differences(differences: Sequence[str]) -> list[str]:
    return [f"differs from the official release: {difference}" for difference in differences]
