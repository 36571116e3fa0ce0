"""Accuracy against compute: the figure of a comparison of runs."""

import statistics
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from audiostride.comparison.compare import Comparison, GroupResult, RunResult
from audiostride.evaluation.spread import Spread
from audiostride.files import write_atomic
from audiostride.runs.groups import without_seed
from audiostride.strides.plots import plain_text, plot_format, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX<>*hp8"
N_COLOURS = 10  # of matplotlib's cycle, C0 to C9
NAME_WIDTH = 28


def common_tasks(comparison: Comparison) -> tuple[str, ...]:
    """Give the tasks that every group has which was scored at all."""
    scored = [group.tasks for group in comparison.groups if group.tasks]
    return tuple(task for task in comparison.tasks if all(task in tasks for tasks in scored))


def plot_tradeoff(comparison: Comparison, path: Path) -> None:
    """Draw the accuracy of every run against the multiply-adds of one window, and the mean of every group.

    Accuracies are means over the tasks that all groups have, or over its own where they have none in common. Bars are
    one standard deviation over runs. A grey line joins groups that differ in `training.complexity_weight` alone.

    Raises:
        UserError: the name ends in something else than .png, .svg or .pdf. OSError: the file cannot be written.
    """
    file_format = plot_format(path)
    from matplotlib.figure import Figure  # slow to import

    n_lines = sum(len(textwrap.wrap(group.name, NAME_WIDTH)) for group in comparison.groups)
    figure = Figure(figsize=(8, max(4.0, 1 + 0.24 * n_lines)), layout="constrained")
    axes = figure.add_subplot()
    draw_tradeoff(axes, comparison)
    figure.legend(loc="outside right upper", frameon=False)
    write_atomic(path, render(figure, file_format))


def draw_tradeoff(axes: "Axes", comparison: Comparison) -> None:
    """Draw what `plot_tradeoff` writes, without its legend, into axes of the caller's."""
    tasks = common_tasks(comparison)
    groups = [group for group in comparison.groups if group.tasks]
    means = {}
    for i, group in enumerate(groups):
        colour, marker = f"C{i % N_COLOURS}", MARKERS[i % len(MARKERS)]
        x = Spread(tuple(run.cost.macs / 1e6 for run in group.runs))
        y = Spread(tuple(_accuracy(run, tasks or group.tasks) for run in group.runs))
        means[group.name] = x.mean, y.mean
        axes.scatter(x.values, y.values, s=14, color=colour, marker=marker, alpha=0.5, linewidths=0)
        axes.errorbar(
            x.mean,
            y.mean,
            xerr=x.deviation,
            yerr=y.deviation,
            color=colour,
            marker=marker,
            markersize=7,
            capsize=3,
            linestyle="none",
            label=plain_text("\n".join(textwrap.wrap(group.name, NAME_WIDTH))),
        )
    for family in _families(groups):
        points = [means[group.name] for group in family]
        axes.plot(*zip(*points, strict=True), color="0.6", linewidth=1, zorder=0)
    what = ", ".join(tasks) if tasks else "each run's own tasks"
    axes.set_xlabel("million multiply-adds per window")
    axes.set_ylabel(f"accuracy: {what}" if len(tasks) == 1 else f"accuracy, mean of {what}", wrap=True)
    axes.grid(alpha=0.3)


def _accuracy(run: RunResult, tasks: tuple[str, ...]) -> float:
    return statistics.fmean(run.accuracy[task] for task in tasks)


def _families(groups: list[GroupResult]) -> list[list[GroupResult]]:
    """Find the groups that differ in the weight of the complexity regulariser alone, by that weight."""
    families: dict[str, list[GroupResult]] = {}
    for group in groups:
        recipe = without_seed(group.recipe)
        training = recipe.training.model_copy(update={"complexity_weight": 0.0})
        key = recipe.model_copy(update={"training": training}).model_dump_json()
        families.setdefault(key, []).append(group)
    return [
        sorted(family, key=lambda group: group.recipe.training.complexity_weight)
        for family in families.values()
        if len(family) > 1
    ]
