"""The methods that are measured, as layers and as models."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from audiostride.benchmark.fft import FftDiffStride
from audiostride.frontend import LogMel
from audiostride.layers import DiffStride, SpectralPooling
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.blocks import ConvUnit
from audiostride.models.classifier import AudioClassifier
from audiostride.vocabulary import Downsampling, Ramp

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
    def name(self) -> str:
        """Name the method with its ramp."""
        return self.method if self.ramp is None else f"{self.method} {self.ramp}"


def cases(methods: Sequence[str]) -> list[Case]:
    """Give every method, the ones with a ramp with both."""
    ramps: tuple[Ramp, ...] = ("inside", "outside")
    return [
        Case(method, ramp)
        for method in methods
        for ramp in ((None,) if method in ("strided_conv", "spectral_pooling") else ramps)
    ]


def make_layer(case: Case) -> nn.Module:
    """Give the downsampling layer alone, both axes at stride 2."""
    if case.method == "strided_conv":
        return _Slice()
    if case.method == "spectral_pooling":
        return SpectralPooling([2.0, 2.0])
    layer = DiffStride([2.0, 2.0], ramp=case.ramp or "outside", learnable=case.method != "fixed_stride")
    return FftDiffStride(layer) if case.method == "diffstride_fft" else layer


def make_model(case: Case, width: float) -> AudioClassifier:
    """Give the multi-task model; by FFT, every DiffStride is replaced."""
    method: Downsampling = "diffstride" if case.method == "diffstride_fft" else case.method  # type: ignore[assignment]
    backbone = TimeFrequencyCnn(method, width=width, ramp=case.ramp or "outside")
    if case.method == "diffstride_fft":
        for unit in backbone.modules():
            if isinstance(unit, ConvUnit) and isinstance(unit.pool, DiffStride):
                unit.pool = FftDiffStride(unit.pool)  # type: ignore[assignment]
    return AudioClassifier(LogMel(), backbone, TASKS)
