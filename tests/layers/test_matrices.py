"""The matrices against an independent Fourier transform, scipy, signals of known spectrum, and finite differences."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from audiostride.layers import (
    downsampling_matrix,
    effective_stride,
    half_bandwidth,
    matrices,
    output_size,
    spectral_pooling_matrix,
    spectral_pooling_size,
    stride_bounds,
)
from audiostride.vocabulary import Ramp

Array = NDArray[np.float64]

SIZES = [1, 2, 3, 4, 7, 8, 33, 64, 101]
STRIDES = [1.0, 1.3, 2.0, 5.5, 40.0]
SMOOTHNESSES = [0.5, 4.0, 30.0]
RAMPS: list[Ramp] = ["outside", "inside", "folded"]


def mask_of(n_in: int, stride: float, smoothness: float, ramp: str) -> Array:
    """m(k) for k = 0 .. floor(n / 2), from the definition."""
    lower = n_in / (n_in - min(smoothness, n_in / 4)) if ramp != "inside" else 1.0
    b = n_in / (2 * min(max(stride, lower), n_in / 2))
    if ramp == "inside":
        b = max(b - smoothness, 0.0)
    mask: Array = np.clip((smoothness + b - np.arange(n_in // 2 + 1)) / smoothness, 0, 1)
    return mask


def size_of(n_in: int, stride: float, smoothness: float, ramp: str) -> int:
    if ramp == "folded":
        return math.ceil(n_in / max(1.0, min(stride, n_in / 2)) - 1e-9)
    return min(n_in, 2 * int((mask_of(n_in, stride, smoothness, ramp) > 0).sum()))


def fourier_oracle(n_in: int, stride: float, smoothness: float, ramp: str) -> Array:
    """The operator applied to every unit impulse: FFT, symmetric mask, crop, inverse DFT."""
    n_out = size_of(n_in, stride, smoothness, ramp)
    k = np.rint(np.fft.fftfreq(n_in) * n_in)  # every bin once, negative ones included
    mask = mask_of(n_in, stride, smoothness, ramp)[np.abs(k).astype(int)]
    spectrum = np.fft.fft(np.eye(n_in), axis=0) * mask[:, None]
    synthesis = np.exp(2j * np.pi * np.outer(np.arange(n_out), k) / n_out)
    y = synthesis @ spectrum / n_in
    if ramp != "folded":  # its Nyquist bin, a cosine in the input, may fold to where a sine is not zero: half of both
        assert np.abs(y.imag).max() < 1e-12
    return y.real


def tone(n: int, n_cycles: float, phase: float = 0.3) -> Tensor:
    return torch.cos(2 * math.pi * n_cycles * torch.arange(n, dtype=torch.float64) / n + phase)


def double(stride: float) -> Tensor:
    return torch.tensor(stride, dtype=torch.float64)


def noise(n: int) -> Tensor:
    return torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))


def weighted_gradient(n_in: int, stride: float, smoothness: float = 4.0, ramp: Ramp = "outside") -> Tensor:
    """The gradient of a fixed random projection of the matrix in the stride."""
    leaf = double(stride).requires_grad_()
    matrix = downsampling_matrix(n_in, leaf, smoothness, ramp)
    matrix.backward(noise(matrix.numel()).view_as(matrix))
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("smoothness", SMOOTHNESSES)
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("n_in", SIZES)
def test_downsampling_equals_masked_fourier_transform(n_in: int, stride: float, smoothness: float, ramp: Ramp) -> None:
    matrix = downsampling_matrix(n_in, double(stride), smoothness, ramp)
    expected = fourier_oracle(n_in, stride, smoothness, ramp)
    np.testing.assert_allclose(matrix.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("stride", [1.0, 1.25, 2.0, 2.75])  # exact in float32
@pytest.mark.parametrize("n_in", [5, 64, 101, 400])
def test_downsampling_in_single_precision(n_in: int, stride: float, ramp: Ramp) -> None:
    matrix = downsampling_matrix(n_in, torch.tensor(stride, dtype=torch.float32), 4.0, ramp)
    np.testing.assert_allclose(matrix.numpy(), fourier_oracle(n_in, stride, 4.0, ramp), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_downsampling_has_the_dtype_of_its_stride(dtype: torch.dtype) -> None:
    assert downsampling_matrix(30, torch.tensor(2.0, dtype=dtype)).dtype == dtype


def test_downsampling_takes_a_number_as_it_takes_a_tensor() -> None:
    torch.testing.assert_close(downsampling_matrix(30, 2.3), downsampling_matrix(30, torch.tensor(2.3)))


@pytest.mark.parametrize("stride", [1.0, 1.1, 1.9, 2.0, 3.3, 10.0])
@pytest.mark.parametrize("n_in", [2, 3, 4, 5, 8, 15, 16, 33, 64, 101])
def test_spectral_pooling_equals_scipy_resample(n_in: int, stride: float) -> None:
    x = noise(n_in)
    y = spectral_pooling_matrix(n_in, double(stride)) @ x
    expected = scipy.signal.resample(x.numpy(), spectral_pooling_size(n_in, stride))
    np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("n_in", "stride", "n_out"), [(100, 2.0, 50), (101, 2.0, 50), (64, 3.0, 20), (7, 6.0, 2), (1, 2.0, 1)]
)
def test_spectral_pooling_size(n_in: int, stride: float, n_out: int) -> None:
    assert spectral_pooling_matrix(n_in, stride).shape == (n_out, n_in)


@pytest.mark.parametrize("n_in", [1, 2, 7, 64])
def test_spectral_pooling_at_stride_one_is_the_identity(n_in: int) -> None:
    torch.testing.assert_close(spectral_pooling_matrix(n_in, 1.0), torch.eye(n_in), rtol=0, atol=0)


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("stride", [1.0, 2.0, 3.7])
@pytest.mark.parametrize("n_in", SIZES)
def test_downsampling_keeps_a_constant(n_in: int, stride: float, ramp: Ramp) -> None:
    y = downsampling_matrix(n_in, double(stride), 4.0, ramp).sum(1)
    torch.testing.assert_close(y, torch.ones_like(y))


@pytest.mark.parametrize("stride", [1.0, 1.5, 2.0, 3.7])
@pytest.mark.parametrize("n_in", [2, 3, 16, 33, 100])
def test_spectral_pooling_keeps_a_constant(n_in: int, stride: float) -> None:
    y = spectral_pooling_matrix(n_in, double(stride)).sum(1)
    torch.testing.assert_close(y, torch.ones_like(y))


@pytest.mark.parametrize("ramp", ["outside", "inside"])  # what folds onto the constant changes the mean
@pytest.mark.parametrize("stride", [1.0, 2.0, 3.7])
@pytest.mark.parametrize("n_in", SIZES)
def test_downsampling_keeps_the_mean(n_in: int, stride: float, ramp: Ramp) -> None:
    x = noise(n_in)
    y = downsampling_matrix(n_in, double(stride), 4.0, ramp) @ x
    torch.testing.assert_close(y.mean(), x.mean(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("n_in", [100, 101])
@pytest.mark.parametrize("k", [1, 5, 12])
def test_slow_tones_are_sampled_more_coarsely_and_otherwise_unchanged(k: int, n_in: int, ramp: Ramp) -> None:
    matrix = downsampling_matrix(n_in, double(2.0), 4.0, ramp)  # passes k <= 25 outside, 21 inside
    torch.testing.assert_close(matrix @ tone(n_in, k), tone(len(matrix), k), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("ramp", "k_end"), [("outside", 29), ("inside", 25), ("folded", 29)])
@pytest.mark.parametrize("n_above", [0, 1, 10, 20])
def test_tones_above_the_ramp_are_removed(n_above: int, ramp: Ramp, k_end: int) -> None:
    y = downsampling_matrix(100, torch.tensor(2.0), 4.0, ramp) @ tone(100, k_end + n_above).float()
    assert y.abs().max() < 1e-6


@pytest.mark.parametrize(("k", "gain"), [(25, 1.0), (26, 0.75), (27, 0.5), (28, 0.25)])
def test_tones_on_the_ramp_are_attenuated_linearly(k: int, gain: float) -> None:
    matrix = downsampling_matrix(100, double(2.0), 4.0)
    torch.testing.assert_close(matrix @ tone(100, k), gain * tone(len(matrix), k), rtol=0, atol=1e-12)


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("smoothness", [2.5, 4.0])
@pytest.mark.parametrize(("n_in", "stride"), [(50, 2.3), (33, 1.7), (64, 3.1), (7, 1.45)])
def test_derivative_in_the_stride(n_in: int, stride: float, smoothness: float, ramp: Ramp) -> None:
    leaf, x = double(stride).requires_grad_(), noise(n_in)
    assert torch.autograd.gradcheck(lambda s: downsampling_matrix(n_in, s, smoothness, ramp) @ x, (leaf,))


@pytest.mark.parametrize("stride", [1.0, 1.02, 30.0, 1e6])
@pytest.mark.parametrize("n_in", [20, 33])
def test_gradient_passes_straight_through_the_clamp(n_in: int, stride: float) -> None:
    clamped = effective_stride(stride, n_in)
    assert clamped != stride
    torch.testing.assert_close(weighted_gradient(n_in, stride), weighted_gradient(n_in, clamped))


@pytest.mark.parametrize("n_in", [4, 20, 33, 100])
def test_stride_of_one_receives_a_gradient(n_in: int) -> None:
    assert weighted_gradient(n_in, 1.0).abs() > 1e-6


@pytest.mark.parametrize(("n_in", "stride"), [(16, 2.0), (14, 2.0), (8, 2.0), (20, 5.0)])
def test_inside_ramp_that_fills_the_box_does_not_depend_on_the_stride(n_in: int, stride: float) -> None:
    wider = downsampling_matrix(n_in, double(1.01 * stride), ramp="inside")
    assert torch.equal(wider, downsampling_matrix(n_in, double(stride), ramp="inside"))
    assert weighted_gradient(n_in, stride, ramp="inside") == 0


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("n_in", range(1, 131))
def test_every_size_gives_a_finite_matrix_and_gradient(n_in: int, ramp: Ramp) -> None:
    stride = torch.tensor(2.0, requires_grad=True)
    matrix = downsampling_matrix(n_in, stride, 4.0, ramp)
    (gradient,) = torch.autograd.grad(matrix.square().sum(), stride)
    assert matrix.isfinite().all()
    assert gradient.isfinite()


@pytest.mark.parametrize("n_in", range(1, 131))
def test_every_size_gives_a_finite_pooling_matrix(n_in: int) -> None:
    assert spectral_pooling_matrix(n_in, 2.0).isfinite().all()


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(
    n_in=st.integers(1, 200),
    stride=st.floats(1, 60),
    smoothness=st.floats(0.25, 30),
    ramp=st.sampled_from(RAMPS),
)
def test_shape_counts_the_bins_that_pass(n_in: int, stride: float, smoothness: float, ramp: Ramp) -> None:
    n_out = size_of(n_in, stride, smoothness, ramp)
    assert downsampling_matrix(n_in, double(stride), smoothness, ramp).shape == (n_out, n_in)
    assert output_size(n_in, stride, smoothness, ramp) == n_out


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(n_in=st.integers(1, 200), stride=st.floats(1, 60), step=st.floats(0, 20), ramp=st.sampled_from(RAMPS))
def test_a_larger_stride_never_leaves_more_samples(n_in: int, stride: float, step: float, ramp: Ramp) -> None:
    assert output_size(n_in, stride + step, 4.0, ramp) <= output_size(n_in, stride, 4.0, ramp) <= n_in


@pytest.mark.parametrize(("ramp", "n_out"), [("outside", 58), ("inside", 50), ("folded", 50)])
def test_size_of_a_second_of_frames_at_stride_two(ramp: Ramp, n_out: int) -> None:
    assert output_size(100, 2.0, 4.0, ramp) == n_out


@pytest.mark.parametrize(("ramp", "lower"), [("outside", 100 / 96), ("inside", 1.0), ("folded", 100 / 96)])
def test_bounds_of_the_stride(ramp: Ramp, lower: float) -> None:
    assert stride_bounds(100, 4.0, ramp) == pytest.approx((lower, 50.0))


@pytest.mark.parametrize(("ramp", "b"), [("outside", 25.0), ("inside", 21.0), ("folded", 25.0)])
def test_half_bandwidth(ramp: Ramp, b: float) -> None:
    assert half_bandwidth(2.0, 100, 4.0, ramp) == pytest.approx(b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 0.5}, "stride.*0.5"),
        ({"stride": -2.0}, "stride.*-2"),
        ({"stride": math.nan}, "stride.*nan"),
        ({"stride": math.inf}, "stride.*inf"),
        ({"stride": torch.tensor(0.5)}, "stride.*0.5"),
        ({"stride": torch.tensor(math.nan)}, "stride.*nan"),
        ({"smoothness": 0.0}, "smoothness.*0"),
        ({"smoothness": -1.0}, "smoothness.*-1"),
        ({"smoothness": math.nan}, "smoothness.*nan"),
        ({"ramp": "x"}, "ramp.*'x'"),
        ({"n_in": 0}, "n_in.*0"),
    ],
)
def test_downsampling_refuses_a_bad_argument(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        downsampling_matrix(**{"n_in": 20, "stride": 2.0, **arguments})


@pytest.mark.parametrize(
    ("n_in", "stride", "message"),
    [(20, 0.5, "stride.*0.5"), (20, math.nan, "stride.*nan"), (20, math.inf, "stride.*inf"), (0, 2.0, "n_in.*0")],
)
def test_spectral_pooling_refuses_a_bad_argument(n_in: int, stride: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spectral_pooling_matrix(n_in, stride)


def test_spectral_pooling_takes_a_stride_that_requires_a_gradient() -> None:
    stride = torch.tensor(2.0, requires_grad=True)
    torch.testing.assert_close(spectral_pooling_matrix(20, stride), spectral_pooling_matrix(20, 2.0))


def test_cache_of_bases_is_bounded() -> None:
    maxsize = matrices.mask_basis.cache_info().maxsize
    assert maxsize is not None
    for n_in in range(2, maxsize + 50):
        matrices.mask_basis(n_in, 2, 2, torch.device("cpu"), torch.float32)
    assert matrices.mask_basis.cache_info().currsize <= maxsize


def test_moving_strides_need_one_basis_per_output_size() -> None:
    strides = np.linspace(1, 4, 150).tolist()
    n_before = matrices.mask_basis.cache_info().misses
    n_sizes = len({len(downsampling_matrix(96, stride)) for stride in strides})
    assert matrices.mask_basis.cache_info().misses - n_before <= n_sizes < 40


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad])
def test_basis_first_requested_without_gradients_serves_training(context: Any) -> None:
    matrices.mask_basis.cache_clear()
    with context():
        expected = downsampling_matrix(41, 2.3)
    stride = torch.tensor(2.3, requires_grad=True)
    matrix = downsampling_matrix(41, stride)
    matrix.square().sum().backward()
    torch.testing.assert_close(matrix.detach(), expected.clone())
    assert stride.grad is not None
    assert stride.grad != 0
