"""Downsample a long axis by FFT: the same operators as the matrices, at the cost n log n instead of n squared."""

from typing import NamedTuple

import torch
from torch import Tensor

from audiostride.layers.matrices import downsampling_gains, output_size, spectral_pooling_size
from audiostride.vocabulary import Ramp

MATRIX_MAX = 4096  # samples; a longer axis is transformed, since its matrix would be slow and large


class FourierOperator(NamedTuple):
    """A downsampling operator by the gains of its Fourier bins.

    Shape:
        gains: `(n_bins,)`, of the bins 0 to `n_out // 2`, differentiable where the stride is learned.
    """

    gains: Tensor
    n_in: int
    n_out: int

    @property
    def matrix(self) -> Tensor:
        """Compute the matrix `(n_out, n_in)`, for those who want to look at it."""
        eye = torch.eye(self.n_in, dtype=self.gains.dtype, device=self.gains.device)
        return resample_by_fft(eye, self, 0)


def fourier_operator(n_in: int, stride: Tensor, value: float, smoothness: float, ramp: Ramp) -> FourierOperator:
    """Describe DiffStride along an axis; arguments as of `downsampling_operator`."""
    n_out = output_size(n_in, value, smoothness, ramp)
    return FourierOperator(downsampling_gains(n_in, stride, smoothness, ramp, n_out // 2 + 1), n_in, n_out)


def fourier_pooling(n_in: int, stride: float, like: Tensor) -> FourierOperator:
    """Describe spectral pooling along an axis: every bin that is kept passes whole."""
    n_out = spectral_pooling_size(n_in, stride)
    return FourierOperator(torch.ones(n_out // 2 + 1, dtype=like.dtype, device=like.device), n_in, n_out)


def resample_by_fft(x: Tensor, operator: FourierOperator, axis: int) -> Tensor:
    """Apply an operator along one axis; half precision is computed in single, where an FFT does not overflow.

    Shape:
        x: `(..., n_in, ...)`. output: `(..., n_out, ...)`.
    """
    gains, n_in, n_out = operator
    weights = gains
    if n_out % 2 == 0 and n_out < n_in:
        # at half the new rate a bin and its mirror image fall together; irfft takes the pair for a single one
        weights = torch.cat([gains[:-1], 2 * gains[-1:]])
    with torch.autocast(x.device.type, enabled=False):
        values = x if x.dtype == torch.float64 else x.float()
        spectrum = torch.fft.rfft(values, dim=axis).narrow(axis, 0, n_out // 2 + 1)
        spectrum = (spectrum.movedim(axis, -1) * weights.to(values.dtype)).movedim(-1, axis)
        result: Tensor = torch.fft.irfft(spectrum, n=n_out, dim=axis) * (n_out / n_in)
    return result.to(x.dtype)
