"""Downsampling layers: matrices of one axis below, modules over several axes above."""

from audiostride.layers.convolution import convolve_maps
from audiostride.layers.diffstride import DiffStride
from audiostride.layers.fourier import FourierOperator
from audiostride.layers.gains import (
    effective_stride,
    half_bandwidth,
    output_size,
    spectral_pooling_size,
    stride_bounds,
)
from audiostride.layers.matrices import Operator, downsampling_matrix, spectral_pooling_matrix
from audiostride.layers.mixing import (
    convolve_and_resample,
    convolve_and_resample_maps,
    multiply_adds,
)
from audiostride.layers.pooling import SpectralPooling
from audiostride.layers.resample import AnyOperator, resample_axis

__all__ = [
    "AnyOperator",
    "DiffStride",
    "FourierOperator",
    "Operator",
    "SpectralPooling",
    "convolve_and_resample",
    "convolve_and_resample_maps",
    "convolve_maps",
    "downsampling_matrix",
    "effective_stride",
    "half_bandwidth",
    "multiply_adds",
    "output_size",
    "resample_axis",
    "spectral_pooling_matrix",
    "spectral_pooling_size",
    "stride_bounds",
]
