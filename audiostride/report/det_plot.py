"""The figure of an evaluation of events: misses against false alarms per hour as the threshold moves."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiostride.files import write_atomic
from audiostride.strides.plots import COLOURS, DASHES, plot_format, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from audiostride.evaluation.det_curves import DetCurve
    from audiostride.evaluation.event_scores import EventCounts
    from audiostride.runs.event_scoring import EventResult

N_LETTERS = 23  # of a class
MAX_CLASSES = 20  # whose curves are told apart
CLASS_COLOURS = COLOURS[:-1]  # black is for all classes
MOST_PER_HOUR = 3600.0  # false alarms that are drawn


def as_label(name: str) -> str:
    r"""Write a class so that it fits into a figure, without control characters.

    A legend leaves out what begins with an underscore, so a space is put before it.

    >>> as_label("Acrocephalus schoenobaenus"), as_label("_noise"), as_label("a\x1bb")
    ('Acrocephalus schoenoba…', ' _noise', 'a?b')
    """
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    short = name if len(name) <= N_LETTERS else f"{name[: N_LETTERS - 1]}…"
    return f" {short}" if short.startswith("_") else short


def shown_classes(result: "EventResult") -> list[str]:
    """Give the classes whose curves are drawn: those with the most annotated events."""
    counts = result.score.classes
    return sorted(result.curves, key=lambda name: -counts[name].n_annotated)[:MAX_CLASSES]


def draw_det(figure: "Figure", result: "EventResult") -> None:
    """Draw a curve for all classes and one per class, with the points at the thresholds in use.

    A curve holds the fewest misses that any threshold gives at so many false alarms or fewer. What gives none at all
    is drawn at the left edge, since zero has no place on a logarithmic axis.
    """
    from matplotlib.ticker import LogLocator, NullFormatter  # slow to import

    axes = figure.add_subplot()
    least = 0.5 / max(result.score.hours, 1e-9)
    for i, name in enumerate(shown_classes(result)):
        colour, dashes = CLASS_COLOURS[i % len(CLASS_COLOURS)], DASHES[i // len(CLASS_COLOURS) % len(DASHES)]
        look: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 1.0}
        _draw(axes, result.curves[name], result.score.classes[name], name=name, least=least, look=look)
    if result.curve is not None:
        look = {"color": "black", "linestyle": "-", "linewidth": 2.2}
        _draw(axes, result.curve, result.score.micro, name="all, one threshold", least=least, look=look)
    axes.set_xscale("log")
    most = max([point.false_alarms_per_hour for point in _points(result)] + [2 * least])
    axes.set(xlim=(least, min(most, MOST_PER_HOUR) * 1.05), ylim=(-0.02, 1.02))
    axes.set(xlabel="false alarms per hour", ylabel="miss rate")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.plot([], [], "o", color="0.5", label="at the thresholds in use")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, handlelength=3)


def _points(result: "EventResult") -> list[Any]:
    curves = [*result.curves.values(), *([] if result.curve is None else [result.curve])]
    return [point for curve in curves for point in curve.points]


def _draw(
    axes: "Axes", curve: "DetCurve", counts: "EventCounts", *, name: str, least: float, look: dict[str, Any]
) -> None:
    false_alarms, miss_rates = curve.staircase()
    false_alarms = np.append(np.maximum(false_alarms, least), 10 * MOST_PER_HOUR)
    axes.plot(false_alarms, np.append(miss_rates, miss_rates[-1]), drawstyle="steps-post", label=as_label(name), **look)
    in_use = max(counts.false_alarms_per_hour or 0.0, least), counts.miss_rate or 0.0
    axes.plot(*in_use, marker="o", markersize=6, color=look["color"], linestyle="none", clip_on=False)


def plot_det(result: "EventResult", path: Path) -> None:
    """Draw the curves into a file.

    Raises:
        UserError: the name ends in something else than .png, .svg or .pdf. OSError: the file cannot be written.
    """
    file_format = plot_format(path)
    import matplotlib as mpl  # slow to import
    from matplotlib.figure import Figure

    with mpl.rc_context({"text.parse_math": False}):  # names of classes are no formulas
        figure = Figure(figsize=(9, 5), layout="constrained")
        draw_det(figure, result)
        content = render(figure, file_format)
    write_atomic(path, content)
