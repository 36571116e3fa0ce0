"""From logits to probabilities."""

import numpy as np
import numpy.typing as npt

from audiostride.vocabulary import Kind

Probabilities = npt.NDArray[np.float64]


def probabilities(logits: npt.ArrayLike, temperature: float = 1.0, kind: Kind = "single") -> Probabilities:
    """Compute the softmax of `logits / temperature` over the last axis; the sigmoid of each for a multi-label task.

    >>> probabilities([0.0, 2.0], temperature=2.0).round(2)
    array([0.27, 0.73])
    >>> probabilities([0.0, 2.0], temperature=2.0, kind="multilabel").round(2)
    array([0.5 , 0.73])
    """
    values = np.asarray(logits, np.float64)
    with np.errstate(over="ignore", under="ignore"):  # far below the highest logit a probability is 0
        if kind == "multilabel":
            each: Probabilities = np.exp(-np.logaddexp(0, -values / temperature))  # exact also where it is tiny
            return each
        weights = np.exp((values - values.max(axis=-1, keepdims=True)) / temperature)
    shares: Probabilities = weights / weights.sum(axis=-1, keepdims=True)
    return shares
