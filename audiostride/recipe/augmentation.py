"""The section of a recipe on what is changed in training windows."""

import math
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from audiostride.recipe.section import PathText, Section
from audiostride.vocabulary import MAX_WINDOW_S, NoiseColour


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
