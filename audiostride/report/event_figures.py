"""The pictures of events in a report: what is annotated and detected in a stretch of a recording, over its sound."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from audiostride.report.det_plot import as_label, draw_det
from audiostride.report.figures import BLUE, GREY, ORANGE, Picture, as_png, as_svg, drawing, frequency_marks, thinned
from audiostride.runs.event_scorer import MarkedEvent
from audiostride.runs.event_scoring import EventResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_COLUMNS = 600  # of a spectrogram
MAX_LANES = 24  # classes that are drawn
LANE = 0.2  # inches
BAR = 0.34  # of a lane, for either of the two bars
MARK_S = 0.15  # drawn width of a point
SOUND, LEGEND = 1.5, 0.75  # inches


def det_picture(result: EventResult) -> Picture:
    """Give the curves of misses against false alarms per hour."""
    with drawing(9, 5) as (figure, axes):
        axes.remove()
        draw_det(figure, result)
        counts = result.score.micro
        at = (
            ""
            if counts.miss_rate is None
            else f"; {counts.miss_rate:.0%} of the events missed at the thresholds in use"
        )
        return as_svg(figure, f"Miss rate against false alarms per hour, a curve per class and one for all{at}")


def lanes(annotated: Sequence[MarkedEvent], predicted: Sequence[MarkedEvent]) -> list[str]:
    """Give the classes to draw, in the order of their first event: those with the most events if there are many."""
    names = [event.name for event in sorted([*annotated, *predicted], key=lambda event: event.start_s)]
    ordered = list(dict.fromkeys(names))
    most = sorted(ordered, key=lambda name: -names.count(name))[:MAX_LANES]
    return [name for name in ordered if name in most]


def _bar(axes: "Axes", event: MarkedEvent, top: float, colour: str, *, is_filled: bool) -> None:
    start_s, length_s = event.start_s, event.end_s - event.start_s
    if not length_s:
        start_s, length_s = start_s - MARK_S / 2, MARK_S
    face = colour if is_filled else "none"
    axes.broken_barh([(start_s, length_s)], (top, BAR), facecolors=face, edgecolors=colour, linewidth=1)


def _draw_lanes(
    axes: "Axes", annotated: Sequence[MarkedEvent], predicted: Sequence[MarkedEvent], names: Sequence[str]
) -> None:
    """Draw a lane per class: annotated events in its upper half, detected ones in its lower half."""
    for event in annotated:
        if event.name in names:
            _bar(axes, event, names.index(event.name) + 0.12, GREY, is_filled=event.is_hit)
    for event in predicted:
        if event.name in names:
            _bar(axes, event, names.index(event.name) + 0.54, BLUE if event.is_hit else ORANGE, is_filled=True)
    axes.set(ylim=(max(1, len(names)), 0), xlabel="s")
    axes.set_yticks(np.arange(len(names)) + 0.5, [as_label(name) for name in names])
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for i in range(1, len(names)):
        axes.axhline(i, color="#e3e3e3", linewidth=0.6, zorder=0)


def _legend(axes: "Axes") -> None:
    looks = {
        "annotated, found": (GREY, GREY),
        "annotated, missed": ("none", GREY),
        "detected, right": (BLUE, BLUE),
        "detected, false alarm": (ORANGE, ORANGE),
    }
    for label, (face, edge) in looks.items():
        axes.bar([np.nan], [np.nan], color=face, edgecolor=edge, label=label)


def event_picture(
    log_mel: npt.NDArray[np.float32],
    band_hz: Sequence[float],
    span_s: tuple[float, float],
    *,
    annotated: Sequence[MarkedEvent],
    predicted: Sequence[MarkedEvent],
    alt: str,
) -> Picture:
    """Draw a stretch of a recording, and below it the events in it, a lane per class.

    Args:
        band_hz: centre of every band.
        span_s: what is drawn, in seconds of the recording.
        annotated, predicted: the events that touch it.
        alt: what the picture shows, in words.

    Shape:
        log_mel: `(mel, time)`.
    """
    names = lanes(annotated, predicted)
    heights = SOUND, LANE * max(1, len(names))
    with drawing(10, sum(heights) + LEGEND) as (figure, placeholder):
        placeholder.remove()
        sound, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
        sound.grid(visible=False)
        sound.imshow(
            thinned(log_mel, N_COLUMNS),
            origin="lower",
            aspect="auto",
            cmap="magma",
            interpolation="nearest",
            extent=(*span_s, 0, len(log_mel)),
        )
        marks = frequency_marks(band_hz)
        sound.set_yticks(list(marks.values()), [f"{hz / 1000:g}" for hz in marks])
        sound.set(ylabel="kHz", xlim=span_s)
        _draw_lanes(below, annotated, predicted, names)
        _legend(below)
        figure.legend(loc="outside lower center", ncols=4)
        return as_png(figure, alt)
