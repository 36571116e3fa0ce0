"""The section of a recipe on windows, cache and decoding."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from audiostride.recipe.section import PathText, Section
from audiostride.vocabulary import MAX_WINDOW_S


def _fold(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or (isinstance(value, str) and value):
        return value
    raise ValueError(f"got {value!r}, expected the name of a fold, as in 3")


FOLD_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}
FoldName = Annotated[str | None, BeforeValidator(_fold), WithJsonSchema(FOLD_SCHEMA)]


class Data(Section):
    """Windows, cache, decoding, and the folds that stand in place of splits."""

    window_s: Annotated[float, Field(gt=0, le=MAX_WINDOW_S)] = 1.0
    """Length of a window in seconds: what the model sees at a time. Make it as long as the longest sound that must be
    heard whole. Memory and time of a step grow with it."""
    cache_dir: PathText | None = None
    """Folder for decoded audio. By default it is `$AUDIOSTRIDE_CACHE`, or else the user's cache folder. Set it where
    that disk is small or slow."""
    n_workers: Annotated[int, Field(ge=1, le=64)] = 2
    """Number of threads that decode recordings and cut windows. Raise it where `train` says that it waits for data."""
    max_bad_files: Annotated[int, Field(ge=0)] = 0
    """Number of recordings that may be missing or broken without stopping `train`, `eval`, `compare` and `report`. They
    are left out, and each is named with the reason."""
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    """Where the decoded recordings lie. `cuda` keeps them in the memory of the GPU and cuts windows there. It is meant
    for recordings that fit; what it saves has not been measured yet."""
    test_fold: FoldName = None
    """Name of the fold that is held out for testing, from the column `fold` of the manifest. Folds stand in place of
    splits then. `audiostride crossval` sets it for each run."""
    valid_fold: FoldName = None
    """Name of the fold that validates. It needs `test_fold`. Without it there is no validation, and the last checkpoint
    is the best one."""

    @model_validator(mode="after")
    def _check(self) -> "Data":
        if self.valid_fold is not None and self.test_fold is None:
            raise ValueError("valid_fold needs test_fold: folds stand in place of the splits of a manifest")
        if self.valid_fold is not None and self.valid_fold == self.test_fold:
            raise ValueError(f"test_fold and valid_fold are both {self.test_fold!r}, expected two different folds")
        return self
