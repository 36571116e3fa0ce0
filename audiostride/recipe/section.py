"""What all sections of a recipe share: how strict they are, and the ranges of their numbers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LearningRate = Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**12)]


class Section(BaseModel):
    """Frozen, and no key that is not in the schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
