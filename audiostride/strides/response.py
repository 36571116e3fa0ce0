"""What passes a network's downsampling: gratings of every modulation sent through the trained chain of resamplings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from audiostride.models.classifier import AudioClassifier
from audiostride.strides.cutoffs import StrideReading
from audiostride.vocabulary import AxisName

Values = npt.NDArray[np.float64]

HALF_POWER = 0.5**0.5


@dataclass(frozen=True)
class LayerResponse:
    """What one layer alone does to gratings along one axis, at the frequencies that its input can hold.

    `gains` is the amplitude that comes out at the grating's own frequency, `aliased` what comes out at others.
    """

    block: int
    axis: AxisName
    frequencies: Values  # of the modulation at the input of the network, in the unit of the chain
    gains: Values
    aliased: Values


@dataclass(frozen=True)
class ChainResponse:
    """What all layers together leave of gratings along one axis.

    Frequencies are those of whole periods per window: in Hz along time, in cycles per mel band of the front end
    along frequency. `gains` is the amplitude that comes out at the grating's own frequency, `aliased` what comes out
    at others. `aliased_share` is the share of the latter in the power that comes out, if all gratings are as strong.
    `cutoff_3db` is where the gain falls below half the power, None where it never does. It is drawn by a line between
    two gratings: what was measured is `half_power_gratings`. `nominal_cutoff` is the lowest cut-off of the layers.
    """

    axis: AxisName
    unit: str
    frequencies: Values
    gains: Values
    aliased: Values
    cutoff_3db: float | None
    nominal_cutoff: float
    layers: tuple[LayerResponse, ...]

    @property
    def half_power_gratings(self) -> tuple[float, float] | None:
        """Give the last grating that keeps half its power, and the next, which does not; None if all keep it."""
        i = _first_below(self.gains)
        return None if i is None else (float(self.frequencies[max(i - 1, 0)]), float(self.frequencies[i]))

    @property
    def aliased_share(self) -> float:
        """Compute how much of what comes out has folded: a share of the power, of gratings that are all as strong."""
        passed, aliased = float((self.gains**2).sum()), float((self.aliased**2).sum())
        return aliased / (passed + aliased)

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        return {
            "unit": self.unit,
            "cutoff_3db": self.cutoff_3db,
            "nominal_cutoff": self.nominal_cutoff,
            "aliased_share": self.aliased_share,
            "frequencies": self.frequencies.tolist(),
            "gains": self.gains.tolist(),
            "aliased": self.aliased.tolist(),
        }


def _first_below(gains: Values) -> int | None:
    """Find the first gain below 1/sqrt(2), None if there is none."""
    below = np.flatnonzero(gains < HALF_POWER)
    return int(below[0]) if len(below) else None


def half_power_point(frequencies: Values, gains: Values) -> float | None:
    """Say where the gain first falls below 1/sqrt(2), between two frequencies on the line through both.

    >>> half_power_point(np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])).__round__(3)
    1.293
    """
    i = _first_below(gains)
    if i is None:
        return None
    if i == 0:
        return float(frequencies[0])
    share = (gains[i - 1] - HALF_POWER) / (gains[i - 1] - gains[i])
    return float(frequencies[i - 1] + share * (frequencies[i] - frequencies[i - 1]))


def _gratings(n: int) -> Values:
    """Give cosines, then sines, of 0 to n // 2 periods: `(2, n // 2 + 1, n)`."""
    phase = 2 * np.pi * np.outer(np.arange(n // 2 + 1), np.arange(n)) / n
    return np.stack([np.cos(phase), np.sin(phase)])


def _matrices(
    model: AudioClassifier, readings: Sequence[StrideReading], axis: AxisName
) -> Iterator[tuple[StrideReading, Values]]:
    """Give the reading and the matrix `(n_out, n_in)` of every layer that downsamples `axis`."""
    left = iter(readings)
    for _, module in model.strided_backbone.downsamplers():
        of_module = list(islice(left, len(module.axes)))
        operators = module.operators([reading.n_in for reading in of_module])  # a shared stride looks at all axes
        for reading, operator in zip(of_module, operators, strict=True):
            if reading.axis == axis:
                yield reading, np.eye(reading.n_in) if operator is None else operator.matrix.cpu().double().numpy()


def _powers(maps: Values, n_bins: int) -> tuple[Values, Values]:
    """Give mean power over both phases of every grating: at its own frequency, and in all."""
    n = maps.shape[-1]
    spectra = np.abs(np.fft.rfft(maps)) ** 2 / n**2
    spectra[..., 1 : (n + 1) // 2] *= 2
    own = np.zeros(n_bins)
    for k in range(min(n_bins, n // 2 + 1)):
        own[k] = spectra[:, k, k].mean()
    return own, spectra.sum(-1).mean(0)


def _passed(gratings: Values, maps: Values) -> tuple[Values, Values]:
    """Give the amplitudes that come out at a grating's own frequency and at others, as shares of what went in."""
    n_bins = gratings.shape[1]
    start, (own, total) = _powers(gratings, n_bins)[0], _powers(maps, n_bins)
    return np.sqrt(own / start), np.sqrt(np.maximum(total - own, 0) / start)


@torch.no_grad()
def chain_response(
    model: AudioClassifier, readings: Sequence[StrideReading], axis: AxisName, n_window: int
) -> ChainResponse:
    """Send gratings along `axis` through the resamplings of `model` for windows of `n_window` samples.

    A grating of k periods in the window has k periods in every map, so what each layer does is seen at the same k.

    Args:
        readings: of `read_strides` for the same model and window.
    """
    frontend = model.frontend
    chain = list(_matrices(model, readings, axis))
    n = chain[0][0].n_in
    seconds_or_bands = n * frontend.hop_length / frontend.sample_rate if axis == "time" else n
    n_bins = n // 2 + 1
    frequencies = np.arange(n_bins) / seconds_or_bands
    maps, layers, nominal = _gratings(n), [], []
    for reading, matrix in chain:
        maps = maps @ matrix.T
        alone = _gratings(reading.n_in)
        of_layer = _passed(alone, alone @ matrix.T)
        held = frequencies[: len(of_layer[0])]
        layers.append(LayerResponse(reading.block, axis, held, *(values[: len(held)] for values in of_layer)))
        nominal.append(reading.n_in / (2 * reading.effective_stride) / seconds_or_bands)
    gains, aliased = _passed(_gratings(n), maps)
    return ChainResponse(
        axis=axis,
        unit="Hz" if axis == "time" else "cycles/band",
        frequencies=frequencies,
        gains=gains,
        aliased=aliased,
        cutoff_3db=half_power_point(frequencies, gains),
        nominal_cutoff=min(nominal),
        layers=tuple(layers),
    )
