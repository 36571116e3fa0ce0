"""From cells to targets, for tasks of one class and of several."""

from pathlib import Path

import pytest
import torch

from audiostride.data.manifest import Clip, Manifest
from audiostride.data.targets import (
    NO_LABEL,
    background_rows,
    class_names,
    encode,
    groups,
    has_label,
    is_labelled,
    unknown_names,
)


def clips(*cells: str, column: str = "label", split: str = "train") -> tuple[Clip, ...]:
    return tuple(Clip(Path(f"{i}.wav"), split, {column: cell} if cell else {}) for i, cell in enumerate(cells))


def manifest(*of_splits: tuple[Clip, ...]) -> Manifest:
    return Manifest(Path("m.csv"), sum(of_splits, ()), ("label",))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "c"], ("a", "b", "c")),
        (["10", "9", "100"], ("9", "10", "100")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["b", "", "a", "b"], ("a", "b")),
    ],
    ids=["words", "numbers", "mixed", "empty and double"],
)
def test_classes_are_sorted_by_number_or_by_name(labels: list[str], expected: tuple[str, ...]) -> None:
    assert class_names(manifest(clips(*labels)), "label", "single") == expected


def test_classes_are_those_of_the_split() -> None:
    both = manifest(clips("x"), clips("y", split="test"))
    assert class_names(both, "label", "single") == ("x",)
    assert class_names(both, "label", "single", "test") == ("y",)


def test_cells_of_several_classes_are_taken_apart_for_multi_label_tasks_alone() -> None:
    cells = manifest(clips("cat;crow", "crow", ""))
    assert class_names(cells, "label", "multilabel") == ("cat", "crow")
    assert class_names(cells, "label", "single") == ("cat;crow", "crow")


def test_class_indices_and_rows_of_yes_and_no() -> None:
    cells = clips("crow", "", "cat")
    assert encode(cells, "label", ("cat", "crow"), "single").tolist() == [1, NO_LABEL, 0]
    several = clips("crow;cat", "", "cat", "owl;crow")
    assert encode(several, "label", ("cat", "crow"), "multilabel").tolist() == [[1, 1], [0, 0], [1, 0], [0, 1]]
    assert encode((), "label", ("cat", "crow"), "multilabel").shape == (0, 2)


def test_an_unknown_label_of_a_task_of_one_class_is_no_class() -> None:
    with pytest.raises(KeyError):
        encode(clips("owl"), "label", ("cat", "crow"), "single")


def test_an_empty_cell_says_something_to_a_multi_label_task() -> None:
    (clip,) = clips("")
    assert has_label(clip, "label", "multilabel")
    assert not has_label(clip, "label", "single")
    assert is_labelled(torch.tensor([1, NO_LABEL])).tolist() == [True, False]
    assert is_labelled(torch.tensor([[0, 0], [NO_LABEL, NO_LABEL]])).tolist() == [True, False]


def test_balanced_groups_go_by_the_rarest_class() -> None:
    """Class 0 on three clips, class 1 on two, class 2 on one: a clip of 0 and 1 counts for 1."""
    targets = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]])
    assert groups(targets) == [0, 1, 2, 3]
    assert groups(torch.tensor([2, 0, NO_LABEL])) == [2, 0, NO_LABEL]


def test_labels_that_are_no_class_are_counted() -> None:
    found = unknown_names(clips("owl;crow", "owl", "cat"), "label", ("cat", "crow"), "multilabel")
    assert found == {"owl": 2}


def test_rows_without_anything_to_name() -> None:
    """Words have the background 2, calls the background 0; nobody has none."""
    targets = {
        "words": torch.tensor([2, 1, 2, NO_LABEL, NO_LABEL, NO_LABEL]),
        "calls": torch.tensor([[0, 0], [0, 0], [0, 1], [1, 0], [NO_LABEL, NO_LABEL], [0, 0]]),
    }
    assert background_rows(targets, {"words": 2, "calls": 0}).tolist() == [True, False, False, True, False, True]
    speakers = targets | {"speaker": torch.tensor([0, NO_LABEL, NO_LABEL, NO_LABEL, NO_LABEL, NO_LABEL])}
    backgrounds = {"words": 2, "calls": 0, "speaker": None}
    assert background_rows(speakers, backgrounds).tolist() == [False, False, False, True, False, True]
