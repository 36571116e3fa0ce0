"""The section of a recipe on one task."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from audiostride.recipe.section import PathText, Positive, Section
from audiostride.vocabulary import LABELS_COLUMN, Kind, Measure


class Task(Section):
    """One classification task: whose recordings, which label."""

    manifest: PathText
    """CSV file with a row per clip: path, split and labels. The path is relative to the working folder. `audiostride
    init` and `audiostride prepare` write manifests."""
    kind: Kind = "single"
    """`single` tells one class of several. `multilabel` says yes or no to each class: take it where several classes
    sound at once, or none."""
    label: str = "label"
    """Column of the manifest that holds the classes. For `multilabel` the default is `labels`, with the classes of a
    clip between `;`."""
    background: Annotated[str, Field(min_length=1)] | None = None
    """Class that means nothing, as noise or silence. It is trained, and it is never shown as a detection. Name one
    where a model listens to recordings that hold other sounds."""
    root: PathText | None = None
    """Folder that the paths in the manifest are relative to. By default it is the folder of the manifest. Set it where
    the recordings have moved."""
    weight: Positive = 1.0
    """Factor of the loss of this task in the sum over all tasks. Raise it for a task that the others push aside."""
    class_weights: Literal["equal", "inverse_frequency"] = "equal"
    """Weights of the classes in the loss of a `single` task. `inverse_frequency` makes rare classes count more; try it
    where a class has ten times as many clips as another."""
    positive_weights: Literal["equal", "inverse_frequency"] = "equal"
    """Weights of the windows that have a class in the loss of a `multilabel` task. `inverse_frequency` takes the ratio
    of the windows without it to those with it, 20 at most."""
    focal: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Exponent of the focal loss of a `multilabel` task, which counts easy answers less. 0 is the plain loss, 2 is
    usual where nearly all windows are empty."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """How the training windows are drawn. `shuffled` takes every clip once in an epoch, `balanced` every class equally
    often. Take `balanced` where classes are rare."""
    best: Measure | Literal["auto"] = "auto"
    """Measure of the validation clips that chooses the best checkpoint. `auto` is `map` for a `multilabel` task,
    `macro_f1` where a class has three times the clips of another or more, and `accuracy` elsewhere."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: object) -> object:
        """Read the classes of a multi-label task from the column that `prepare annotations` writes."""
        if not isinstance(values, dict) or values.get("kind") != "multilabel":
            return values
        return {"label": LABELS_COLUMN} | values

    @model_validator(mode="after")
    def _check(self) -> "Task":
        if self.kind == "multilabel" and self.class_weights != "equal":
            raise ValueError("class_weights are for kind: single; a multi-label task has positive_weights")
        if self.kind == "single" and (self.positive_weights != "equal" or self.focal):
            name = "focal" if self.focal else "positive_weights"
            raise ValueError(f"{name} is for kind: multilabel")
        return self
