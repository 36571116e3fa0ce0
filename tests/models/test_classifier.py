"""The classifier: heads, global max pooling, level normalisation, and the complexity of its strides."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier, normalize_window, pool_maps
from audiostride.models.complexity import complexity
from audiostride.vocabulary import Downsampling, Normalization, Pooling

METHODS: list[Downsampling] = ["strided_conv", "spectral_pooling", "fixed_stride", "diffstride"]
NORMALIZATIONS: list[Normalization] = ["none", "mean", "standard"]


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def classifier(
    n_classes: dict[str, int] | None = None, downsampling: Downsampling = "strided_conv", **settings: Any
) -> AudioClassifier:
    """A small one in evaluation, its batch norms set to the statistics of noise so that every layer matters."""
    model = AudioClassifier(
        LogMel(), TimeFrequencyCnn(downsampling, width=1 / 16), n_classes or {"words": 35}, **settings
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(noise(2) * torch.tensor([[0.2], [1.0]]))
    return model.eval()


def noise(batch: int, amplitude: float = 0.3) -> Tensor:
    return amplitude * torch.randn(batch, 16000)


@pytest.mark.parametrize("downsampling", METHODS)
def test_every_task_has_its_logits(downsampling: Downsampling) -> None:
    logits = classifier({"words": 35, "birds": 2, "pitch": 128}, downsampling)(noise(3))
    assert {task: tuple(values.shape) for task, values in logits.items()} == {
        "words": (3, 35),
        "birds": (3, 2),
        "pitch": (3, 128),
    }


@pytest.mark.parametrize("task", ["type", "items", "train", "forward", "0"])
def test_tasks_may_have_any_name(task: str) -> None:
    assert classifier({task: 4})(noise(2))[task].shape == (2, 4)


def test_logits_are_linear_in_the_embedding() -> None:
    model, waveform = classifier({"words": 35, "birds": 2}), noise(2)
    head: Any = model.heads["task_birds"]
    expected = model.embed(waveform) @ head.weight.T + head.bias
    torch.testing.assert_close(model(waveform)["birds"], expected)


def test_embedding_is_the_maximum_over_the_last_map() -> None:
    model, waveform = classifier(), noise(2)
    maps = model.backbone(model.frontend(waveform))
    expected = maps.flatten(2).max(2).values
    torch.testing.assert_close(model.embed(waveform), expected)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("max", [[5.0, 3.0]]), ("mean", [[2.0, 0.5]]), ("max_mean", [[7.0, 3.5]])],
)
def test_maps_are_pooled_over_all_axes_but_channels(pooling: Pooling, expected: list[list[float]]) -> None:
    maps = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]], [[3.0, -1.0], [0.0, 0.0]]]])
    assert pool_maps(maps, pooling).tolist() == expected


def test_a_classifier_pools_as_it_is_told() -> None:
    model, waveform = classifier(pooling="max_mean"), noise(2)
    maps = model.backbone(model.frontend(waveform)).flatten(2)
    torch.testing.assert_close(model.embed(waveform), maps.max(2).values + maps.mean(2))


def test_embedding_does_not_depend_on_the_place_of_the_maximum() -> None:
    model, waveform = classifier(), noise(2)
    expected = model.embed(waveform)
    model.backbone.register_forward_hook(lambda _, __, maps: maps.roll((1, 2), (-2, -1)))
    torch.testing.assert_close(model.embed(waveform), expected)


@pytest.mark.parametrize("n_samples", [4000, 16000, 24000])
def test_embedding_has_one_size_for_every_length(n_samples: int) -> None:
    model = classifier()
    assert model.embed(noise(2)[:, :1].expand(-1, n_samples)).shape == (2, model.backbone.n_channels)


@pytest.mark.parametrize("downsampling", METHODS)
def test_a_batch_of_one_gives_what_it_gives_among_others(downsampling: Downsampling) -> None:
    model, waveforms = classifier(downsampling=downsampling), noise(3) * torch.tensor([[0.3], [1.0], [0.1]])
    assert (model(waveforms)["words"][0] - model(waveforms)["words"][1]).abs().max() > 1e-2
    torch.testing.assert_close(model(waveforms[1:2])["words"], model(waveforms)["words"][1:2], rtol=1e-4, atol=1e-5)


def test_a_batch_of_one_trains() -> None:
    model = classifier(downsampling="diffstride").train()
    model(noise(1))["words"].square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("normalization", ["mean", "standard"])
def test_normalized_windows_have_zero_mean(normalization: Normalization) -> None:
    normalized = normalize_window(5 + 3 * torch.randn(2, 1, 64, 100), normalization)
    torch.testing.assert_close(normalized.mean((1, 2, 3)), torch.zeros(2), rtol=0, atol=1e-5)


def test_standardized_windows_have_unit_deviation() -> None:
    normalized = normalize_window(5 + 3 * torch.randn(2, 1, 64, 100), "standard")
    torch.testing.assert_close(normalized.std((1, 2, 3)), torch.ones(2), rtol=0, atol=2e-3)


def test_mean_normalization_keeps_the_deviation() -> None:
    log_mel = 5 + 3 * torch.randn(2, 1, 64, 100)
    torch.testing.assert_close(normalize_window(log_mel, "mean").std((1, 2, 3)), log_mel.std((1, 2, 3)))


def test_no_value_is_further_below_the_maximum_of_its_window_than_top_db() -> None:
    log_mel = 10 * torch.randn(4, 1, 64, 100)
    raised = normalize_window(log_mel, "none", top_db=40)
    depth_db = (log_mel.amax((1, 2, 3), keepdim=True) - raised) * 10 / math.log(10)
    torch.testing.assert_close(depth_db.amax((1, 2, 3)), torch.full((4,), 40.0))
    kept = depth_db < 39.9
    assert (raised == log_mel)[kept].all()
    assert 0 < kept.sum() < kept.numel()


def test_peak_normalization_gives_bels_above_silence() -> None:
    log_mel = torch.randn(4, 1, 64, 100).sub(3).mul(10)
    peak = normalize_window(log_mel, "peak", top_db=40)
    assert (peak.amin((1, 2, 3)) == 0).all()
    torch.testing.assert_close(peak.amax((1, 2, 3)), torch.full((4,), 4.0))
    bels = (log_mel[0] - log_mel[0].max()) / math.log(10) + 4
    torch.testing.assert_close(peak[0], bels.clamp(min=0), rtol=1e-4, atol=1e-4)


def test_peak_normalization_does_not_depend_on_the_gain_or_on_silence_around() -> None:
    log_mel = 10 * torch.randn(1, 1, 64, 100)
    shifted = normalize_window(log_mel + 7, "peak", top_db=40)
    torch.testing.assert_close(shifted, normalize_window(log_mel, "peak", top_db=40), rtol=1e-4, atol=1e-4)
    padded = normalize_window(nn.functional.pad(log_mel, (50, 50), value=-1e3), "peak", top_db=40)
    torch.testing.assert_close(padded, nn.functional.pad(normalize_window(log_mel, "peak", top_db=40), (50, 50)))


def test_peak_normalization_needs_its_range() -> None:
    with pytest.raises(ValueError, match="needs top_db"):
        normalize_window(torch.zeros(1, 1, 64, 100), "peak")
    with pytest.raises(ValueError, match="needs top_db"):
        classifier(normalization="peak")


@pytest.mark.parametrize("settings", [{"normalization": "loud"}, {"pooling": "median"}, {"n_classes": {}}])
def test_a_classifier_refuses_what_it_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        AudioClassifier(LogMel(), TimeFrequencyCnn(width=1 / 16), **{"n_classes": {"a": 2}, **settings})


def test_noise_below_the_dynamic_range_changes_no_logits() -> None:
    model = classifier(normalization="standard", top_db=40)
    tone = torch.sin(torch.arange(16000) / 5).expand(2, -1)
    faint = 1e-5 * noise(2, 1.0)
    torch.testing.assert_close(model(tone + faint)["words"], model(tone)["words"], rtol=1e-3, atol=1e-3)


def test_no_normalization_changes_nothing() -> None:
    log_mel = 5 + 3 * torch.randn(2, 1, 64, 100)
    torch.testing.assert_close(normalize_window(log_mel, "none"), log_mel, rtol=0, atol=0)


@pytest.mark.parametrize("normalization", ["mean", "standard"])
def test_every_window_is_normalized_on_its_own(normalization: Normalization) -> None:
    log_mel = torch.randn(2, 1, 64, 100) * torch.tensor([1.0, 7.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(
        normalize_window(log_mel, normalization)[1:], normalize_window(log_mel[1:], normalization)
    )


@pytest.mark.parametrize("normalization", ["mean", "standard"])
def test_normalized_logits_do_not_depend_on_the_gain(normalization: Normalization) -> None:
    model, waveform = classifier(normalization=normalization), noise(2)
    torch.testing.assert_close(model(3 * waveform)["words"], model(waveform)["words"], rtol=0, atol=1e-3)


def test_logits_depend_on_the_gain_unless_normalized() -> None:
    model, waveform = classifier(), noise(2)
    assert (model(3 * waveform)["words"] - model(waveform)["words"]).abs().max() > 1e-2


@pytest.mark.parametrize("normalization", ["mean", "standard"])
def test_normalized_silence_is_zero(normalization: Normalization) -> None:
    silence = torch.full((2, 1, 64, 100), math.log(1e-5))
    torch.testing.assert_close(normalize_window(silence, normalization), torch.zeros(2, 1, 64, 100), rtol=0, atol=1e-2)


@pytest.mark.parametrize("normalization", ["mean", "standard"])
def test_silence_above_the_floor_is_zero_exactly(normalization: Normalization) -> None:
    silence = LogMel().above_floor(torch.zeros(2, 16000))
    assert not normalize_window(silence, normalization).any()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_silence_gives_finite_logits(normalization: Normalization) -> None:
    assert classifier(normalization=normalization)(torch.zeros(2, 16000))["words"].isfinite().all()


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_silence_gives_finite_gradients(normalization: Normalization) -> None:
    waveform = torch.zeros(2, 16000, requires_grad=True)
    model = classifier(normalization=normalization).train()
    model(waveform)["words"].square().sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_unknown_normalization_is_refused() -> None:
    with pytest.raises(ValueError, match=r"normalization.*'x'"):
        normalize_window(torch.zeros(1, 1, 64, 100), "x")  # type: ignore[arg-type]


@pytest.mark.parametrize("downsampling", ["strided_conv", "spectral_pooling", "fixed_stride"])
def test_complexity_of_the_default_strides(downsampling: Downsampling) -> None:
    layers = TimeFrequencyCnn(downsampling, width=0.05).layer_strides(64, 100)
    assert float(complexity(layers)) == 0.41015625  # 1/4 + 1/16 + 1/16 + 1/64 + 1/64 + 1/256


@pytest.mark.parametrize("placement", ["per_axis", "per_block"])
def test_complexity_sums_the_products_of_effective_strides(placement: Any) -> None:
    model = TimeFrequencyCnn("diffstride", placement, width=0.05, stride_time=[1.0, 2.5, 1.5, 1.0, 3.0, 2.0])
    layers = model.layer_strides(64, 100)
    expected, product = 0.0, 1.0
    for block in range(1, 7):
        for layer in layers:
            product /= float(layer.effective_stride.detach()) if layer.block == block else 1.0
        expected += product
    assert float(complexity(layers).detach()) == pytest.approx(expected)


def test_complexity_counts_a_clamped_stride_as_clamped() -> None:
    layers = TimeFrequencyCnn("diffstride", width=0.05, stride_time=[1.0] * 6).layer_strides(64, 100)
    first_block = [layer for layer in layers if layer.block == 1]
    assert float(complexity(first_block).detach()) == pytest.approx((96 / 100) / 2)


def test_complexity_pushes_every_stride_up() -> None:
    model = TimeFrequencyCnn("diffstride", width=0.05)
    complexity(model.layer_strides(64, 100)).backward()
    gradients = [layer.strides.grad for _, layer in model.downsamplers()]
    assert all(gradient is not None and (gradient < 0).all() for gradient in gradients)


def test_complexity_falls_when_strides_grow() -> None:
    small, large = (
        complexity(TimeFrequencyCnn("diffstride", width=0.05, stride_time=[s] * 6).layer_strides(64, 100))
        for s in (1.5, 2.5)
    )
    assert large < small


def masked_input(mask_frequency: int, mask_time: int, training: bool) -> Tensor:
    """What the backbone of a classifier sees of 16 windows of noise."""
    torch.manual_seed(0)
    backbone = TimeFrequencyCnn(width=1 / 16)
    model = AudioClassifier(
        LogMel(), backbone, {"a": 2}, normalization="standard", mask_frequency=mask_frequency, mask_time=mask_time
    )
    seen: list[Tensor] = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.train(training)
    model.embed(torch.randn(16, 16000))
    return seen[0]


def n_masked(maps: Tensor, axis: int) -> Tensor:
    """Bands (axis 1) or frames (axis 2) per window that are 0 throughout."""
    return (maps[:, 0] == 0).all(dim=3 - axis).sum(1)


@pytest.mark.parametrize(("mask_frequency", "mask_time", "axis"), [(8, 0, 1), (0, 16, 2)])
def test_masks_hide_up_to_so_many_bands_or_frames(mask_frequency: int, mask_time: int, axis: int) -> None:
    n = n_masked(masked_input(mask_frequency, mask_time, training=True), axis)
    assert 0 < n.max() <= max(mask_frequency, mask_time)
    assert len(n.unique()) > 3  # every window has its own


def test_masks_are_off_by_default() -> None:
    assert not (masked_input(0, 0, training=True) == 0).any()


def test_masks_are_off_in_evaluation() -> None:
    assert not (masked_input(8, 16, training=False) == 0).any()
