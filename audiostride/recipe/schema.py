"""The schema of a recipe."""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from audiostride.recipe.augmentation import Augmentation
from audiostride.recipe.section import Count, NonNegative, PathText, Positive, Section
from audiostride.recipe.training import Training
from audiostride.vocabulary import (
    BACKBONE,
    FOLDED_SMOOTHNESS,
    LABELS_COLUMN,
    MAX_SMOOTHNESS,
    MAX_STRIDE,
    MAX_WINDOW_S,
    MIN_SMOOTHNESS,
    N_BLOCKS,
    SMOOTHNESS,
    STRIDE_RANGE,
    STRIDES,
    Downsampling,
    Kind,
    Measure,
    MelScale,
    Normalization,
    Order,
    Placement,
    Ramp,
    check_frontend,
)


def _strides(value: object) -> tuple[float, ...] | Literal["random"]:
    expected = f"expected a list of {N_BLOCKS} numbers >= 1, one per block, or random"
    if value == "random":
        return "random"
    if not isinstance(value, list | tuple) or len(value) != N_BLOCKS:
        raise ValueError(f"got {value!r}, {expected}")
    for stride in value:
        if isinstance(stride, bool) or not isinstance(stride, int | float) or not 1 <= stride <= MAX_STRIDE:
            raise ValueError(f"got {stride!r}, {expected}")
    return tuple(float(stride) for stride in value)


def _smoothnesses(value: object) -> tuple[float, ...] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == N_BLOCKS:
        numbers = all(type(width) in (int, float) and 0 < width <= MAX_SMOOTHNESS for width in value)
        if numbers:
            return tuple(float(width) for width in value)
    raise ValueError(f"got {value!r}, expected a list of {N_BLOCKS} numbers above 0, one per block, in Fourier bins")


Smoothness = Annotated[float, Field(gt=0, le=MAX_SMOOTHNESS)]
Smoothnesses = Annotated[tuple[float, ...] | None, BeforeValidator(_smoothnesses)]
Strides = Annotated[tuple[float, ...] | Literal["random"], BeforeValidator(_strides)]


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


class Model(Section):
    """The network and its strides."""

    backbone: Annotated[str, Field(min_length=1)] = BACKBONE
    downsampling: Downsampling = "diffstride"
    placement: Placement = "per_axis"
    order: Order = "conv_pool_relu_bn"
    width: Annotated[float, Field(gt=0, le=16, allow_inf_nan=False)] = 1.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stride_time: Strides = STRIDES
    stride_frequency: Strides = STRIDES
    stride_low: Annotated[float, Field(ge=1, le=MAX_STRIDE)] = STRIDE_RANGE[0]
    stride_high: Annotated[float, Field(ge=1, le=MAX_STRIDE)] = STRIDE_RANGE[1]
    smoothness: Smoothness = SMOOTHNESS
    smoothness_time: Smoothnesses = None
    smoothness_frequency: Smoothnesses = None
    learn_smoothness: bool = False
    ramp: Ramp = "outside"
    shared: bool = False
    identity_at_1: bool = True

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: object) -> object:
        """Give a ramp that folds the defaults that were measured for it; the paper's hold for the others."""
        if not isinstance(values, dict) or values.get("ramp") != "folded":
            return values
        return {"smoothness": FOLDED_SMOOTHNESS, "learn_smoothness": True} | values

    @model_validator(mode="after")
    def _check(self) -> "Model":
        if self.stride_low > self.stride_high:
            raise ValueError(f"stride_low={self.stride_low:g} exceeds stride_high={self.stride_high:g}")
        if self.shared and self.placement != "per_block":
            raise ValueError("shared strides need placement: per_block, one layer for both axes")
        widths = (self.smoothness, *(self.smoothness_time or ()), *(self.smoothness_frequency or ()))
        learned = self.downsampling == "diffstride" and (self.learn_smoothness or self.ramp == "folded")
        if learned and min(widths) < MIN_SMOOTHNESS:
            raise ValueError(
                f"smoothness={min(widths):g} is less than {MIN_SMOOTHNESS:g} Fourier bin: such a ramp may hold no bin, "
                "and its stride cannot learn"
            )
        low, high = self.stride_low, self.stride_high
        if self.downsampling == "strided_conv" and math.ceil(low) > math.floor(high):
            raise ValueError(f"no integer between stride_low={low:g} and stride_high={high:g} for strided_conv")
        if self.shared and self.stride_time != self.stride_frequency:
            raise ValueError("shared strides need equal stride_time and stride_frequency")
        if self.downsampling == "strided_conv":
            for name, strides in (("stride_time", self.stride_time), ("stride_frequency", self.stride_frequency)):
                if any(stride != int(stride) for stride in strides if strides != "random"):
                    raise ValueError(f"strided_conv needs integers in {name}, got {list(strides)}")
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
