"""The section of a recipe on the network and its strides."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from audiostride.recipe.section import Section
from audiostride.vocabulary import (
    BACKBONE,
    BACKBONE_STRIDES,
    FOLDED_SMOOTHNESS,
    MAX_SMOOTHNESS,
    MAX_STRIDE,
    MIN_SMOOTHNESS,
    SMOOTHNESS,
    STRIDE_RANGE,
    STRIDES,
    Downsampling,
    Order,
    Placement,
    Pooling,
    Ramp,
)

SIX_BLOCKS: dict[str, Any] = {"default": list(STRIDES)}  # what the description of the keys names


def _default_strides(values: dict[str, Any]) -> tuple[float, ...]:
    """Give where the strides of a backbone begin; one that the package does not know has as many as its first."""
    return BACKBONE_STRIDES.get(values.get("backbone", BACKBONE), STRIDES)


def _folds(values: dict[str, Any]) -> bool:
    """Tell whether the ramp folds: then its width learns by default."""
    return values.get("ramp") == "folded"


def _default_smoothness(values: dict[str, Any]) -> float:
    """Give a ramp that folds the width that was measured for it, others the paper's."""
    return FOLDED_SMOOTHNESS if _folds(values) else SMOOTHNESS


def _strides(value: object, info: ValidationInfo) -> tuple[float, ...] | Literal["random"]:
    n_blocks = len(_default_strides(info.data))
    expected = f"expected a list of {n_blocks} numbers >= 1 and <= {MAX_STRIDE:g}, one per block, or random"
    if value == "random":
        return "random"
    if not isinstance(value, list | tuple) or len(value) != n_blocks:
        raise ValueError(f"got {value!r}, {expected}")
    for stride in value:
        if isinstance(stride, bool) or not isinstance(stride, int | float) or not 1 <= stride <= MAX_STRIDE:
            raise ValueError(f"got {stride!r}, {expected}")
    return tuple(float(stride) for stride in value)


def _smoothnesses(value: object, info: ValidationInfo) -> tuple[float, ...] | None:
    if value is None:
        return None
    n_blocks = len(_default_strides(info.data))
    if isinstance(value, list | tuple) and len(value) == n_blocks:
        numbers = all(type(width) in (int, float) and 0 < width <= MAX_SMOOTHNESS for width in value)
        if numbers:
            return tuple(float(width) for width in value)
    raise ValueError(
        f"got {value!r}, expected a list of {n_blocks} numbers above 0 and <= {MAX_SMOOTHNESS:g}, one per block, in "
        "Fourier bins"
    )


Smoothness = Annotated[float, Field(gt=0, le=MAX_SMOOTHNESS)]
Smoothnesses = Annotated[tuple[float, ...] | None, BeforeValidator(_smoothnesses)]
Strides = Annotated[tuple[float, ...] | Literal["random"], BeforeValidator(_strides)]


class Model(Section):
    """The network and its strides."""

    backbone: Annotated[str, Field(min_length=1)] = BACKBONE
    """Name of the network between the front end and the heads: `time_frequency_cnn` of six blocks, `resnet18` of three
    strides, `densenet_bc121` of two, `efficientnet_b0` of seven, or one that Python has registered with
    `register_backbone`."""
    downsampling: Downsampling = "diffstride"
    """What shortens the maps. `diffstride` learns its strides; `fixed_stride` is the same operator with strides that
    stay; `spectral_pooling` and `strided_conv` are the usual rivals."""
    placement: Placement = "per_axis"
    """Where a block downsamples. `per_axis` does it after each of its two convolutions, time and then mel; `per_block`
    does both axes at once, after the second. Only `time_frequency_cnn` has the choice."""
    order: Order = "conv_pool_relu_bn"
    """Order of convolution, downsampling, ReLU and batch norm. The first one is the paper's; in the other one the
    downsampling comes last. Only `time_frequency_cnn` has the choice."""
    width: Annotated[float, Field(gt=0, le=16, allow_inf_nan=False)] = 1.0
    """Factor of the number of channels of every block. 0.25 trains on a CPU. Parameters and time grow with its
    square."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the channels of the last map that are set to 0 in training. 0.2 to 0.5 is usual where a model learns its
    training clips by heart."""
    pooling: Pooling = "max"
    """How each of the last maps becomes one number: its maximum, its mean, or `max_mean`, the sum of both. Try
    `max_mean` where some sounds fill a window and others last for a moment."""
    stride_time: Strides = Field(default_factory=_default_strides, json_schema_extra=SIX_BLOCKS)
    """Strides along time, one number per block, or `random` between `stride_low` and `stride_high`. Learned strides
    begin there. The product is how much shorter the last map is. Every backbone has its own number of blocks."""
    stride_frequency: Strides = Field(default_factory=_default_strides, json_schema_extra=SIX_BLOCKS)
    """Strides along mel, one number per block, or `random` between `stride_low` and `stride_high`. Begin with smaller
    ones where pitch matters."""
    stride_low: Annotated[float, Field(ge=1, le=MAX_STRIDE)] = STRIDE_RANGE[0]
    """Lower end of `random` strides."""
    stride_high: Annotated[float, Field(ge=1, le=MAX_STRIDE)] = STRIDE_RANGE[1]
    """Upper end of `random` strides."""
    ramp: Ramp = "outside"
    """Where the ramp lies. `folded` has the map sizes of strided convolutions and is the best choice for new runs.
    `outside` is the paper's, with a margin of 2 x `smoothness`. `inside` is kept for older runs: its strides cannot
    learn on short axes."""
    smoothness: Smoothness = Field(default_factory=_default_smoothness, json_schema_extra={"default": SMOOTHNESS})
    """Width of the ramp of `diffstride` and `fixed_stride` in Fourier bins. With `ramp: folded` the default is 16. A
    wider ramp lets more pass above the cut-off."""
    smoothness_time: Smoothnesses = None
    """Widths of the ramps along time, one per block. By default each is `smoothness`. `audiostride strides --freeze`
    writes what was learned."""
    smoothness_frequency: Smoothnesses = None
    """Widths of the ramps along mel, one per block. By default each is `smoothness`. `audiostride strides --freeze`
    writes what was learned."""
    learn_smoothness: bool = Field(default_factory=_folds, json_schema_extra={"default": False})
    """Whether `diffstride` learns the width of every ramp too. With `ramp: folded` the default is true."""
    shared: bool = False
    """Whether both axes of a block share one stride. `time_frequency_cnn` needs `placement: per_block` for it. It is
    there to compare with."""
    identity_at_1: bool = True
    """Whether a fixed stride of exactly 1 leaves its axis as it is. `false` is what `audiostride strides --freeze`
    writes for a learned stride of 1."""

    @model_validator(mode="after")
    def _check(self) -> "Model":
        if self.stride_low > self.stride_high:
            raise ValueError(f"stride_low={self.stride_low:g} exceeds stride_high={self.stride_high:g}")
        has_one_place = self.backbone in BACKBONE_STRIDES and self.backbone != BACKBONE
        for name in ("placement", "order"):
            if has_one_place and (value := getattr(self, name)) != type(self).model_fields[name].default:
                raise ValueError(f"{name}={value} is of backbone: {BACKBONE}, not of {self.backbone}")
        if self.shared and self.placement != "per_block" and not has_one_place:
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
