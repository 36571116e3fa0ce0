"""What a useless model reaches: always naming the most frequent class."""

from collections import Counter
from collections.abc import Sequence


def majority_text(majority_class: str) -> str:
    """Say that an accuracy shows nothing.

    >>> majority_text("no")
    "no better than always 'no'"
    """
    return f"no better than always {majority_class!r}"


def most_frequent(labels: Sequence[str]) -> tuple[str, float]:
    """Find the most frequent label and its share; of equally frequent ones the first.

    >>> most_frequent(["no", "yes", "no", "no"])
    ('no', 0.75)
    """
    name, count = Counter(labels).most_common(1)[0]
    return name, count / len(labels)
