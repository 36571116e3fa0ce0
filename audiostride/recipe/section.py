"""What all sections of a recipe share: how strict they are, and the ranges of their numbers."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LearningRate = Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**12)]


def _absolute(path: str) -> str:
    """Make a path absolute, which is relative to the working folder until now; a run is read from anywhere."""
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise ValueError(f"got {path!r}, no such user's home") from error


PathText = Annotated[str, Field(min_length=1), AfterValidator(_absolute)]


class Section(BaseModel):
    """Frozen, and no key that is not in the schema; the text below a key describes it (`audiostride recipe --keys`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)
