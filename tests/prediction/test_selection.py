"""Which classes are shown: thresholds of a model, of the user, and the background."""

from pathlib import Path

import numpy as np
import pytest

from audiostride.evaluation.traits import Traits
from audiostride.prediction.selection import Selection, select

NAMES = ("wren", "owl", "none")


class Model:
    """A model whose traits alone are looked at."""

    path, sample_rate, n_window, min_window, takes_any_window = Path("m"), 8, 8, 8, False
    classes, temperatures = {"bird": NAMES}, {"bird": 1.0}

    def __init__(self, traits: Traits) -> None:
        self.traits = {"bird": traits}

    def logits(self, windows: np.ndarray) -> dict[str, np.ndarray]:
        raise AssertionError("not asked")


def shown(selection: Selection, *values: float, best: bool = False) -> list[tuple[int, str]]:
    return [(each.rank, each.name) for each in selection.of({"bird": np.array(values)}, best=best)["bird"]]


def test_thresholds_are_those_of_the_model_unless_one_is_given() -> None:
    model = Model(Traits(thresholds={"wren": 0.3}))
    own = select(model, ["bird"])
    assert shown(own, 0.4, 0.45, 0.1) == [(2, "wren")]  # the owl lacks one: 0.5
    assert shown(select(model, ["bird"], otherwise=0.0), 0.2, 0.1, 0.1) == [
        (2, "owl"),
        (3, "none"),
    ]
    assert shown(select(model, ["bird"], threshold=0.42), 0.4, 0.45, 0.1) == [(1, "owl")]


def test_a_background_is_never_shown_and_takes_no_rank() -> None:
    selection = select(Model(Traits(background="none")), ["bird"], threshold=0.0)
    assert shown(selection, 0.1, 0.2, 0.7) == [(1, "owl"), (2, "wren")]
    assert shown(selection, 0.1, 0.2, 0.7, best=True)[0] == (1, "owl")


def test_a_multi_label_task_shows_all_its_classes_and_another_three() -> None:
    several = select(Model(Traits("multilabel")), ["bird"], threshold=0.5, exclusive=True)
    assert shown(several, 0.9, 0.6, 0.7) == [(1, "wren"), (2, "none"), (3, "owl")]
    assert select(Model(Traits()), ["bird"]).top_k == {"bird": 3}
    assert shown(select(Model(Traits()), ["bird"], threshold=0.1, exclusive=True), 0.4, 0.5, 0.1) == [(1, "owl")]
    assert shown(select(Model(Traits("multilabel")), ["bird"], threshold=0.1, top_k=1), 0.9, 0.6, 0.7) == [(1, "wren")]


@pytest.mark.parametrize(
    "traits",
    [
        Traits("several"),  # type: ignore[arg-type]
        Traits(background="hawk"),
        Traits(thresholds={"hawk": 0.5}),
        Traits(thresholds={"owl": 1.5}),
        Traits(thresholds={"owl": float("nan")}),
        Traits(thresholds={"owl": True}),
        Traits(thresholds={"owl": "0.5"}),  # type: ignore[dict-item]
    ],
)
def test_traits_that_cannot_be(traits: Traits) -> None:
    with pytest.raises(ValueError, match="its "):
        traits.check(NAMES)


def test_one_class_is_enough_for_a_multi_label_task_alone() -> None:
    Traits("multilabel").check(["frog"])
    with pytest.raises(ValueError, match="at least two classes"):
        Traits().check(["frog"])
