"""Gratings through the resamplings come out as the layers' masks say."""

import numpy as np
import pytest
import torch

from audiostride.frontend import LogMel
from audiostride.layers import DiffStride, half_bandwidth
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.strides.cutoffs import read_strides
from audiostride.strides.response import ChainResponse, chain_response, half_power_point
from audiostride.vocabulary import AxisName, Downsampling, Placement

N_WINDOW = 16000
STRIDES = (2.3, 1.0, 1.4, 1.9, 1.0, 1.6)


def model_of(downsampling: Downsampling, strides: tuple[float, ...] = STRIDES, **settings: object) -> AudioClassifier:
    by_axis = {"stride_time": strides, "stride_frequency": strides[::-1]}
    backbone = TimeFrequencyCnn(downsampling, width=0.05, **by_axis, **settings)  # type: ignore[arg-type]
    return AudioClassifier(LogMel(), backbone, {"task": 2})


def response(model: AudioClassifier, axis: AxisName) -> ChainResponse:
    return chain_response(model, read_strides(model, N_WINDOW), axis, N_WINDOW)


@pytest.mark.parametrize("axis", ["time", "frequency"])
@pytest.mark.parametrize("ramp", ["inside", "outside"])
@pytest.mark.parametrize("placement", ["per_axis", "per_block"])
def test_what_survives_is_the_product_of_the_masks(axis: AxisName, ramp: str, placement: Placement) -> None:
    model = model_of("diffstride", ramp=ramp, smoothness=2.5, placement=placement)
    readings = [r for r in read_strides(model, N_WINDOW) if r.axis == axis]
    found = response(model, axis)
    k = np.arange(len(found.gains))
    expected = np.ones(len(k))
    for r in readings:
        b = half_bandwidth(r.stride, r.n_in, 2.5, ramp)  # type: ignore[arg-type]
        expected *= np.clip((2.5 + b - k) / 2.5, 0, 1) * (2 * k <= r.n_in)
    np.testing.assert_allclose(found.gains, expected, atol=1e-5)
    np.testing.assert_allclose(found.aliased, 0, atol=1e-3)


def test_frequencies_are_in_hertz_and_cycles_per_band() -> None:
    model = model_of("diffstride")
    time, frequency = response(model, "time"), response(model, "frequency")
    assert (time.unit, time.frequencies[1], time.frequencies[-1]) == ("Hz", 1.0, 50.0)
    assert (frequency.unit, frequency.frequencies[1], frequency.frequencies[-1]) == ("cycles/band", 1 / 64, 0.5)


def test_the_half_power_point_lies_on_the_ramp_of_the_narrowest_layer() -> None:
    model = model_of("diffstride", (2.0, 1.5, 1.5, 1.5, 1.5, 1.5), ramp="outside", smoothness=4.0)
    found = response(model, "time")
    last = [r for r in read_strides(model, N_WINDOW) if r.axis == "time"][-1]
    assert found.nominal_cutoff == pytest.approx(last.cutoff)
    assert last.ramp_start is not None
    assert last.ramp_end is not None
    assert found.cutoff_3db is not None
    assert last.ramp_start < found.cutoff_3db < last.ramp_end


@pytest.mark.parametrize(("axis", "step"), [("time", 1.0), ("frequency", 1 / 64)])
def test_half_power_is_known_between_two_neighbouring_gratings(axis: AxisName, step: float) -> None:
    found = response(model_of("diffstride", ramp="folded"), axis)
    assert found.half_power_gratings is not None
    low, high = found.half_power_gratings
    assert high - low == pytest.approx(step)
    assert found.cutoff_3db is not None
    assert low < found.cutoff_3db <= high
    assert found.gains[round(low / step)] ** 2 >= 0.5 > found.gains[round(high / step)] ** 2


@pytest.mark.parametrize(("ramp", "below"), [("inside", True), ("outside", False), ("folded", False)])
def test_half_power_is_lost_below_the_nominal_cut_off_only_where_ramps_end_there(ramp: str, below: bool) -> None:
    found = response(model_of("diffstride", ramp=ramp, smoothness=4.0), "time")
    assert found.half_power_gratings is not None
    assert (found.half_power_gratings[1] < found.nominal_cutoff) == below


def test_what_folds_is_what_the_ramp_lets_pass_above_half_the_new_rate() -> None:
    model = model_of("fixed_stride", (2.0, 1.0, 1.0, 1.0, 1.0, 1.0), ramp="folded", smoothness=10.0)
    found, reading = response(model, "time"), read_strides(model, N_WINDOW)[0]
    above = np.clip((10 + 25 - np.arange(26, 51)) / 10, 0, 1)
    np.testing.assert_allclose(found.gains[:25], 1, atol=1e-5)
    np.testing.assert_allclose(found.aliased[26:50], above[:-1], atol=1e-3)
    assert reading.folds == pytest.approx(above.mean())
    assert reading.smoothness == pytest.approx(10)
    power = (above**2).sum()
    assert found.aliased_share == pytest.approx(power / (power + 26), abs=0.01)


