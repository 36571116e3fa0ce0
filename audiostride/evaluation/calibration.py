"""Probabilities that mean what they say: one temperature per task, fitted on clips that were not trained on."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audiostride.evaluation.probabilities import probabilities

N_BINS = 15
N_FOLDS = 5
COLDEST, HOTTEST = 0.05, 20.0

Logits = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """The temperature of a task, and what it does to the expected calibration error.

    Attributes:
        temperature: that logits are divided by; 1 where a fitted one would not help.
        ece_before: error of the plain probabilities on the validation clips.
        ece_after: error with a fitted temperature under cross-validation: no clip was used to fit its own temperature.
        n_clips: validation clips.
        kept: whether the fitted temperature lowers the error and is used.
    """

    temperature: float
    ece_before: float
    ece_after: float
    n_clips: int
    kept: bool = True

    def __post_init__(self) -> None:
        """Refuse what no calibration can be, whoever wrote the file that it is read from."""
        numbers = (self.temperature, self.ece_before, self.ece_after, self.n_clips)
        if not all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
            raise ValueError(f"a calibration needs finite numbers, got {numbers}")
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")


@dataclass(frozen=True)
class Bin:
    """Clips of similar confidence: how sure the model is of them, and how often it is right."""

    n_clips: int
    confidence: float
    accuracy: float


def reliability(probability: Logits, labels: Labels, n_bins: int = N_BINS) -> list[Bin]:
    """Give confidence and accuracy of the clips whose highest probability falls in each of `n_bins` equal bins.

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
    """Give mean gap between confidence and accuracy over the bins of `reliability`, weighted by their clips.

    Reference:
        Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.

    >>> expected_calibration_error(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1])).__round__(2)
    0.3
    """
    bins = reliability(probability, labels, n_bins)
    return sum(b.n_clips * abs(b.confidence - b.accuracy) for b in bins) / len(labels)


def as_answers(logits: Logits, labels: Labels) -> tuple[Logits, Labels, Labels]:
    """Take a multi-label task for what it asks: a yes or no about every class, whose logits are 0 and its own.

    The softmax of such a pair is the sigmoid of the logit. A task of one class each stays as it is.

    Shape:
        logits: `(clip, class)`. labels: `(clip,)` class indices, or `(clip, class)`, 0 and 1.
        output: logits `(answer, class)`, class indices `(answer,)`, and the clip `(answer,)` that each is about.
    """
    if labels.ndim == 1:
        return logits, labels, np.arange(len(labels))
    clips = np.repeat(np.arange(len(labels)), labels.shape[1])
    return np.stack([np.zeros(logits.size), logits.ravel()], axis=1), labels.ravel(), clips


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """Find the temperature, from 0.05 to 20, with the highest likelihood of the labels.

    A model that is right on all of n clips would be made certain by a likelihood alone. Yet n clips do not show that
    the next one will be right: by the rule of succession it is wrong with probability 1 / (n + 2). So every label
    counts as right with probability 1 - 1 / (n + 2) only, the rest is spread over the other classes, and n clips
    make the model no surer than that on average.

    Shape:
        logits: `(clip, class)`. labels: `(clip,)`, class indices.

    Reference:
        Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017: temperature scaling.
        Laplace, "Essai philosophique sur les probabilités", 1814: the rule of succession.
    """
    n_clips, n_classes = logits.shape
    doubt = 1 / (n_clips + 2)
    right = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    others = (logits.sum(axis=1) - right) / (n_classes - 1)
    target = ((1 - doubt) * right + doubt * others).mean()

    def slope(inverse: float) -> float:
        """Compute the slope of the negative log-likelihood in 1 / temperature, in which it is convex."""
        return float((probabilities(logits, 1 / inverse) * logits).sum(axis=1).mean() - target)

    from scipy.optimize import brentq  # slow to import, and predictions do not need it

    low, high = 1 / HOTTEST, 1 / COLDEST
    if slope(low) >= 0:
        return HOTTEST
    if slope(high) <= 0:
        return COLDEST
    return 1 / float(brentq(slope, low, high))


def _held_out(values: Logits, labels: Labels, clips: Labels) -> Logits:
    """Compute the probabilities `(answer, class)` of every clip with a temperature fitted on the other folds."""
    folds = (np.random.default_rng(0).permutation(int(clips.max()) + 1) % N_FOLDS)[clips]
    result = np.empty_like(values)
    for fold in range(N_FOLDS):
        held = folds == fold
        result[held] = probabilities(values[held], fit_temperature(values[~held], labels[~held]))
    return result


def calibrate(logits: npt.ArrayLike, labels: npt.ArrayLike) -> Calibration:
    """Fit a temperature, and keep it only if it lowers the calibration error of clips that it was not fitted on.

    Five folds of the clips are held out in turn. With fewer clips than folds nothing can be shown, and none is kept.
    A multi-label task has one temperature for all its classes.

    Shape:
        logits: `(clip, class)`. labels: `(clip,)` class indices, or `(clip, class)`, 0 and 1.
    """
    n_clips = len(np.asarray(labels))
    values, indices, clips = as_answers(np.asarray(logits, np.float64), np.asarray(labels, np.int64))
    before = expected_calibration_error(probabilities(values), indices)
    if n_clips < N_FOLDS:
        return Calibration(1.0, before, before, n_clips, kept=False)
    after = expected_calibration_error(_held_out(values, indices, clips), indices)
    kept = after < before
    return Calibration(fit_temperature(values, indices) if kept else 1.0, before, after, n_clips, kept)
