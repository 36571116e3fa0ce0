"""Downsampling layers: matrices of one axis below, modules over several axes above."""

from audiostride.layers.convolution import convolve_maps
from audiostride.layers.diffstride import DiffStride
from audiostride.layers.fixed import FixedResample
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
from audiostride.layers.replace import Replacements, replace_strides
from audiostride.layers.resample import AnyOperator, resample_axis
from audiostride.layers.whole_model import freeze_strides_, stride_parameters

__all__ = [
    "AnyOperator",
    "DiffStride",
    "FixedResample",
    "FourierOperator",
    "Operator",
    "Replacements",
    "SpectralPooling",
    "convolve_and_resample",
    "convolve_and_resample_maps",
    "convolve_maps",
    "downsampling_matrix",
    "effective_stride",
    "freeze_strides_",
    "half_bandwidth",
    "multiply_adds",
    "output_size",
    "replace_strides",
    "resample_axis",
    "spectral_pooling_matrix",
    "spectral_pooling_size",
    "stride_bounds",
    "stride_parameters",
]