@pytest.mark.parametrize(("downsampling", "folds"), [("strided_conv", 1.0), ("spectral_pooling", 0.0)])
def test_the_two_ends_fold_all_and_nothing(downsampling: Downsampling, folds: float) -> None:
    readings = read_strides(model_of(downsampling, (2.0, 1.0, 2.0, 1.0, 1.0, 2.0)), N_WINDOW)
    assert [r.folds for r in readings if r.axis == "time"] == [folds, None, folds, None, None, folds]


def test_strided_convolutions_alias_what_they_do_not_keep() -> None:
    found = response(model_of("strided_conv", (2.0, 2.0, 1.0, 1.0, 1.0, 1.0)), "time")
    kept = found.frequencies < 12.5
    np.testing.assert_allclose(found.gains[kept], 1, atol=1e-6)
    assert np.all(found.gains[found.frequencies > 12.5] < 1e-6)
    assert np.all(found.aliased[found.frequencies > 12.5] > 0.5)


def test_spectral_pooling_cuts_sharply() -> None:
    found = response(model_of("spectral_pooling", (2.0, 2.0, 1.0, 1.0, 1.0, 1.0)), "time")
    np.testing.assert_allclose(found.gains[found.frequencies < 12], 1, atol=1e-5)
    np.testing.assert_allclose(found.gains[found.frequencies > 13], 0, atol=1e-5)


def test_a_layer_is_seen_at_the_frequencies_that_its_input_holds() -> None:
    model = model_of("diffstride", ramp="inside")
    layers = response(model, "time").layers
    readings = [r for r in read_strides(model, N_WINDOW) if r.axis == "time"]
    assert [layer.block for layer in layers] == [1, 2, 3, 4, 5, 6]
    assert [len(layer.gains) for layer in layers] == [r.n_in // 2 + 1 for r in readings]


def test_what_passes_everywhere_has_no_half_power_point() -> None:
    assert half_power_point(np.arange(3.0), np.ones(3)) is None
    model = model_of("strided_conv", (1.0,) * 6)
    assert response(model, "time").cutoff_3db is None
    assert response(model, "time").half_power_gratings is None


def test_the_model_is_left_as_it_is() -> None:
    model = model_of("diffstride")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    response(model, "time")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(("smoothness", "beyond"), [(10.0, [False, True]), (1.0, [False, False]), (60.0, [True, True])])
def test_a_ramp_longer_than_the_map_ends_beyond_what_the_map_holds(smoothness: float, beyond: list[bool]) -> None:
    """Of 100 samples 12.5 bins pass whole, of the 25 that are left 3.1, of 50 and 12.5 bins."""
    strides = (4.0, 4.0, 1.0, 1.0, 1.0, 1.0)
    model = model_of("fixed_stride", strides, ramp="folded", smoothness=smoothness)
    first, second = [r for r in read_strides(model, N_WINDOW) if r.axis == "time"][:2]
    assert (first.half_rate, second.half_rate) == pytest.approx((50.0, 12.5))
    assert [first.passes_all, second.passes_all] == beyond


@pytest.mark.parametrize("ramp", ["inside", "outside", "folded"])
@pytest.mark.parametrize("axis", ["time", "frequency"])
def test_a_stride_shared_by_both_axes_passes_what_its_layers_pass(axis: AxisName, ramp: str) -> None:
    strides = (1.0, 1.0, 2.0, 1.0, 1.5, 1.0)  # at 1 the lower bound counts, which the shorter axis sets
    settings = {"placement": "per_block", "shared": True, "stride_time": strides, "stride_frequency": strides}
    backbone = TimeFrequencyCnn("diffstride", width=0.05, ramp=ramp, smoothness=8.0, **settings)  # type: ignore[arg-type]
    model = AudioClassifier(LogMel(n_mels=40), backbone, {"task": 2}).double().requires_grad_(False)
    sizes = {"frequency": 40, "time": N_WINDOW // model.frontend.hop_length}
    k = torch.arange(sizes[axis] // 2 + 1)
    waves = torch.cos(2 * torch.pi * k[:, None] * torch.arange(sizes[axis]) / sizes[axis]).double()
    if axis == "time":
        maps = waves[:, None, :].expand(-1, sizes["frequency"], -1)
    else:
        maps = waves[:, :, None].expand(-1, -1, sizes["time"])
    maps = maps[None]
    for _, layer in model.strided_backbone.downsamplers():
        assert isinstance(layer, DiffStride)
        maps = layer(maps)
    left = maps[0, :, 0, :] if axis == "time" else maps[0, :, :, 0]
    n_held = (left.shape[1] + 1) // 2  # the fastest wave that a map can hold is of one phase only
    amplitudes = 2 * torch.fft.rfft(left).abs()[1:n_held, 1:n_held].diagonal() / left.shape[1]
    np.testing.assert_allclose(response(model, axis).gains[1:n_held], amplitudes, atol=1e-6)
