"""The figures of a report, as pictures that stand in the page itself."""

import base64
import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from audiostride.evaluation.calibration import Bin
from audiostride.evaluation.measures import NAMES
from audiostride.strides.plots import Drawing, draw_history, draw_resolution, draw_responses
from audiostride.strides.reading import RunStrides
from audiostride.vocabulary import Kind

Values = npt.NDArray[np.float64]

N_POINTS = 200  # of a curve: means of neighbours beyond that
N_COLUMNS = 250  # of a spectrogram: more would double its bytes and not be seen
PALETTE = 64  # colours
CSS_DPI = 96
WIDE = 10.0  # inches of a drawing with a panel per block
MARKS_HZ = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#767676"  # told apart by colour-blind readers (Okabe and Ito)
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "legend.frameon": False,
    "text.parse_math": False,  # names of classes and tasks are no formulas
    "svg.fonttype": "none",
    "svg.hashsalt": "audiostride",  # the same picture gets the same bytes
}


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, what it shows in words, and its size in CSS pixels."""

    uri: str
    alt: str
    width: int
    height: int


@contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """Give a figure of so many inches, in the style of the report whatever the user's own."""
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def data_uri(kind: str, content: bytes) -> str:
    """Give content of the media type `kind` as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def as_svg(figure: Figure, alt: str) -> Picture:
    """Give a figure of lines."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the name is in the table beside it
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _picture(figure, alt, "image/svg+xml", file.getvalue())


def as_png(figure: Figure, alt: str) -> Picture:
    """Turn a figure into a picture: two pixels for one of CSS, and a palette, a third of the bytes of full colour."""
    full, file = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(full, format="png", dpi=2 * CSS_DPI)
    Image.open(full).convert("RGB").quantize(PALETTE).save(file, "png", optimize=True)
    return _picture(figure, alt, "image/png", file.getvalue())


def _picture(figure: Figure, alt: str, kind: str, content: bytes) -> Picture:
    width, height = (round(inches * CSS_DPI) for inches in figure.get_size_inches())
    return Picture(data_uri(kind, content), alt, width, height)


def thinned(values: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    """Give at most `n` values along the last axis, each the mean of neighbours."""
    edges = np.linspace(0, values.shape[-1], min(n, values.shape[-1]) + 1).astype(int)
    means: npt.NDArray[Any] = np.add.reduceat(values, edges[:-1], axis=-1) / np.diff(edges)
    return means


def _series(lines: Sequence[Mapping[str, Any]], key: str, name: str | None = None) -> Values:
    """Collect steps and values `(2, point)` of `key` (of `name` in it) where a line holds a finite number."""
    points = []
    for line in lines:
        value = line.get(key)
        if name is not None:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int | float) and math.isfinite(value):
            points.append((line["step"], value))
    return np.array(points, np.float64).reshape(-1, 2).T


def loss_curve(lines: Sequence[Mapping[str, Any]], task: str) -> Picture | None:
    """Give the loss of a task over the steps of the log, in validation too if it was logged; None if it has none."""
    points, validated = _series(lines, "loss", task), _series(lines, "validation_loss", task)
    if not points.size:
        return None
    alt = f"Loss of {task} over training, from {points[1, 0]:.3g} to {points[1, -1]:.3g}"
    with drawing(4.4, 2.7) as (figure, axes):
        axes.plot(*thinned(points, N_POINTS), color=BLUE, label="training batches")
        if validated.size:
            axes.plot(*thinned(validated, N_POINTS), "o-", color=ORANGE, markersize=4, label="validation")
            axes.legend()
            alt += f"; in validation at least {validated[1].min():.3f}"
        axes.set(title="Loss" if validated.size else "Loss in training", xlabel="step", ylim=(0, None))
        return as_svg(figure, alt)


def _measure_name(lines: Sequence[Mapping[str, Any]], task: str) -> str:
    """Name what validation measured; logs of older versions do not say it, and hold accuracies."""
    logged = {str(line["measures"].get(task)) for line in lines if isinstance(line.get("measures"), dict)}
    return next((name for measure, name in NAMES.items() if measure in logged), NAMES["accuracy"])


def accuracy_curve(lines: Sequence[Mapping[str, Any]], task: str, kind: Kind = "single") -> Picture | None:
    """Give how well a task is solved in training and by its measure in validation; None if neither was logged.

    Args:
        lines: of the log.
        task: its name.
        kind: of the task; what the log calls accuracy is F1 over all classes for a multi-label task.
    """
    trained, validated = _series(lines, "accuracy", task), _series(lines, "validation", task)
    if not trained.size and not validated.size:
        return None
    in_training, measure = "F1" if kind == "multilabel" else "Accuracy", _measure_name(lines, task)
    title = in_training if measure == in_training.lower() else f"{in_training} and {measure}"
    alt = f"{title} of {task} over training"
    with drawing(4.4, 2.7) as (figure, axes):
        if trained.size:
            axes.plot(*thinned(trained, N_POINTS), color=BLUE, alpha=0.7, label=f"{in_training} of training batches")
        if validated.size:
            axes.plot(*thinned(validated, N_POINTS), "o-", color=ORANGE, markersize=4, label=f"{measure} in validation")
            alt += f"; {measure} in validation at best {validated[1].max():.3f}"
        axes.set(title=title, xlabel="step", ylim=(0, 1.02))
        axes.legend()
        return as_svg(figure, alt)


