"""The picture of detections per hour of the day."""

import io
import math
import textwrap
import warnings
from typing import TYPE_CHECKING

import numpy as np

from audiostride.prediction.hours import HOUR_S, N_HOURS, Hours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_CLASSES = 12  # a panel each
N_COLUMNS = 3
NAME_WIDTH = 34  # characters
BLUE, GREY = "#0072b2", "0.9"


def draw_hours(hours: Hours) -> bytes | None:
    """Draw the rates of the classes with the most detections, `N_CLASSES` at most, as a PNG.

    Hours of the day in which nothing was recorded are grey. There is no picture without detections or matplotlib.
    """
    counts = {key: int(of_class.sum()) for key, of_class in hours.n_detections.items()}
    found = sorted((key for key, n in counts.items() if n), key=lambda key: -counts[key])
    if not found:
        return None
    try:
        from matplotlib.figure import Figure  # slow to import
    except ModuleNotFoundError:  # the table holds the same numbers
        return None

    n_columns = min(N_COLUMNS, len(found))
    n_rows = math.ceil(min(N_CLASSES, len(found)) / n_columns)
    figure = Figure(figsize=(1 + 3.2 * n_columns, 1.1 + 1.8 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False)
    with_task = len({task for task, _ in hours.n_detections}) > 1
    for panel, key in zip(panels.flat, found[:N_CLASSES], strict=False):
        _draw_class(panel, hours, *key, with_task=with_task)
    for panel in panels.flat[len(found) :]:
        panel.set_visible(False)
    figure.supxlabel("hour of the day", fontsize=9)
    figure.supylabel("detections per recorded hour", fontsize=9)
    figure.suptitle(_caption(hours, len(found), n_columns), fontsize=9)
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the name is in the table
        figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def _caption(hours: Hours, n_found: int, n_columns: int) -> str:
    recorded = f"{hours.recorded_s.sum() / HOUR_S:.1f} h recorded; grey: hours of the day without a recording"
    others = f"the {N_CLASSES} of {n_found} detected classes with the most detections, " if n_found > N_CLASSES else ""
    lines = recorded, f"{others}in brackets: detections"
    return "\n".join(textwrap.fill(line, 40 * n_columns) for line in lines)


def _draw_class(panel: "Axes", hours: Hours, task: str, name: str, *, with_task: bool) -> None:
    rates = hours.rates(task, name)
    panel.bar(np.arange(N_HOURS) + 0.5, np.nan_to_num(rates), width=0.85, color=BLUE)
    for hour in np.flatnonzero(np.isnan(rates)).tolist():
        panel.axvspan(hour, hour + 1, color=GREY, linewidth=0, zorder=0)
    text = " ".join(f"{task}: {name}".split() if with_task else name.split())
    short = "".join(letter if letter.isprintable() else "?" for letter in text)
    half = NAME_WIDTH // 2
    short = short if len(short) <= NAME_WIDTH else f"{short[:half]}…{short[-half:]}"
    n = int(hours.n_detections[task, name].sum())
    panel.set_title(f"{short} ({n:,})", fontsize=9, parse_math=False)
    panel.set_xlim(0, N_HOURS)
    panel.set_ylim(bottom=0)
    panel.set_xticks(range(0, N_HOURS + 1, 6))
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)
