"""The schema of a recipe: its sections, and what they ask of each other."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from audiostride.recipe.augmentation import Augmentation
from audiostride.recipe.data import Data
from audiostride.recipe.frontend import Frontend
from audiostride.recipe.model import Model
from audiostride.recipe.section import PathText, Section
from audiostride.recipe.task import Task
from audiostride.recipe.training import Training


def _task_name(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no name for a task, expected letters, digits and _")
    return name


def _some_tasks(value: object) -> object:
    if value == {}:
        raise ValueError("expected at least one task, as in words: {manifest: words.csv}")
    return value


TaskName = Annotated[str, AfterValidator(_task_name)]


def _has_background(task: Task) -> bool:
    return task.background is not None or task.kind == "multilabel"


class Recipe(Section):
    """Everything that decides a training run."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the first weights and of all that is drawn at random. Train several to see how far results differ by
    chance: `audiostride train RECIPE --seeds 0-4`."""
    init_from: PathText | None = None
    """Run folder or checkpoint whose front end and network the run begins with, and the heads of tasks with the same
    name and classes. By default it begins at random."""
    tasks: Annotated[dict[TaskName, Task], BeforeValidator(_some_tasks)]
    """What is learned: a name of your choice for each task, and its settings. At least one is needed."""
    data: Data = Data()
    """Windows, cache, decoding, and the folds that stand in place of splits."""
    frontend: Frontend = Frontend()
    """The log-mel spectrogram that the network sees."""
    model: Model = Model()
    """The network and its strides."""
    augmentation: Augmentation = Augmentation()
    """Random changes of training windows."""
    training: Training = Training()
    """Steps, learning rates, and what is logged when."""

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        if self.data.window_s * self.frontend.sample_rate < self.frontend.win_length:
            raise ValueError(f"data.window_s={self.data.window_s:g} is shorter than frontend.win_length")
        if self.augmentation.noise_as_background and not any(map(_has_background, self.tasks.values())):
            raise ValueError(
                "augmentation.noise_as_background needs a task with background: CLASS, or of kind: multilabel"
            )
        if self.training.freeze_trunk and self.init_from is None:
            raise ValueError("training.freeze_trunk needs init_from, the run whose trunk is kept")
        return self
