"""Downsample a long axis by FFT: the same operators as the matrices, at the cost n log n instead of n squared."""

from typing import NamedTuple

import torch
from torch import Tensor

from audiostride.layers.gains import Mask, spectral_pooling_size
from audiostride.layers.precision import without_autocast

# samples; a longer axis is transformed, since its matrix, which could be exported, would be too large
MATRIX_MAX = 4096


class FourierOperator(NamedTuple):
    """A downsampling operator by the gains of its Fourier bins.

    Shape:
        gains: `(n_bins,)`, of the bins from 0 on, differentiable where the stride is learned.
    """

    gains: Tensor
    n_in: int
    n_out: int

    @property
    def matrix(self) -> Tensor:
        """Compute the matrix `(n_out, n_in)`, for those who want to look at it."""
        eye = torch.eye(self.n_in, dtype=self.gains.dtype, device=self.gains.device)
        return resample_by_fft(eye, self, 0)


def fourier_operator(mask: Mask) -> FourierOperator:
    """Describe DiffStride along an axis."""
    return FourierOperator(mask.gains(), mask.n_in, mask.n_out)


def fourier_pooling(n_in: int, stride: float, like: Tensor) -> FourierOperator:
    """Describe spectral pooling along an axis: every bin that is kept passes whole."""
    n_out = spectral_pooling_size(n_in, stride)
    return FourierOperator(torch.ones(n_out // 2 + 1, dtype=like.dtype, device=like.device), n_in, n_out)


def resample_by_fft(x: Tensor, operator: FourierOperator, axis: int) -> Tensor:
    """Apply an operator along one axis; half precision is computed in single, where an FFT does not overflow.

    Bins that are `n_out` apart are the same wave at `n_out` samples: their sum is what an inverse transform of that
    length begins with. So bins above half the new rate fold.

    Shape:
        x: `(..., n_in, ...)`. output: `(..., n_out, ...)`.
    """
    gains, n_in, n_out = operator
    n_bins = len(gains)
    with without_autocast(x.device):
        values = x if x.dtype == torch.float64 else x.float()
        # a real signal is the real part of its bins from 0 on, all but the first and the last of them twice
        twice = torch.full((n_bins,), 2.0, dtype=values.dtype, device=x.device)
        twice[0] = 1
        if n_in % 2 == 0 and n_bins > n_in // 2:
            twice[-1] = 1
        spectrum = torch.fft.rfft(values, dim=axis).movedim(axis, -1)[..., :n_bins]
        spectrum = spectrum * (twice * gains.to(values.dtype) * (n_out / n_in))
        padded = torch.nn.functional.pad(spectrum, (0, -n_bins % n_out))
        folded = padded.view(*padded.shape[:-1], -1, n_out).sum(-2)
        result: Tensor = torch.fft.ifft(folded).real.movedim(-1, axis)
    return result.to(x.dtype)
