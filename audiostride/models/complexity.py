"""The complexity regulariser."""

from collections.abc import Iterable

import torch
from torch import Tensor

from audiostride.errors import UserError
from audiostride.models.layer_strides import LayerStride


def complexity(layers: Iterable[LayerStride]) -> Tensor:
    """Say how much of the input's resolution the blocks compute on: `sum_l prod_{i<=l} 1 / (S_time S_frequency)`.

    Computed on the effective strides; a loss adds it times a weight.

    Raises:
        UserError: there is no stride.

    Reference:
        Riad et al., "Learning strides in convolutional neural networks", ICLR 2022, equation 6.
    """
    per_block: dict[int, Tensor] = {}
    for layer in layers:
        per_block[layer.block] = per_block.get(layer.block, torch.tensor(1.0)) / layer.effective_stride
    if not per_block:
        raise UserError("complexity_weight: there are no strides to weigh, expected a backbone that downsamples")
    return torch.stack(list(per_block.values())).cumprod(0).sum()
