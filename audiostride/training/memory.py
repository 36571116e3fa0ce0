"""What a device that has too little memory for a training is told as."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from audiostride.device import OUT_OF_MEMORY
from audiostride.errors import UserError
from audiostride.recipe.training import Training


@contextmanager
def enough_memory(settings: Training, device: torch.device) -> Iterator[None]:
    """Say what to change in a recipe where the memory is not enough for what is done within.

    Args:
        settings: of the training.
        device: to compute on.

    Raises:
        UserError: it is not enough.
    """
    try:
        yield
    except OUT_OF_MEMORY as error:
        smaller = "a smaller training.batch_size"
        if settings.accumulate < settings.batch_size:
            smaller += f" or a training.accumulate above {settings.accumulate}, which divides a batch into parts"
        raise UserError(
            f"{device}: out of memory for a batch of {settings.batch_size} windows; expected {smaller}, "
            "a shorter data.window_s or a smaller model"
        ) from error
