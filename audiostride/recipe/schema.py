"""The schema of a recipe."""

import math
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from audiostride.recipe.model import Model
from audiostride.recipe.section import Count, NonNegative, Positive, Section
from audiostride.recipe.training import Training
from audiostride.vocabulary import (
    LABELS_COLUMN,
    MAX_WINDOW_S,
    Kind,
    Measure,
    MelScale,
    NoiseColour,
    Normalization,
    check_frontend,
)


def _range(value: object) -> tuple[float, float] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == 2:
        numbers = all(type(end) in (int, float) and math.isfinite(end) for end in value)
        if numbers and value[0] <= value[1]:
            return float(value[0]), float(value[1])
    raise ValueError(f"got {value!r}, expected a list of two numbers, the lower one first, as in [5, 50]")


Range = Annotated[tuple[float, float] | None, BeforeValidator(_range)]


def _colours(value: object) -> tuple[str, ...]:
    known = get_args(NoiseColour)
    if isinstance(value, list | tuple) and value and all(colour in known for colour in value):
        colours = tuple(str(colour) for colour in value)
        if len(set(colours)) == len(colours):
            return colours
    raise ValueError(f"got {value!r}, expected a list of {', '.join(known)}, each once at most, as in [white, pink]")


NoiseColours = Annotated[tuple[NoiseColour, ...], BeforeValidator(_colours)]


def _absolute(path: str) -> str:
    """Make a path absolute, which is relative to the working folder until now; a run is read from anywhere."""
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise ValueError(f"got {path!r}, no such user's home") from error


PathText = Annotated[str, Field(min_length=1), AfterValidator(_absolute)]


class Task(Section):
    """One classification task: whose recordings, which label."""

    manifest: PathText
    kind: Kind = "single"
    label: str = "label"
    background: Annotated[str, Field(min_length=1)] | None = None
    root: PathText | None = None
    weight: Positive = 1.0
    class_weights: Literal["equal", "inverse_frequency"] = "equal"
    positive_weights: Literal["equal", "inverse_frequency"] = "equal"
    focal: Annotated[float, Field(ge=0, le=10)] = 0.0
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    best: Measure | Literal["auto"] = "auto"

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


def _fold(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or (isinstance(value, str) and value):
        return value
    raise ValueError(f"got {value!r}, expected the name of a fold, as in 3")


FoldName = Annotated[str | None, BeforeValidator(_fold)]


class Data(Section):
    """Windows, cache, decoding, and the folds that stand in place of splits."""

    window_s: Annotated[float, Field(gt=0, le=MAX_WINDOW_S)] = 1.0
    cache_dir: PathText | None = None
    n_workers: Annotated[int, Field(ge=1, le=64)] = 2
    max_bad_files: Annotated[int, Field(ge=0)] = 0
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    test_fold: FoldName = None
    valid_fold: FoldName = None

    @model_validator(mode="after")
    def _check(self) -> "Data":
        if self.valid_fold is not None and self.test_fold is None:
            raise ValueError("valid_fold needs test_fold: folds stand in place of the splits of a manifest")
        if self.valid_fold is not None and self.valid_fold == self.test_fold:
            raise ValueError(f"test_fold and valid_fold are both {self.test_fold!r}, expected two different folds")
        return self


class Frontend(Section):
    """The log-mel spectrogram."""

    sample_rate: Annotated[int, Field(ge=1, le=10**6)] = 16000
    n_fft: Annotated[int, Field(ge=1, le=2**20)] = 512
    win_length: Count = 400
    hop_length: Count = 160
    n_mels: Count = 64
    f_min: NonNegative = 60.0
    f_max: Positive = 7800.0
    mel_scale: MelScale = "htk"
    offset: Positive = 1e-5
    normalization: Normalization = "none"
    top_db: Positive | None = None

    @model_validator(mode="after")
    def _check(self) -> "Frontend":
        check_frontend(**self.model_dump(exclude={"mel_scale", "normalization", "top_db"}))
        if self.normalization == "peak" and self.top_db is None:
            raise ValueError("normalization: peak needs top_db, the dynamic range in dB, as in top_db: 40")
        return self


class Augmentation(Section):
    """Of training windows only; null and 0 are off."""

    time_shift_s: Annotated[float, Field(ge=0, le=MAX_WINDOW_S)] = 0.0
    gain_db: Range = None
    background: PathText | None = None
    background_snr_db: Range = None
    noise_snr_db: Range = None
    noise_colours: NoiseColours = ("white",)
    noise_as_background: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mask_frequency: Annotated[int, Field(ge=0, le=10**6)] = 0
    mask_time: Annotated[int, Field(ge=0, le=10**6)] = 0
    mixup: Annotated[float, Field(ge=0, le=1000)] = 0.0
    mixup_labels: Literal["shares", "union"] = "shares"

    @model_validator(mode="after")
    def _check(self) -> "Augmentation":
        if (self.background is None) != (self.background_snr_db is None):
            raise ValueError(
                "background and background_snr_db need each other: a folder of recordings and a range "
                "of signal-to-noise ratios in dB, as in [0, 30]"
            )
        return self


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
    init_from: PathText | None = None
    tasks: Annotated[dict[TaskName, Task], BeforeValidator(_some_tasks)]
    data: Data = Data()
    frontend: Frontend = Frontend()
    model: Model = Model()
    augmentation: Augmentation = Augmentation()
    training: Training = Training()

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
