"""The section of a recipe on random changes of training windows."""

import math
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from audiostride.recipe.section import PathText, Section
from audiostride.vocabulary import MAX_WINDOW_S, NoiseColour

MAX_SPEED = 8.0


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


def _speeds(value: Range) -> Range:
    if value is None or (value[0] >= 1 / MAX_SPEED and value[1] <= MAX_SPEED):
        return value
    raise ValueError(f"got {list(value)}, expected speeds from {1 / MAX_SPEED:g} to {MAX_SPEED:g}, as in [0.8, 1.25]")


class Augmentation(Section):
    """Random changes of training windows only; null and 0 are off."""

    speed: Annotated[Range, AfterValidator(_speeds)] = None
    """Lowest and highest speed that a window is played at, as in [0.8, 1.25]; 1 leaves it as it is. Faster is shorter
    and higher, and zeros fill the window. It helps where clips are few; leave it off where the pitch is the answer."""
    time_shift_s: Annotated[float, Field(ge=0, le=MAX_WINDOW_S)] = 0.0
    """How far a window moves at most, in seconds, either way; zeros come after it. 0.2 helps where the sound always
    lies in the middle of short clips."""
    gain_db: Range = None
    """Lowest and highest change of the level of a window in dB, as in [-6, 6]. It does nothing under a normalization
    that takes the level out."""
    background: PathText | None = None
    """Folder of recordings of noise that are added to windows. It needs `background_snr_db`. Take recordings from the
    place where the model will listen."""
    background_snr_db: Range = None
    """Lowest and highest signal-to-noise ratio of `background` in dB, as in [0, 30]."""
    noise_snr_db: Range = None
    """Lowest and highest signal-to-noise ratio in dB of synthetic noise that is added, as in [5, 50]. It helps with few
    recordings."""
    noise_colours: NoiseColours = ("white",)
    """Colours of the synthetic noise; each window draws one of them. The density of power of `pink` falls as 1/f, that
    of `brown` as 1/f^2, as in wind."""
    noise_as_background: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the windows without anything to name that synthetic noise of any level replaces. 0.1 keeps a model from
    hearing a class in noise. It needs a background class or a `multilabel` task."""
    mask_frequency: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Largest number of mel bands that SpecAugment hides in a window. 8 of 64 is a usual start."""
    mask_time: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Largest number of frames that SpecAugment hides in a window. 20 of 100 is a usual start."""
    mixup: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Alpha of the distribution Beta(alpha, alpha) of the shares in which two windows are mixed. 0.2 is usual where a
    model learns its training clips by heart."""
    mixup_labels: Literal["shares", "union"] = "shares"
    """What a mixed window of a `multilabel` task is labelled with: the `shares` of the classes of both windows, or the
    `union` of their classes."""

    @model_validator(mode="after")
    def _check(self) -> "Augmentation":
        if (self.background is None) != (self.background_snr_db is None):
            raise ValueError(
                "background and background_snr_db need each other: a folder of recordings and a range "
                "of signal-to-noise ratios in dB, as in [0, 30]"
            )
        return self
