"""Figures of strides: how they moved, what every layer passes, what resolution is left."""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain as joined
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiostride.errors import ArgumentError
from audiostride.strides.reading import AXES, RunStrides, StrideState
from audiostride.strides.response import LayerResponse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

FORMATS = ("png", "svg", "pdf")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
GREY = "0.6"
SPEECH_HZ = (2.0, 8.0)
SPEECH = re.compile(r"speech|word|digit|phone|speaker", re.IGNORECASE)  # in the name of a task or of its manifest
SEEN = 0.01  # of what went in: less of it folds unseen
LINES_CAPTION = "Lines: mean over the runs of a recipe; bands: lowest to highest; grey: where training began"
FOLDS_CAPTION = "; dotted beside the gains of layers: what folds"
SPEECH_CAPTION = (
    f"Shaded: modulations of {SPEECH_HZ[0]:g}-{SPEECH_HZ[1]:g} Hz, where most of the energy of speech modulations "
    "lies; those of 1-7 Hz matter most for\nintelligibility (Elliott and Theunissen 2009)."
)
TICKS, LABELS, TITLES = 8.5, 9.5, 10.5  # sizes of text in points

Groups = Mapping[str, Sequence[RunStrides]]  # the runs of every recipe, by name


def plot_format(plot: Path) -> str:
    """Give the format that a file's name asks for.

    Raises:
        UserError: another ending than png, svg or pdf.
    """
    ending = plot.suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise ArgumentError("plot", plot, f"expected a name that ends with .{', .'.join(FORMATS)}")
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
    panel.tick_params(labelsize=TICKS)
    panel.locator_params(nbins=4)


def _blocks(groups: Groups) -> int:
    return max(reading.block for runs in groups.values() for run in runs for reading in run.learned.readings)


def _looks(groups: Groups) -> Iterator[tuple[str, Sequence[RunStrides], dict[str, Any]]]:
    """Give every recipe with its runs and its look: a colour and a line style that no other has."""
    for i, (name, runs) in enumerate(groups.items()):
        look = {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)], "linewidth": 1.5}
        yield plain_text(name), runs, look


def _legend(figure: "Figure | SubFigure", groups: Groups) -> None:
    """Name every recipe, also one that logged nothing, by a line with its look."""
    if len(groups) > 1:
        from matplotlib.lines import Line2D

        names, _, looks = zip(*_looks(groups), strict=True)
        lines = [Line2D([], [], **look) for look in looks]
        figure.legend(
            lines, names, loc="outside upper right", ncols=8, frameon=False, fontsize=LABELS, handlelength=3.2
        )


def draw_history(figure: "Figure | SubFigure", groups: Groups) -> None:
    """Draw strides over training: a row per axis, a column per block, a colour and line style per recipe."""
    n_blocks = _blocks(groups)
    panels = figure.subplots(2, n_blocks, sharex=True, squeeze=False)
    for row, axis in zip(panels, AXES, strict=True):
        for block, panel in enumerate(row):
            _style(panel)
            panel.margins(x=0.03)
            for _, runs, look in _looks(groups):
                logged = [run.history for run in runs if len(run.history.steps)]
                lines = min((len(history.steps) for history in logged), default=0)
                if not lines or block >= logged[0].strides[axis].shape[1]:  # another network may have fewer blocks
                    continue
                steps = logged[0].steps[:lines]
                values = np.stack([history.strides[axis][:lines, block] for history in logged])
                panel.plot(steps, values.mean(0), **look)
                if len(values) > 1:
                    panel.fill_between(
                        steps, values.min(0), values.max(0), color=look["color"], alpha=0.12, linewidth=0
                    )
            if axis == "time":
                panel.set_title(f"block {block + 1}", fontsize=TITLES)
            else:
                panel.set_xlabel("step", fontsize=LABELS)
        row[0].set_ylabel(f"stride, {axis}", fontsize=LABELS)
        _same_span(row)
    _legend(figure, groups)
    if not any(len(run.history.steps) for runs in groups.values() for run in runs):
        panels[0, 0].text(0.05, 0.5, "nothing was logged", transform=panels[0, 0].transAxes, fontsize=LABELS)


