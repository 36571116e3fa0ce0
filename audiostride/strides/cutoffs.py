"""Read strides as cut-off frequencies."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from audiostride.frontend import LogMel
from audiostride.models.classifier import AudioClassifier
from audiostride.models.protocol import require_strides
from audiostride.vocabulary import AxisName


@dataclass(frozen=True)
class StrideReading:
    """What the downsampling of one axis of one block keeps.

    Frequencies are those of modulations, not of sound: Hz along time, cycles per band that enters the
    layer along mel. `cutoff` is half the rate that the effective stride leaves. The gain falls from 1 at
    `ramp_start` to 0 at `ramp_end`; the ramp begins at the cut-off, or ends there if it is inside.
    Strided convolutions have no ramp: they do not filter, what lies above the cut-off folds. `smoothness` is the
    width of the ramp in Fourier bins. `folds` is how much of the modulations above half the new rate passes and so
    folds, their mean gain: 0 for spectral pooling, 1 for strided convolutions, None where no modulation is that fast.
    """

    block: int
    axis: AxisName
    stride: float
    effective_stride: float
    realised_factor: float
    n_in: int
    n_out: int
    cutoff: float
    cutoff_unit: Literal["Hz", "cycles/band"]
    ramp_start: float | None
    ramp_end: float | None
    smoothness: float | None
    folds: float | None
    cutoff_cycles_per_octave: float | None = None

    @property
    def half_rate(self) -> float:
        """Give the fastest modulation that the map that enters can hold."""
        return self.cutoff * self.effective_stride

    @property
    def passes_all(self) -> bool:
        """Tell whether the ramp ends beyond what the map can hold, so that something passes at every modulation."""
        return self.ramp_end is not None and self.ramp_end > self.half_rate * (1 + 1e-6)

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        values = asdict(self)
        if self.cutoff_cycles_per_octave is None:
            del values["cutoff_cycles_per_octave"]
        return values


def bands_per_octave(frontend: LogMel) -> float:
    """Count the mel bands in the octave around 1 kHz."""
    import librosa  # slow to import

    low, high, octave_low, octave_high = librosa.hz_to_mel(
        [frontend.f_min, frontend.f_max, 1000 / 2**0.5, 1000 * 2**0.5], htk=frontend.mel_scale == "htk"
    )
    return float((octave_high - octave_low) * (frontend.n_mels + 1) / (high - low))


def folded_share(n_in: int, n_out: int, gain_edges: tuple[float, float] | None) -> float | None:
    """Compute the mean gain of the Fourier bins above half the new rate, None if there are none.

    Args:
        n_in: samples that come in.
        n_out: samples that are left.
        gain_edges: where the gain begins to fall and where it ends, as shares of the rate; None if it is 1 everywhere.

    >>> folded_share(100, 50, None), folded_share(100, 50, (0.25, 0.25)), folded_share(100, 100, None)
    (1.0, 0.0, None)
    """
    bins = np.arange(n_out // 2 + 1, n_in // 2 + 1)
    if len(bins) == 0:
        return None
    if gain_edges is None:
        return 1.0
    start, end = (edge * n_in for edge in gain_edges)
    return float(np.clip((end - bins) / max(end - start, 1e-9), 0, 1).mean())


def read_strides(model: AudioClassifier, n_window: int) -> list[StrideReading]:
    """Give the strides of every block and axis for windows of `n_window` samples, in the order of the network.

    Raises:
        ValueError: `n_window` is shorter than a hop of the front end. UserError: the backbone has no strides.
    """
    if n_window < model.frontend.hop_length:
        raise ValueError(f"n_window must be at least hop_length={model.frontend.hop_length}, got {n_window}")
    frontend: LogMel = model.frontend
    backbone = require_strides(model.backbone)
    frame_rate_hz = frontend.sample_rate / frontend.hop_length
    readings = []
    for layer in backbone.layer_strides(frontend.n_mels, n_window // frontend.hop_length):
        stride = float(layer.effective_stride.detach())
        entering = frame_rate_hz if layer.axis == "time" else 1.0  # samples per second, or per band
        cutoff, edges = entering / (2 * stride), layer.gain_edges
        first_mel = layer.axis == "frequency" and layer.block == 1
        readings.append(
            StrideReading(
                block=layer.block,
                axis=layer.axis,
                stride=float(layer.stride.detach()),
                effective_stride=stride,
                realised_factor=layer.n_in / layer.n_out,
                n_in=layer.n_in,
                n_out=layer.n_out,
                cutoff=cutoff,
                cutoff_unit="Hz" if layer.axis == "time" else "cycles/band",
                ramp_start=None if edges is None else edges[0] * entering,
                ramp_end=None if edges is None else edges[1] * entering,
                smoothness=None if edges is None else (edges[1] - edges[0]) * layer.n_in,
                folds=folded_share(layer.n_in, layer.n_out, edges),
                cutoff_cycles_per_octave=cutoff * bands_per_octave(frontend) if first_mel else None,
            )
        )
        if layer.axis == "time":
            frame_rate_hz *= layer.n_out / layer.n_in
    return readings
