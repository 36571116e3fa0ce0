"""The paper's networks: their published size, their strides, and one layer for both branches of a residual block."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiostride.models.densenet import densenet_bc121
from audiostride.models.downsampler import Downsampler
from audiostride.models.efficientnet import efficientnet_b0
from audiostride.models.network import Network
from audiostride.models.protocol import StridedBackbone
from audiostride.models.registry import build_backbone
from audiostride.models.resnet import ResidualBlock, resnet18
from audiostride.models.stride_settings import StrideSettings
from audiostride.vocabulary import BACKBONE_STRIDES, Downsampling
from tests.models.tiny_networks import NETWORKS

METHODS: list[Downsampling] = ["strided_conv", "spectral_pooling", "fixed_stride", "diffstride"]
NARROW = {"width": 1 / 32, "dropout": 0.0}
REAL = (1.4, 2.3, 1.0, 1.7, 1.1, 1.3, 1.2)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def settings_of(name: str, **changes: Any) -> dict[str, Any]:
    strides = BACKBONE_STRIDES[name]
    return {"stride_time": strides, "stride_frequency": strides} | changes


def build(name: str, **changes: Any) -> Network:
    backbone = build_backbone(name, **NARROW, **settings_of(name, **changes))
    assert isinstance(backbone, Network)
    return backbone


def count_norms(model: nn.Module) -> int:
    return sum(
        p.numel() for module in model.modules() if isinstance(module, nn.BatchNorm2d) for p in module.parameters()
    )


# size


@pytest.mark.parametrize(
    ("construct", "name", "n_parameters", "millions"),
    [
        (resnet18, "resnet18", 11_173_962, 11.2),
        (densenet_bc121, "densenet_bc121", 7_093_050, 7.1),
        (efficientnet_b0, "efficientnet_b0", 4_020_358, 4.0),
    ],
)
@pytest.mark.parametrize("method", ["strided_conv", "diffstride"])
def test_an_image_form_with_ten_classes_has_the_published_parameters(
    construct: Callable[..., Network], name: str, n_parameters: int, millions: float, method: Downsampling
) -> None:
    with torch.device("meta"):
        trunk = construct(StrideSettings(**settings_of(name, downsampling=method)), n_channels_in=3)
        head = nn.Linear(trunk.n_channels, 10)
    named = [*trunk.named_parameters(), *head.named_parameters()]
    found = sum(parameter.numel() for key, parameter in named if not key.endswith("strides"))
    assert found == n_parameters
    assert round(found / 1e6, 1) == millions


def test_densenet_has_the_published_seven_million_weights_beside_its_batch_norms() -> None:
    with torch.device("meta"):
        trunk = densenet_bc121(StrideSettings(**settings_of("densenet_bc121")), n_channels_in=3)
    weights = sum(parameter.numel() for parameter in trunk.parameters() if parameter.ndim == 4)
    assert round((weights + 10 * trunk.n_channels + 10) / 1e6, 1) == 7.0
    assert count_norms(trunk) == 85_952


@pytest.mark.parametrize("name", NETWORKS)
def test_width_multiplies_the_channels(name: str) -> None:
    settings = settings_of(name, downsampling="strided_conv")
    with torch.device("meta"):
        half, whole = (build_backbone(name, width=width, dropout=0.0, **settings) for width in (0.5, 1.0))
    sizes = [[m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)] for model in (half, whole)]
    assert [2 * n for n in sizes[0]] == sizes[1]


# strides


def realised_sizes(model: Network, n_mels: int, n_frames: int) -> list[tuple[int, ...]]:
    """Sizes before and after every layer that downsamples, as seen in a forward pass."""
    seen: list[tuple[int, ...]] = []

    def record(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen.extend((inputs[0].shape[axis], output.shape[axis]) for axis in (-2, -1))

    for _, layer in model.downsamplers():
        assert isinstance(layer, nn.Module)
        layer.register_forward_hook(record)
    last = model.eval()(torch.randn(1, 1, n_mels, n_frames))
    assert last.shape[1] == model.n_channels
    assert tuple(last.shape[2:]) == (seen[-2][1], seen[-1][1])
    return seen


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NETWORKS)
def test_promised_sizes_are_those_of_the_maps(name: str, method: Downsampling) -> None:
    n = len(BACKBONE_STRIDES[name])
    strides = {} if method == "strided_conv" else {"stride_time": REAL[:n], "stride_frequency": REAL[::-1][:n]}
    model = build(name, downsampling=method, ramp="folded", smoothness=8.0, **strides)
    assert isinstance(model, StridedBackbone)
    assert model.strides_by_axis()["time"] == pytest.approx(list(strides.get("stride_time", BACKBONE_STRIDES[name])))
    promised = [(layer.n_in, layer.n_out) for layer in model.layer_strides(24, 37)]
    assert promised == realised_sizes(model, 24, 37)
    assert [layer.block for layer in model.layer_strides(24, 37)] == [i // 2 + 1 for i in range(2 * n)]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_stride_and_weight_receives_a_gradient(name: str) -> None:
    model = build(name, ramp="folded", smoothness=8.0, learn_smoothness=True)
    assert model.stuck_strides(100, 100) == []
    model(torch.randn(2, 1, 32, 50)).amax((-2, -1)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    strides = [p.grad for key, p in model.named_parameters() if key.endswith("strides")]
    assert len(strides) == len(BACKBONE_STRIDES[name])
    assert all((gradient != 0).all() for gradient in strides if gradient is not None)
    assert len((model.learned_smoothness() or {})["time"]) == len(BACKBONE_STRIDES[name])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shared_stride_is_one_number_for_both_axes(name: str) -> None:
    model = build(name, shared=True, stride_time="random", stride_frequency="random")
    strides = model.strides_by_axis()
    assert strides["time"] == strides["frequency"]
    assert sum(p.numel() for key, p in model.named_parameters() if key.endswith("strides")) == len(strides["time"])


@pytest.mark.parametrize("name", NETWORKS)
def test_another_number_of_strides_is_refused(name: str) -> None:
    n = len(BACKBONE_STRIDES[name])
    with pytest.raises(ValueError, match=f"stride_time must hold {n} numbers, one per block, got {n + 1}"):
        build(name, stride_time=[2.0] * (n + 1))


def test_strided_efficientnet_has_the_published_strides() -> None:
    model = build("efficientnet_b0", downsampling="strided_conv")
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    assert [m.stride[0] for m in convolutions] == [2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


# residual blocks


@pytest.mark.parametrize("method", ["spectral_pooling", "diffstride"])
def test_both_branches_are_convolved_and_then_downsampled_by_the_same_layer(method: Downsampling) -> None:
    settings = StrideSettings(downsampling=method, stride_time=[1.7], stride_frequency=[2.4])
    block = ResidualBlock(3, 5, settings, settings.draw(1)[0]).double()
    x = torch.randn(2, 3, 17, 26, dtype=torch.float64)
    assert block.pool is not None
    assert block.shortcut is not None
    main = block.conv2(block.norm1(block.pool(block.conv1(x))).relu())
    expected = (main + block.shortcut.norm(block.pool(block.shortcut.conv(x)))).relu()
    torch.testing.assert_close(block(x), expected)


def test_a_strided_block_strides_in_both_branches() -> None:
    settings = StrideSettings(downsampling="strided_conv", stride_time=[3], stride_frequency=[2])
    block = ResidualBlock(3, 5, settings, settings.draw(1)[0])
    assert block(torch.randn(1, 3, 16, 31)).shape == (1, 5, 8, 11)
    assert isinstance(block.downsampler, Downsampler)
    assert block.downsampler is block.conv1


def test_blocks_that_keep_their_size_keep_their_input_in_the_shortcut() -> None:
    settings = StrideSettings(downsampling="strided_conv", stride_time=[2] * 3, stride_frequency=[2] * 3)
    shortcuts = [m.shortcut for m in resnet18(settings, width=0.05).modules() if isinstance(m, ResidualBlock)]
    assert [shortcut is None for shortcut in shortcuts] == [True, True, False, True, False, True, False, True]
