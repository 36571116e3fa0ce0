"""Read strides as cut-off frequencies."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.vocabulary import AxisName


@dataclass(frozen=True)
class StrideReading:
    """What the downsampling of one axis of one block keeps.

    Frequencies are those of modulations, not of sound: Hz along time, cycles per band that enters the
    layer along mel. `cutoff` is half the rate that the effective stride leaves. The gain falls from 1 at
    `ramp_start` to 0 at `ramp_end`; the ramp begins at the cut-off, or ends there if it is inside.
    Strided convolutions have no ramp: they do not filter, what lies above the cut-off aliases.
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
    cutoff_cycles_per_octave: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        values = asdict(self)
        if self.cutoff_cycles_per_octave is None:
            del values["cutoff_cycles_per_octave"]
        return values


def bands_per_octave(frontend: LogMel, f_hz: float = 1000.0) -> float:
    """Give mel bands in the octave around `f_hz`."""
    import librosa  # slow to import

    low, high, octave_low, octave_high = librosa.hz_to_mel(
        [frontend.f_min, frontend.f_max, f_hz / 2**0.5, f_hz * 2**0.5], htk=frontend.mel_scale == "htk"
    )
    return float((octave_high - octave_low) * (frontend.n_mels + 1) / (high - low))


def read_strides(model: AudioClassifier, n_window: int) -> list[StrideReading]:
    """Give the strides of every block and axis for windows of `n_window` samples, in the order of the network.

    Raises:
        ValueError: `n_window` is shorter than a hop of the front end.
    """
    if n_window < model.frontend.hop_length:
        raise ValueError(f"n_window must be at least hop_length={model.frontend.hop_length}, got {n_window}")
    frontend: LogMel = model.frontend
    backbone: TimeFrequencyCnn = model.backbone
    frame_rate_hz = frontend.sample_rate / frontend.hop_length
    readings = []
    for layer in backbone.layer_strides(frontend.n_mels, n_window // frontend.hop_length):
        stride = float(layer.effective_stride.detach())
        entering = frame_rate_hz if layer.axis == "time" else 1.0  # samples per second, or per band
        cutoff, (ramp_start, ramp_end) = entering / (2 * stride), layer.gain_edges or (None, None)
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
                ramp_start=None if ramp_start is None else ramp_start * entering,
                ramp_end=None if ramp_end is None else ramp_end * entering,
                cutoff_cycles_per_octave=cutoff * bands_per_octave(frontend) if first_mel else None,
            )
        )
        if layer.axis == "time":
            frame_rate_hz *= layer.n_out / layer.n_in
    return readings
