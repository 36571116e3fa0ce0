"""Probabilities that mean what they say: one temperature per task, fitted on clips that were not trained on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

N_BINS = 15
COLDEST, HOTTEST = 0.05, 20.0

Logits = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """The temperature of a task, and the expected calibration error before and after dividing logits by it."""

    temperature: float
    ece_before: float
    ece_after: float
    n_clips: int


@dataclass(frozen=True)
class Bin:
    """Clips of similar confidence: how sure the model is of them, and how often it is right."""

    n_clips: int
    confidence: float
    accuracy: float


def probabilities(logits: npt.ArrayLike, temperature: float = 1.0) -> Logits:
    """Softmax of `logits / temperature` over the last axis.

    >>> probabilities([0.0, 2.0], temperature=2.0).round(2)
    array([0.27, 0.73])
    """
    scaled = np.asarray(logits, np.float64) / temperature
    shares = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    normalised: Logits = shares / shares.sum(axis=-1, keepdims=True)
    return normalised


def reliability(probability: Logits, labels: Labels, n_bins: int = N_BINS) -> list[Bin]:
    """Confidence and accuracy of the clips whose highest probability falls in each of `n_bins` equal bins.

    Bins without clips are left out.

    Shape:
        probability: `(clip, class)`. labels: `(clip,)`, class indices.
    """
    confidence, right = probability.max(axis=1), probability.argmax(axis=1) == labels
    of_clip = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    return [
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))
        for i in range(n_bins)
        if (inside := of_clip == i).any()
    ]


def expected_calibration_error(probability: Logits, labels: Labels, n_bins: int = N_BINS) -> float:
    """Mean gap between confidence and accuracy over the bins of `reliability`, weighted by their clips.

    Reference:
        Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.

    >>> expected_calibration_error(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1])).__round__(2)
    0.3
    """
    bins = reliability(probability, labels, n_bins)
    return sum(b.n_clips * abs(b.confidence - b.accuracy) for b in bins) / len(labels)


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """The temperature, from 0.05 to 20, with the highest likelihood of the labels.

    Shape:
        logits: `(clip, class)`. labels: `(clip,)`, class indices.

    Reference:
        Guo et al., 2017: temperature scaling.
    """
    of_label = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]

    def slope(inverse: float) -> float:
        """Of the negative log-likelihood in 1 / temperature, in which it is convex."""
        expected = (probabilities(logits, 1 / inverse) * logits).sum(axis=1)
        return float((expected - of_label).mean())

    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / high


def calibrate(logits: npt.ArrayLike, labels: npt.ArrayLike) -> Calibration:
    """Fit a temperature and measure what it mends."""
    values, indices = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
    temperature = fit_temperature(values, indices)
    before, after = (expected_calibration_error(probabilities(values, t), indices) for t in (1.0, temperature))
    return Calibration(temperature, before, after, len(indices))
