"""Precision against recall of every class, as the threshold moves."""

from torch import Tensor

from audiostride.data.targets import membership
from audiostride.evaluation.measures import kind_of
from audiostride.evaluation.scores import TaskScore
from audiostride.report.det_plot import as_label
from audiostride.report.figures import GREY, Picture, as_svg, drawing

N_NAMED = 3  # classes with the lowest average precision, which are named
LOW = ("#d55e00", "#cc79a7", "#009e73")


def precision_recall(logits: Tensor, labels: Tensor, score: TaskScore) -> Picture | None:
    """Draw a curve per class, the classes with the lowest average precision by name; None if no clip has a class.

    Dots stand where the thresholds of the model are.

    Shape:
        logits: `(clip, class)`. labels: as `encode` gives them.
    """
    from torchmetrics.functional.classification import binary_precision_recall_curve

    shares = logits.sigmoid() if kind_of(labels) == "multilabel" else logits.softmax(1)
    truth = membership(labels, len(score.classes))
    present = [i for i, of_class in enumerate(score.by_class) if of_class.n_clips]
    if not present:
        return None
    worst = sorted(present, key=lambda i: score.by_class[i].average_precision or 0.0)[:N_NAMED]
    with drawing(6.4, 3.6) as (figure, axes):
        for i in [*(i for i in present if i not in worst), *worst]:
            of_class = score.by_class[i]
            precision, recall, _ = binary_precision_recall_curve(shares[:, i].double(), truth[:, i].long())
            is_worst = i in worst
            colour = LOW[worst.index(i)] if is_worst else GREY
            label = f"{as_label(of_class.name)} (AP {of_class.average_precision:.2f})" if is_worst else None
            axes.plot(recall, precision, color=colour, linewidth=1.8 if is_worst else 0.7, label=label)
            if of_class.threshold is not None and of_class.precision is not None and of_class.recall is not None:
                axes.plot([of_class.recall], [of_class.precision], "o", color=colour, markersize=4)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.03))
        figure.legend(title="lowest average precision", loc="outside right upper")
        return as_svg(figure, f"Precision against recall of {len(present)} classes")
