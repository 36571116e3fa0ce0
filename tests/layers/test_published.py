"""Where the layer differs from the code that was published with the paper, as `docs/layer.md` tells.

The functions here describe that code in a few lines of numpy: positions of the bins of an axis, and a crop that gives
the inverse transform no length.
"""

import numpy as np
import pytest
import torch

from audiostride.layers import DiffStride, downsampling_matrix
from audiostride.layers.gains import Mask


def published_positions(n: int) -> np.ndarray:
    """The positions that the vertical mask is computed from, in the order of the bins of an FFT."""
    half = np.arange(n // 2 + n % 2)
    return np.fft.fftshift(np.concatenate([half[n % 2 :][::-1], half]))


def published_gains(n: int, stride: float, smoothness: float) -> np.ndarray:
    return np.clip((smoothness + n / stride / 2 - published_positions(n)) / smoothness, 0, 1)


def published_width(x: np.ndarray, stride: float, smoothness: float) -> np.ndarray:
    """Downsample the last axis as the published code does: the crop's inverse transform is always even."""
    k = np.arange(x.shape[-1] // 2 + 1)
    mask = np.clip((smoothness + x.shape[-1] / stride / 2 + 1 - k) / smoothness, 0, 1)
    return np.fft.irfft((np.fft.rfft(x) * mask)[..., mask > 0])


def own_gains(n: int, stride: float, smoothness: float) -> np.ndarray:
    """Ours, in the order of the bins of an FFT."""
    mask = Mask.of(n, torch.tensor(stride, dtype=torch.float64), smoothness, "outside")
    gains = np.zeros(n // 2 + 1)
    gains[: mask.n_bins] = mask.gains().numpy()
    return gains[np.abs(np.fft.fftfreq(n, 1 / n)).round().astype(int)]


@pytest.mark.parametrize("ramp", ["outside", "inside", "folded"])
def test_means_stay_where_the_published_code_multiplies_them(ramp: str) -> None:
    x = np.ones((1, 40))
    n_out = published_width(x, 2.0, 4.0).shape[-1]
    np.testing.assert_allclose(published_width(x, 2.0, 4.0), 40 / n_out)
    layer = DiffStride(2.0, axes=[-1], ramp=ramp)
    torch.testing.assert_close(layer(torch.ones(1, 40)).detach(), torch.ones(1, layer.output_sizes([40])[0]))


def test_the_mask_is_even_where_the_published_one_is_off_by_a_bin() -> None:
    n, stride, smoothness = 16, 2.0, 4.0
    ours, published = (gains(n, stride, smoothness) for gains in (own_gains, published_gains))
    np.testing.assert_allclose(ours[1:], ours[:0:-1])
    assert not np.allclose(published[1:], published[:0:-1])
    np.testing.assert_allclose(published[: n // 2], ours[: n // 2])  # the same where frequencies are positive
    np.testing.assert_allclose(published[:0:-1][: n // 2 - 1], ours[: n // 2 - 1])  # one bin late where negative


def test_a_mean_passes_whole_at_odd_sizes_where_the_published_mask_begins_a_bin_late() -> None:
    assert published_positions(15)[0] == 1
    assert published_positions(16)[0] == 0
    for n in (15, 16):
        assert own_gains(n, 14.0, 1.0)[0] == 1
    matrix = downsampling_matrix(15, 7.0, 1.0)
    torch.testing.assert_close(matrix.sum(1), torch.ones(len(matrix)))


def test_odd_sizes_are_kept_where_the_published_code_loses_a_sample() -> None:
    """Near stride 1 all bins pass: ours gives every sample back, the published code one less."""
    x = np.sin(np.arange(15.0))[None]
    assert published_width(x, 1.0, 1e-3).shape == (1, 14)
    layer = DiffStride(1.0, axes=[-1], smoothness=1e-3, learnable=False, identity_at_1=False).double()
    found = layer(torch.from_numpy(x))
    assert found.shape == (1, 15)
    np.testing.assert_allclose(found.numpy(), x, atol=1e-9)
