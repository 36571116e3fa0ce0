"""The matrices of many axes by one product: bases padded to the longest axis, stacked, and kept while sizes stay."""

from collections.abc import Sequence

import torch
from torch import Tensor

from audiostride.layers.constants import kept
from audiostride.layers.matrices import mask_basis
from audiostride.layers.precision import without_autocast

N_CACHED_STACKS = 16
SHORT = 128  # samples: axes up to here share one product, longer ones share it with those of up to twice their length

Sizes = tuple[int, int, int]  # samples in and out, and Fourier bins


@kept(maxsize=N_CACHED_STACKS)
def _stacked_basis(sizes: tuple[Sizes, ...], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Give synthesis `(axis, n_out, 2, n_bins)` and analysis `(axis, 2 * n_bins, n_in)`, zeros beyond an axis's own."""
    n_in, n_out, n_bins = (max(of_axes) for of_axes in zip(*sizes, strict=True))
    synthesis = torch.zeros(len(sizes), n_out, 2, n_bins, device=device, dtype=dtype)
    analysis = torch.zeros(len(sizes), 2, n_bins, n_in, device=device, dtype=dtype)
    for i, (of_in, of_out, of_bins) in enumerate(sizes):
        out_waves, in_waves = mask_basis(of_in, of_out, of_bins, device, dtype)
        synthesis[i, :of_out, :, :of_bins] = out_waves.view(of_out, 2, of_bins)
        analysis[i, :, :of_bins, :of_in] = in_waves.view(2, of_bins, of_in)
    return synthesis, analysis.flatten(1, 2)


def _length_class(n_in: int) -> int:
    return max(SHORT, 1 << (n_in - 1).bit_length())


@torch.no_grad()
def matrices_together(sizes: Sequence[Sizes], gains: Tensor) -> list[Tensor]:
    """Give the matrix of every axis, without a gradient.

    Shape:
        gains: `(axis, n_bins)`, at least as many bins as any axis has. output: `(n_out, n_in)` per axis.
    """
    matrices: dict[int, Tensor] = {}
    for length in {_length_class(n_in) for n_in, *_ in sizes}:
        axes = [i for i, (n_in, *_) in enumerate(sizes) if _length_class(n_in) == length]
        synthesis, analysis = _stacked_basis(tuple(sizes[i] for i in axes), gains.device, gains.dtype)
        of_axes = gains if len(axes) == len(sizes) else torch.stack([gains[i] for i in axes])
        with without_autocast(gains.device):
            weighted = (synthesis * of_axes[:, None, None, : synthesis.shape[3]]).flatten(2)
            stacked = weighted @ analysis
        matrices |= dict(zip(axes, stacked, strict=True))
    return [matrices[i][:n_out, :n_in] for i, (n_in, n_out, _) in enumerate(sizes)]
