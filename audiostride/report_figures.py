"""The figures of a report, as pictures that stand in the page itself."""

import base64
import io
import math
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

from audiostride.calibration import Bin

Values = npt.NDArray[np.float64]

N_POINTS = 200  # of a curve: means of neighbours beyond that
CSS_DPI = 96
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
def _drawing(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of so many inches, in the style of the report whatever the user's own."""
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def data_uri(kind: str, content: bytes) -> str:
    """Content of the media type `kind` as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture(figure: Figure, alt: str, as_svg: bool = True) -> Picture:
    """A figure as SVG, or as PNG with two pixels for one of CSS."""
    file = io.BytesIO()
    kind, metadata = ("svg", {"Date": None, "Creator": None}) if as_svg else ("png", {"Software": None})
    figure.savefig(file, format=kind, dpi=2 * CSS_DPI, metadata=metadata)
    width, height = (round(inches * CSS_DPI) for inches in figure.get_size_inches())
    return Picture(data_uri("image/svg+xml" if as_svg else "image/png", file.getvalue()), alt, width, height)


def _thinned(steps: Sequence[float], values: Sequence[float]) -> tuple[Values, Values]:
    """At most `N_POINTS` points, each the mean of neighbours."""
    edges = np.linspace(0, len(steps), min(N_POINTS, len(steps)) + 1).astype(int)[:-1]
    sizes = np.diff([*edges, len(steps)])
    x, y = (np.add.reduceat(np.asarray(of, np.float64), edges) / sizes for of in (steps, values))
    return x, y


def _series(lines: Sequence[Mapping[str, Any]], key: str, name: str | None = None) -> tuple[list[float], list[float]]:
    """Steps and values of `key` (of `name` in it) in the lines that hold a finite number there."""
    steps, values = [], []
    for line in lines:
        value = line.get(key)
        value = value.get(name) if name is not None and isinstance(value, dict) else value
        if isinstance(value, int | float) and math.isfinite(value):
            steps.append(float(line["step"]))
            values.append(float(value))
    return steps, values


def loss_curve(lines: Sequence[Mapping[str, Any]], task: str) -> Picture | None:
    """Training loss of a task over the steps of `metrics.jsonl`; None if it has none."""
    steps, values = _series(lines, "loss", task)
    if not steps:
        return None
    with _drawing(4.4, 2.7) as (figure, axes):
        axes.plot(*_thinned(steps, values), color=BLUE)
        axes.set(title="Loss in training", xlabel="step", ylim=(0, None))
        return picture(figure, f"Loss of {task} over training, from {values[0]:.3g} to {values[-1]:.3g}")


def accuracy_curve(lines: Sequence[Mapping[str, Any]], task: str) -> Picture | None:
    """Accuracy of a task in training and validation; None if there is none."""
    trained, validated = _series(lines, "accuracy", task), _series(lines, "validation", task)
    if not trained[0] and not validated[0]:
        return None
    alt = f"Accuracy of {task} over training"
    with _drawing(4.4, 2.7) as (figure, axes):
        if trained[0]:
            axes.plot(*_thinned(*trained), color=BLUE, alpha=0.7, label="training batches")
        if validated[0]:
            axes.plot(*validated, "o-", color=ORANGE, markersize=4, label="validation")
            alt += f"; in validation at best {max(validated[1]):.3f}"
        axes.set(title="Accuracy", xlabel="step", ylim=(0, 1.02))
        axes.legend(loc="lower right")
        return picture(figure, alt)


def learning_rates(lines: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Learning rates of weights and strides; None if there are none."""
    rates = {
        "weights": _series(lines, "learning_rate"),
        "strides": _series(lines, "stride_learning_rate"),
    }
    if not rates["weights"][0]:
        return None
    with _drawing(4.4, 2.7) as (figure, axes):
        for (name, (steps, values)), colour in zip(rates.items(), (BLUE, ORANGE), strict=True):
            if steps:
                axes.plot(*_thinned(steps, values), color=colour, label=name)
        axes.set(title="Learning rate", xlabel="step", ylim=(0, None))
        axes.legend()
        return picture(figure, "Learning rates of weights and strides over training")


def stride_history(lines: Sequence[Mapping[str, Any]], axis: str) -> Picture | None:
    """The stride of every block along `axis` over training; None if the run logged none."""
    logged = [line for line in lines if isinstance(line.get("strides"), dict) and line["strides"].get(axis)]
    if not logged:
        return None
    steps = [float(line["step"]) for line in logged]
    strides = np.array([line["strides"][axis] for line in logged], np.float64)
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, strides.shape[1]))
    with _drawing(4.4, 3.0) as (figure, axes):
        for block, colour in enumerate(colours):
            axes.plot(*_thinned(steps, strides[:, block].tolist()), color=colour, label=f"block {block + 1}")
        axes.set(title=f"Strides along {axis}", xlabel="step")
        figure.legend(loc="outside right center")
        ends = ", ".join(f"{stride:.2f}" for stride in strides[-1])
        return picture(figure, f"Strides along {axis} over training, at the end {ends} in blocks 1 to {len(colours)}")


def reliability_diagram(before: Sequence[Bin], after: Sequence[Bin] | None, task: str) -> Picture:
    """Accuracy against confidence, a point per bin; the diagonal is a model whose probabilities hold."""
    with _drawing(4.0, 3.6) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="ideal")
        for bins, colour, marker, name in ((before, BLUE, "o", "as trained"), (after, ORANGE, "s", "calibrated")):
            if bins:
                confidence, accuracy = [b.confidence for b in bins], [b.accuracy for b in bins]
                sizes = [8 + 80 * b.n_clips / max(b.n_clips for b in bins) for b in bins]
                axes.plot(confidence, accuracy, marker=marker, markersize=3, color=colour, label=name)
                axes.scatter(confidence, accuracy, sizes, color=colour, marker=marker)
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.legend(loc="upper left")
        return picture(figure, f"Reliability of the probabilities of {task}: accuracy against confidence")


def spectrogram(
    log_mel: npt.NDArray[np.float32],
    band_hz: Sequence[float],
    start_s: float,
    duration_s: float,
    window_s: tuple[float, float],
    alt: str,
) -> Picture:
    """A log-mel spectrogram, with the borders of the window in question.

    Args:
        band_hz: centre of every band.
        start_s, duration_s: what the spectrogram shows, in seconds of the recording.
        window_s: begin and end of the window.

    Shape:
        log_mel: `(mel, time)`.
    """
    with _drawing(3.6, 1.9) as (figure, axes):
        axes.grid(False)
        n_bands = len(log_mel)
        axes.imshow(
            log_mel,
            origin="lower",
            aspect="auto",
            cmap="magma",
            interpolation="nearest",
            extent=(start_s, start_s + duration_s, 0, n_bands),
        )
        shown_hz = [hz for hz in MARKS_HZ if band_hz[0] <= hz <= band_hz[-1]]
        axes.set_yticks([float(np.interp(hz, band_hz, np.arange(n_bands) + 0.5)) for hz in shown_hz])
        axes.set_yticklabels([f"{hz / 1000:g}" for hz in shown_hz])
        axes.set(xlabel="s", ylabel="kHz", xlim=(start_s, start_s + duration_s))
        for edge in window_s:
            axes.axvline(edge, color="white", linewidth=1.5, linestyle="--")
        return picture(figure, alt, as_svg=False)