def learning_rates(lines: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Give learning rates of weights and strides; None if there are none."""
    weights, strides = _series(lines, "learning_rate"), _series(lines, "stride_learning_rate")
    if not weights.size:
        return None
    with drawing(4.4, 2.7) as (figure, axes):
        axes.plot(*thinned(weights, N_POINTS), color=BLUE, label="weights")
        if strides.size:
            axes.plot(*thinned(strides, N_POINTS), color=ORANGE, label="strides")
        axes.set(title="Learning rate", xlabel="step", ylim=(0, None))
        axes.legend()
        return as_svg(figure, "Learning rates of weights and strides over training")


def stride_pictures(name: str, run: RunStrides) -> list[Picture]:
    """Give the drawings of a run's strides: over training if that was logged, what the layers pass, what is left."""
    drawings: list[tuple[Drawing, float, str]] = [
        (draw_responses, 4.0, "Gain of every block along time and frequency, at the start and as trained"),
        (draw_resolution, 2.8, "Frames per second and bands left after every block, at the start and as trained"),
    ]
    if len(run.history.steps):
        drawings.insert(0, (draw_history, 3.6, "Stride of every block along time and frequency over training"))
    pictures = []
    for draw, height, alt in drawings:
        with matplotlib.style.context(["default", STYLE]):
            figure = Figure(figsize=(WIDE, height), layout="constrained")
            draw(figure, {name: [run]})
            pictures.append(as_svg(figure, alt))
    return pictures


def reliability_diagram(before: Sequence[Bin], after: Sequence[Bin] | None, task: str) -> Picture:
    """Give accuracy against confidence, a point per bin; the diagonal is a model whose probabilities hold."""
    with drawing(4.0, 3.6) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="ideal")
        for bins, colour, marker, name in ((before, BLUE, "o", "as trained"), (after, ORANGE, "s", "calibrated")):
            if bins:
                confidence, accuracy = [b.confidence for b in bins], [b.accuracy for b in bins]
                sizes = [8 + 80 * b.n_clips / max(b.n_clips for b in bins) for b in bins]
                axes.plot(confidence, accuracy, marker=marker, markersize=3, color=colour, label=name)
                axes.scatter(confidence, accuracy, sizes, color=colour, marker=marker)
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.legend(loc="upper left")
        return as_svg(figure, f"Reliability of the probabilities of {task}: accuracy against confidence")


def frequency_marks(band_hz: Sequence[float]) -> dict[int, float]:
    """Give frequencies to name, with their place among the bands: from the highest down, as far as there is room."""
    marks: dict[int, float] = {}
    for hz in reversed(MARKS_HZ):
        place = float(np.interp(hz, band_hz, np.arange(len(band_hz)) + 0.5))
        if band_hz[0] <= hz <= band_hz[-1] and min(marks.values(), default=math.inf) - place > len(band_hz) / 8:
            marks[hz] = place
    return marks


def spectrogram(
    log_mel: npt.NDArray[np.float32],
    band_hz: Sequence[float],
    *,
    start_s: float,
    duration_s: float,
    window_s: tuple[float, float],
    alt: str,
) -> Picture:
    """Give a log-mel spectrogram, with the borders of the window in question.

    Args:
        band_hz: centre of every band.
        start_s, duration_s: what the spectrogram shows, in seconds of the recording.
        window_s: begin and end of the window.

    Shape:
        log_mel: `(mel, time)`.
    """
    n_bands = len(log_mel)
    with drawing(3.6, 1.9) as (figure, axes):
        axes.grid(visible=False)
        axes.imshow(
            thinned(log_mel, N_COLUMNS),
            origin="lower",
            aspect="auto",
            cmap="magma",
            interpolation="nearest",
            extent=(start_s, start_s + duration_s, 0, n_bands),
        )
        marks = frequency_marks(band_hz)
        axes.set_yticks(list(marks.values()), [f"{hz / 1000:g}" for hz in marks])
        axes.set(xlabel="s", ylabel="kHz", xlim=(start_s, start_s + duration_s))
        for edge in window_s:
            axes.axvline(edge, color="white", linewidth=1.5, linestyle="--")
        return as_png(figure, alt)
