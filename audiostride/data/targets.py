"""From the cells of a manifest to what a task learns: class indices, or a yes or no for every class."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from audiostride.data.manifest import Clip, Manifest, sort_classes, split_labels
from audiostride.vocabulary import Kind

NO_LABEL = -1


def has_label(clip: Clip, column: str, kind: Kind) -> bool:
    """Tell whether a clip says something about a task: an empty cell says "no class" to a multi-label task."""
    return kind == "multilabel" or column in clip.labels


def names_of(clip: Clip, column: str, kind: Kind) -> tuple[str, ...]:
    """List the classes of a clip."""
    cell = clip.labels.get(column)
    return () if cell is None else split_labels(cell) if kind == "multilabel" else (cell,)


def class_names(manifest: Manifest, column: str, kind: Kind, split: str = "train") -> tuple[str, ...]:
    """List the classes that occur in a split, sorted (numerically if all are numbers)."""
    clips = (clip for clip in manifest.clips if clip.split == split)
    return sort_classes({name for clip in clips for name in names_of(clip, column, kind)})


def encode(clips: Iterable[Clip], column: str, classes: Sequence[str], kind: Kind) -> Tensor:
    """Encode the labels of clips.

    Args:
        clips: whose labels are classes, or have none; of a multi-label task, other names are left out.
        column: of the labels.
        classes: their names, in the order of the logits.
        kind: of the task.

    Shape:
        output: `(clip,)` class indices, `NO_LABEL` for none; of a multi-label task `(clip, class)`, 0 or 1.
    """
    index = {name: i for i, name in enumerate(classes)}
    if kind == "single":
        indices = [index[clip.labels[column]] if column in clip.labels else NO_LABEL for clip in clips]
        return torch.tensor(indices, dtype=torch.int64)
    rows = [[index[name] for name in names_of(clip, column, kind) if name in index] for clip in clips]
    targets = torch.zeros(len(rows), len(classes), dtype=torch.int64)
    for target, present in zip(targets, rows, strict=True):
        target[present] = 1
    return targets


def is_labelled(targets: Tensor) -> Tensor:
    """Tell which clips have a label for the task, `(clip,)`."""
    return (targets if targets.ndim == 1 else targets[:, 0]) != NO_LABEL


def membership(targets: Tensor, n_classes: int) -> Tensor:
    """Tell which classes a clip belongs to, `(clip, class)`, of labelled clips of either kind of task.

    >>> membership(torch.tensor([1, 0]), 2)
    tensor([[False,  True],
            [ True, False]])
    """
    return targets.bool() if targets.ndim == 2 else torch.nn.functional.one_hot(targets, n_classes).bool()


def groups(targets: Tensor) -> list[int]:
    """Give a number to every clip, for classes to be sampled equally often: its class.

    Of a multi-label task it is the rarest of a clip's classes, and a number of its own for clips without any.
    """
    if targets.ndim == 1:
        return targets.tolist()
    counts = targets.sum(0)
    n_classes = targets.shape[1]
    rarity = torch.where(targets.bool(), counts, len(targets) + 1)
    return torch.where(targets.any(1), rarity.argmin(1), n_classes).tolist()


def background_rows(targets: Mapping[str, Tensor], backgrounds: Mapping[str, int | None]) -> Tensor:
    """Tell which rows hold nothing that any task would name: a background class, or no class of a multi-label task.

    Args:
        targets: per task, as `encode` gives them; one at least.
        backgrounds: index of the background class per task, None for a task without.

    Shape:
        output: `(batch,)`, bool. A row that no task labels holds nothing that is known.
    """
    rows = []
    for task, of_task in targets.items():
        index = backgrounds[task]
        if of_task.ndim == 2:
            named = of_task.clone()
            if index is not None:
                named[:, index] = 0
            rows.append(is_labelled(of_task) & ~named.any(1))
        else:
            rows.append(of_task == index if index is not None else torch.zeros(len(of_task), dtype=torch.bool))
    labelled = torch.stack([is_labelled(of_task) for of_task in targets.values()])
    return (torch.stack(rows) | ~labelled).all(0) & labelled.any(0)


def unknown_names(clips: Iterable[Clip], column: str, classes: Sequence[str], kind: Kind) -> Counter[str]:
    """Count the labels that are no class of a task."""
    known = set(classes)
    return Counter(name for clip in clips for name in names_of(clip, column, kind) if name not in known)