def _same_span(panels: "Sequence[Axes]") -> None:
    """Let all panels show as wide a range, each around its own lines, so that steps compare between them."""
    limits = [panel.get_ylim() for panel in panels]
    span = max(0.2, *(high - low for low, high in limits))
    for panel, (low, high) in zip(panels, limits, strict=True):
        middle = max((low + high) / 2, 0.98 + span / 2)  # no stride is below 1
        panel.set_ylim(middle - span / 2, middle + span / 2)


def _unit(axis: str) -> str:
    return "Hz of temporal modulation" if axis == "time" else "cycles per octave (at 1 kHz)"


def _in_unit(run: RunStrides, axis: str, frequencies: Any) -> Any:
    return frequencies if axis == "time" else frequencies * run.bands_per_octave


def is_speech(run: RunStrides) -> bool:
    """Tell whether a task of a run is speech, by its name and that of its manifest."""
    tasks = run.checkpoint.recipe.tasks
    return any(SPEECH.search(name) or SPEECH.search(str(task.manifest)) for name, task in tasks.items())


def caption(groups: Groups) -> str:
    """Explain the lines of the figures, those that are dotted and what is shaded if there are any."""
    has_speech = any(is_speech(run) for runs in groups.values() for run in runs)
    dotted = len(groups) == 1 and any(map(_lets_fold, _drawn_layers(next(iter(groups.values()))[0])))
    lines = f"{LINES_CAPTION}{FOLDS_CAPTION if dotted else ''}."
    return f"{lines}\n{SPEECH_CAPTION}" if has_speech else lines


def _drawn_layers(run: RunStrides) -> Iterator[LayerResponse]:
    """Give what every layer passes of a run whose layers are drawn one by one."""
    for state in (run.initial, run.learned):
        for response in state.responses.values():
            yield from response.layers


def _lets_fold(layer: LayerResponse) -> bool:
    """Tell whether so much folds that it is drawn."""
    return bool(layer.aliased.max() > SEEN)


def _shade(panel: "Axes", axis: str, runs: Iterable[RunStrides]) -> None:
    """Mark the modulations that speech is understood by, if any run is of speech, without widening the panel."""
    if axis == "time" and any(map(is_speech, runs)):
        panel.axvspan(*SPEECH_HZ, color="#f0e442", alpha=0.25, linewidth=0)


def draw_responses(figure: "Figure | SubFigure", groups: Groups) -> None:
    """Draw what passes, in physical units: of one run every layer, of several what all layers together pass."""
    if len(groups) == 1:
        _draw_layers(figure, next(iter(groups.values()))[0])
    else:
        _draw_chains(figure, groups)


