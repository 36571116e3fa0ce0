"""The methods that are measured, as layers and as models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from audiostride.benchmark.fft import FftDiffStride
from audiostride.frontend import LogMel
from audiostride.layers import DiffStride, SpectralPooling
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.blocks import ConvUnit
from audiostride.models.classifier import AudioClassifier
from audiostride.vocabulary import FOLDED_SMOOTHNESS, Downsampling, Ramp

METHODS = ("strided_conv", "spectral_pooling", "fixed_stride", "diffstride_fft", "diffstride")
TASKS = {"scene": 10, "bird": 2, "instrument": 11, "pitch": 128, "words": 35}  # the classes of the five data sets
MAPS = (64, 64, 100)  # channels, bands and frames that the layer alone is measured with
N_SAMPLES = 16000


class _Slice(nn.Module):
    """What is left of a strided convolution without the convolution: every other sample."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., ::2, ::2].contiguous()


@dataclass(frozen=True)
class Case:
    """A method to measure; `ramp` is None where it has none."""

    method: str
    ramp: Ramp | None

    @property
    def ramp_settings(self) -> dict[str, Any]:
        """Give the settings of layer or model that go with the ramp by default."""
        if self.ramp != "folded":
            return {"ramp": self.ramp or "outside"}
        return {"ramp": self.ramp, "smoothness": FOLDED_SMOOTHNESS, "learn_smoothness": self.method == "diffstride"}


def cases(methods: Sequence[str]) -> list[Case]:
    """Give every method with every ramp that it has; the published way by FFT does not fold."""
    ramps: dict[str, tuple[Ramp | None, ...]] = {
        "strided_conv": (None,),
        "spectral_pooling": (None,),
        "diffstride_fft": ("inside", "outside"),
    }
    return [Case(method, ramp) for method in methods for ramp in ramps.get(method, ("folded", "inside", "outside"))]


def make_layer(case: Case) -> nn.Module:
    """Give the downsampling layer alone, both axes at stride 2."""
    if case.method == "strided_conv":
        return _Slice()
    if case.method == "spectral_pooling":
        return SpectralPooling([2.0, 2.0])
    layer = DiffStride([2.0, 2.0], learnable=case.method != "fixed_stride", **case.ramp_settings)
    return FftDiffStride(layer) if case.method == "diffstride_fft" else layer


def make_model(case: Case, width: float) -> AudioClassifier:
    """Give the multi-task model; by FFT, every DiffStride is replaced."""
    method: Downsampling = "diffstride" if case.method == "diffstride_fft" else case.method  # type: ignore[assignment]
    backbone = TimeFrequencyCnn(method, width=width, **case.ramp_settings)
    if case.method == "diffstride_fft":
        for unit in backbone.modules():
            if isinstance(unit, ConvUnit) and isinstance(unit.pool, DiffStride):
                unit.pool = FftDiffStride(unit.pool)  # type: ignore[assignment]
    return AudioClassifier(LogMel(), backbone, TASKS)
