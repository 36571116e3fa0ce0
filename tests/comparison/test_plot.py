"""The figure of a comparison: what is in it, and where it goes."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from audiostride.comparison.compare import Comparison, GroupResult, RunResult
from audiostride.comparison.cost import RunCost
from audiostride.comparison.plot import common_tasks, draw_tradeoff, plot_tradeoff
from audiostride.errors import UserError
from audiostride.recipe.model import Model
from audiostride.recipe.schema import Recipe
from audiostride.recipe.training import Training

RECIPE = Recipe.model_validate({"tasks": {"t": {"manifest": "m.csv"}}})


def group(name: str, points: list[tuple[float, float]], complexity_weight: float = 0.0, task: str = "t") -> GroupResult:
    """Runs with these multiply-adds (in millions) and accuracies."""
    runs = [
        RunResult(Path(name), seed, 1, {task: y}, {}, RunCost(round(x * 1e6), (4, 4), 1, None, None, 1))
        for seed, (x, y) in enumerate(points)
    ]
    training = Training(complexity_weight=complexity_weight)
    return GroupResult(name, RECIPE.model_copy(update={"training": training}), tuple(runs))


def compared(*groups: GroupResult) -> Comparison:
    return Comparison("test", groups, (), ())


def test_every_run_is_a_point_and_every_group_a_bar() -> None:
    axes = Figure().add_subplot()
    draw_tradeoff(axes, compared(group("a", [(10, 0.5), (12, 0.7)]), group("b", [(20, 0.9)])))
    points = [tuple(xy) for collection in axes.collections for xy in getattr(collection, "get_offsets", list)()]
    assert {(10, 0.5), (12, 0.7), (20, 0.9)} <= set(points)
    means = [bar.lines[0].get_xydata().tolist() for bar in axes.containers]
    assert means == [[[11, pytest.approx(0.6)]], [[20, 0.9]]]
    assert [bar.has_yerr for bar in axes.containers] == [True, False]
    assert axes.get_ylabel() == "accuracy: t"


def test_a_line_joins_the_weights_of_the_regulariser() -> None:
    axes = Figure().add_subplot()
    weights = [group(str(weight), [(x, 0.5)], weight) for weight, x in ((1.0, 5), (0.0, 20), (0.1, 10))]
    other = replace(weights[0], recipe=RECIPE.model_copy(update={"model": Model(width=0.5)}))
    draw_tradeoff(axes, compared(*weights, other))
    joined = [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) > 1]
    assert joined == [[20, 10, 5]]


def test_accuracy_is_the_mean_of_the_tasks_that_all_drawn_groups_have() -> None:
    a, b = group("a", [(10, 0.5)]), group("b", [(20, 0.9)])
    b = replace(b, runs=(replace(b.runs[0], accuracy={"t": 0.9, "u": 0.1}),))
    unscored = replace(a, name="c", runs=(replace(a.runs[0], accuracy={}),))
    assert common_tasks(compared(a, b, unscored)) == ("t",)
    axes = Figure().add_subplot()
    draw_tradeoff(axes, compared(b))
    assert axes.containers[0].lines[0].get_xydata().tolist() == [[20, 0.5]]


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF")])
def test_the_ending_decides_the_format(tmp_path: Path, name: str, begins: bytes) -> None:
    plot_tradeoff(compared(group("$a_b$ [x]", [(10, 0.5)]), group("b", [(9, 0.4)], task="u")), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.jpg", "a", "png"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"ends with \.png, \.svg, \.pdf"):
        plot_tradeoff(compared(group("a", [(10, 0.5)])), tmp_path / name)
    assert not list(tmp_path.iterdir())