def _draw_layers(figure: "Figure | SubFigure", run: RunStrides) -> None:
    n_blocks = _blocks({"": [run]})
    panels = figure.subplots(2, n_blocks, sharey=True, squeeze=False)
    for row, axis in zip(panels, AXES, strict=True):
        for block, panel in enumerate(row):
            _style(panel)
            _shade(panel, axis, [run])
            for state, colour in ((run.initial, GREY), (run.learned, COLOURS[0])):
                layer = state.responses[axis].layers[block]
                held = _in_unit(run, axis, layer.frequencies)
                panel.plot(held, layer.gains, color=colour, linewidth=1.4)
                if _lets_fold(layer):
                    panel.plot(held, layer.aliased, ":", color=colour, linewidth=1.4)
            panel.set_xlim(0, held[-1])
            if axis == "time":
                panel.set_title(f"block {block + 1}", fontsize=TITLES)
        row[0].set_ylabel("gain", fontsize=LABELS)
        row[n_blocks // 2].set_xlabel(_unit(axis), fontsize=LABELS)
    panels[0, 0].set_ylim(-0.05, 1.1)


def _draw_chains(figure: "Figure | SubFigure", groups: Groups) -> None:
    panels: Any = figure.subplots(1, 4, sharey=True)
    for panel, folds, axis in zip(panels[:2], panels[2:], AXES, strict=True):
        _style(panel)
        _style(folds)
        _shade(panel, axis, joined.from_iterable(groups.values()))
        end = 0.0
        for _, runs, look in _looks(groups):
            chains = [run.learned.responses[axis] for run in runs]
            n = min(len(chain.gains) for chain in chains)
            frequencies = _in_unit(runs[0], axis, chains[0].frequencies[:n])
            gains = np.mean([chain.gains[:n] for chain in chains], axis=0)
            panel.plot(frequencies, gains, **look)
            end = max(end, float(frequencies[gains > 0.02].max()))
            folds.plot(*_folds_by_block(runs, axis), marker=".", **look)
        panel.set_xlim(0, 1.3 * end)
        panel.set_title(f"all layers pass along {axis}", fontsize=TITLES)
        panel.set_xlabel(_unit(axis), fontsize=LABELS)
        folds.set_title(f"each layer lets fold along {axis}", fontsize=TITLES)
        folds.set_xlabel("block", fontsize=LABELS)
    panels[0].set_ylabel("gain", fontsize=LABELS)
    panels[0].set_ylim(-0.05, 1.1)


def _folds_by_block(runs: Sequence[RunStrides], axis: str) -> tuple[list[int], list[float]]:
    """Give the blocks that shorten the axis, and how much each lets fold, averaged over runs."""
    folds: dict[int, list[float]] = {}
    for run in runs:
        for reading in run.learned.readings:
            if reading.axis == axis and reading.folds is not None:
                folds.setdefault(reading.block, []).append(reading.folds)
    blocks = sorted(folds)
    return blocks, [float(np.mean(folds[block])) for block in blocks]


def draw_resolution(figure: "Figure | SubFigure", groups: Groups) -> None:
    """Draw frame rate and mel bands that are left after every block, the mean over the runs of a recipe."""
    panels: Any = figure.subplots(1, 2)
    labels = {"time": "frames per second", "frequency": "bands"}
    for panel, axis in zip(panels, AXES, strict=True):
        _style(panel)
        first = next(iter(groups.values()))[0]
        panel.plot(_sizes_left([first.initial], first, axis), color=GREY, linewidth=1.2)
        for _, runs, look in _looks(groups):
            panel.plot(_sizes_left([run.learned for run in runs], runs[0], axis), marker=".", **look)
        panel.set_yscale("log", base=2)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.set_xticks(range(_blocks(groups) + 1), ["input", *(f"block {b + 1}" for b in range(_blocks(groups)))])
        panel.set_title(f"{labels[axis]} left after every block", fontsize=TITLES)


def _sizes_left(states: Sequence[StrideState], run: RunStrides, axis: str) -> Any:
    """Give frames per second, or bands, at the input and after every block, averaged over states."""
    sizes = []
    for state in states:
        readings = [reading for reading in state.readings if reading.axis == axis]
        sizes.append([readings[0].n_in, *(reading.n_out for reading in readings)])
    mean, frontend = np.mean(sizes, axis=0), run.checkpoint.recipe.frontend
    return mean * (frontend.sample_rate / frontend.hop_length / mean[0] if axis == "time" else 1.0)


Drawing = Callable[["Figure | SubFigure", Groups], None]
DRAWINGS: tuple[Drawing, ...] = (draw_history, draw_responses, draw_resolution)


def figure_strides(groups: Groups) -> "Figure":
    """Draw the three figures, one below the other."""
    alone = len(groups) == 1
    figure = _new_figure(11.5 if alone else 10)
    parts: Any = figure.subfigures(3, 1, height_ratios=[4, 4.2, 3] if alone else [4, 3, 3])
    for part, draw in zip(parts, DRAWINGS, strict=True):
        draw(part, groups)
    figure.text(0.01, -0.012, caption(groups), fontsize=TICKS, va="top")
    return figure
