"""The drawing of precision against recall."""

import pytest
import torch
from matplotlib.figure import Figure

from audiostride.evaluation.scores import score
from audiostride.evaluation.traits import Traits
from audiostride.report import precision_recall as drawn


def test_the_legend_hides_no_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(drawn, "as_svg", lambda figure, _: figures.append(figure))
    logits = torch.tensor([[2.0, -1.0], [-1.0, 1.0], [1.0, 2.0], [-2.0, -3.0]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    result = score(logits, labels, torch.ones(4), ("song", "call"), traits=Traits("multilabel"))
    drawn.precision_recall(logits, labels, result)
    (figure,) = figures
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().x0 >= figure.axes[0].get_window_extent().x1
