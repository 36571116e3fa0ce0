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
    Ramp,
)


def _default_strides(values: dict[str, Any]) -> tuple[float, ...]:
    """Give where the strides of a backbone begin; one that the package does not know has as many as its first."""
    return BACKBONE_STRIDES.get(values.get("backbone", BACKBONE), STRIDES)


def _strides(value: object, info: ValidationInfo) -> tuple[float, ...] | Literal["random"]:
    n_blocks = len(_default_strides(info.data))
    expected = f"expected a list of {n_blocks} numbers >= 1, one per block, or random"
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
    raise ValueError(f"got {value!r}, expected a list of {n_blocks} numbers above 0, one per block, in Fourier bins")


Smoothness = Annotated[float, Field(gt=0, le=MAX_SMOOTHNESS)]
Smoothnesses = Annotated[tuple[float, ...] | None, BeforeValidator(_smoothnesses)]
Strides = Annotated[tuple[float, ...] | Literal["random"], BeforeValidator(_strides)]


class Model(Section):
    """The network and its strides."""

    backbone: Annotated[str, Field(min_length=1)] = BACKBONE
    downsampling: Downsampling = "diffstride"
    placement: Placement = "per_axis"
    order: Order = "conv_pool_relu_bn"
    width: Annotated[float, Field(gt=0, le=16, allow_inf_nan=False)] = 1.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stride_time: Strides = Field(default_factory=_default_strides)
    stride_frequency: Strides = Field(default_factory=_default_strides)
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
