"""Figures of strides: how they moved, what every layer passes, what resolution is left."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiostride.errors import ArgumentError
from audiostride.strides.reading import AXES, RunStrides

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

FORMATS = ("png", "svg", "pdf")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito
GREY = "0.55"
ESSENTIAL_HZ, USED_HZ = (2.0, 8.0), 25.0
CAPTION = (
    "dashed grey: at the start of training. Bands: lowest to highest seed. Shaded: modulations of 2-8 Hz, essential to "
    "speech intelligibility\n(Elliott and Theunissen 2009 find 1-7 Hz to matter most and harm when those below 12 Hz "
    "are removed); dotted: 25 Hz, the cut-off of stride 2 on 100 frames/s (Riad et al. 2022)."
)

Groups = Mapping[str, Sequence[RunStrides]]  # the runs of every recipe, by name


def plot_format(target: Path, argument: str = "plot") -> str:
    """Give the format that a file's name asks for.

    Raises:
        UserError: another ending than png, svg or pdf.
    """
    ending = target.suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise ArgumentError(argument, target, f"expected a name that ends with .{', .'.join(FORMATS)}")
    return ending


def render(figure: "Figure", file_format: str) -> bytes:
    """Give the figure as the content of a file."""
    content = io.BytesIO()
    dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}  # same figure, same bytes
    figure.savefig(content, format=file_format, dpi=110, metadata=dates.get(file_format), bbox_inches="tight")
    return content.getvalue()


def plain_text(name: str) -> str:
    r"""Escape the dollar signs of a name, between which matplotlib would read mathematics.

    >>> plain_text("a$b$")
    'a\\$b\\$'
    """
    return name.replace("$", r"\$")


def _new_figure(height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(11, height), layout="constrained")


def _style(panel: "Axes") -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25, linewidth=0.5)
    panel.tick_params(labelsize=7)


def _blocks(groups: Groups) -> int:
    return max(reading.block for runs in groups.values() for run in runs for reading in run.learned.readings)


def _legend(figure: "Figure | SubFigure", panel: "Axes", groups: Groups) -> None:
    if len(groups) > 1:
        handles, labels = panel.get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        figure.legend(by_label.values(), by_label.keys(), loc="outside upper right", ncols=8, frameon=False, fontsize=8)


def draw_history(figure: "Figure | SubFigure", groups: Groups) -> None:
    """Give strides over training: a row per axis, a column per block, a colour per recipe."""
    n_blocks = _blocks(groups)
    panels = figure.subplots(2, n_blocks, sharex=True, sharey="row", squeeze=False)
    for row, axis in zip(panels, AXES, strict=True):
        for block, panel in enumerate(row):
            _style(panel)
            panel.margins(x=0.03)
            for colour, (name, runs) in zip(COLOURS * len(groups), groups.items(), strict=False):
                logged = [run.history for run in runs if len(run.history.steps)]
                lines = min((len(history.steps) for history in logged), default=0)
                if not lines:
                    continue
                steps = logged[0].steps[:lines]
                values = np.stack([history.strides[axis][:lines, block] for history in logged])
                panel.plot(steps, values.mean(0), color=colour, label=plain_text(name), linewidth=1.4)
                if len(values) > 1:
                    panel.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.18, linewidth=0)
            if axis == "time":
                panel.set_title(f"block {block + 1}", fontsize=9)
            else:
                panel.set_xlabel("step", fontsize=8)
        row[0].set_ylabel(f"stride, {axis}", fontsize=8)
    _legend(figure, panels[0, 0], groups)
    if not any(len(run.history.steps) for runs in groups.values() for run in runs):
        panels[0, 0].text(0.05, 0.5, "nothing was logged", transform=panels[0, 0].transAxes, fontsize=8)


def _in_unit(run: RunStrides, axis: str, frequencies: Any) -> Any:
    return frequencies if axis == "time" else frequencies * run.bands_per_octave


def _last_passing(panel: "Axes") -> float:
    """Give a frequency half as far again as the highest frequency that passes."""
    lines = [np.column_stack([line.get_xdata(), line.get_ydata()]) for line in panel.lines]
    ends = [line[np.nan_to_num(line[:, 1]) > 0.01, 0].max() for line in lines if len(line) > 2]
    return 1.5 * float(max(ends))


def draw_responses(figure: "Figure | SubFigure", groups: Groups) -> None:
    """Give the gain of every layer along its axis in physical units, at the start and as learned."""
    n_blocks = _blocks(groups)
    panels = figure.subplots(2, n_blocks, sharey=True, squeeze=False)
    for row, axis in zip(panels, AXES, strict=True):
        for block, panel in enumerate(row):
            _style(panel)
            if axis == "time":
                panel.axvspan(*ESSENTIAL_HZ, color="#f0e442", alpha=0.3, linewidth=0)
                panel.axvline(USED_HZ, color="0.3", linestyle=":", linewidth=1)
            for colour, (name, runs) in zip(COLOURS * len(groups), groups.items(), strict=False):
                for i, run in enumerate(runs):
                    states = [(run.learned, colour, "-", 1.3)]
                    if i == 0:
                        states.insert(0, (run.initial, GREY, "--", 1.0))
                    for state, of_line, dashes, width in states:
                        layer = state.responses[axis].layers[block]
                        panel.plot(
                            _in_unit(run, axis, layer.frequencies),
                            layer.gains,
                            dashes,
                            color=of_line,
                            linewidth=width,
                            alpha=1.0 if i == 0 else 0.45,
                            label=plain_text(name) if of_line == colour and i == 0 else None,
                        )
            panel.set_xlim(left=0, right=_last_passing(panel))
            if axis == "time":
                panel.set_title(f"block {block + 1}", fontsize=9)
        row[0].set_ylabel("gain", fontsize=8)
        unit = "Hz of temporal modulation" if axis == "time" else "cycles per octave (at 1 kHz)"
        row[n_blocks // 2].set_xlabel(unit, fontsize=8)
    panels[0, 0].set_ylim(-0.05, 1.1)


def draw_resolution(figure: "Figure | SubFigure", groups: Groups) -> None:
    """Give frame rate and mel bands that are left after every block."""
    panels: Any = figure.subplots(1, 2)
    labels = {"time": "frames per second", "frequency": "bands"}
    for panel, axis in zip(panels, AXES, strict=True):
        _style(panel)
        for colour, (name, runs) in zip(COLOURS * len(groups), groups.items(), strict=False):
            for i, run in enumerate(runs):
                states = [(run.learned, colour, "-", 1.4)]
                if i == 0:
                    states.insert(0, (run.initial, GREY, "--", 1.0))
                for state, of_line, dashes, width in states:
                    readings = [reading for reading in state.readings if reading.axis == axis]
                    sizes = np.array([readings[0].n_in, *(reading.n_out for reading in readings)], float)
                    frontend = run.checkpoint.recipe.frontend
                    scale = frontend.sample_rate / frontend.hop_length / sizes[0] if axis == "time" else 1.0
                    label = plain_text(name) if of_line == colour and i == 0 else None
                    alpha = 1.0 if i == 0 else 0.45
                    panel.plot(
                        sizes * scale, dashes, marker=".", color=of_line, linewidth=width, label=label, alpha=alpha
                    )
        panel.set_yscale("log", base=2)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.set_xticks(range(_blocks(groups) + 1), ["input", *(f"block {b + 1}" for b in range(_blocks(groups)))])
        panel.set_title(f"{labels[axis]} left after every block", fontsize=9)


Drawing = Callable[["Figure | SubFigure", Groups], None]
DRAWINGS: tuple[Drawing, ...] = (draw_history, draw_responses, draw_resolution)


def figure_strides(groups: Groups) -> "Figure":
    """Give the three drawings, one below the other."""
    figure = _new_figure(11.5)
    parts: Any = figure.subfigures(3, 1, height_ratios=[4, 4.2, 3])
    for part, draw in zip(parts, DRAWINGS, strict=True):
        draw(part, groups)
    figure.text(0.01, -0.012, CAPTION, fontsize=7.5, va="top")
    return figure
