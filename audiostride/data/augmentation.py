"""Random changes of training windows, drawn with torch's generator on the device of the windows."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchaudio.functional import add_noise

from audiostride.data.coloured_noise import coloured_noise, draw_rows, replace_by_noise
from audiostride.data.speed import random_speed
from audiostride.vocabulary import NoiseColour

Range = tuple[float, float]


def _uniform(waveform: Tensor, low: float, high: float) -> Tensor:
    """Give a number per row."""
    return torch.empty(len(waveform), device=waveform.device).uniform_(low, high)


def random_gain(waveform: Tensor, gain_db: Range) -> Tensor:
    """Change the level of every window by a gain drawn evenly from a range in dB.

    Shape:
        waveform, output: `(batch, time)`.
    """
    return waveform * 10 ** (_uniform(waveform, *gain_db)[:, None] / 20)


def random_shift(waveform: Tensor, n_max: int) -> Tensor:
    """Move every window by up to `n_max` samples either way; what leaves is lost, zeros come after it.

    Shape:
        waveform, output: `(batch, time)`.
    """
    n_samples = waveform.shape[1]
    shifts = torch.randint(-n_max, n_max + 1, (len(waveform), 1), device=waveform.device)
    at = torch.arange(n_samples, device=waveform.device) - shifts
    return waveform.gather(1, at.clamp(0, n_samples - 1)) * ((at >= 0) & (at < n_samples))


def add_background(waveform: Tensor, noise: Tensor, snr_db: Range) -> Tensor:
    """Add noise to every window at a signal-to-noise ratio drawn evenly from a range; silence stays silent.

    Args:
        snr_db: the lowest and the highest ratio of the energies of window and noise, in dB.

    Shape:
        waveform, noise, output: `(batch, time)`.
    """
    noisy = add_noise(waveform, noise, _uniform(waveform, *snr_db))
    return torch.where(noise.any(1, keepdim=True), noisy, waveform)  # the ratio to no noise is not a number


@dataclass(frozen=True)
class Mix:
    """Which row every row is mixed with, and the share that it keeps, at least a half.

    `union` gives a row of a multi-label task the classes of both rows, instead of shares of them.

    Shape:
        partners, shares: `(batch,)`.
    """

    partners: Tensor
    shares: Tensor
    union: bool = False

    def __call__(self, waveform: Tensor) -> Tensor:
        """Change the windows `(batch, time)`."""
        shares = self.shares[:, None]
        return shares * waveform + (1 - shares) * waveform[self.partners]


def draw_mix(n_rows: Sequence[int], alpha: float, device: torch.device, *, union: bool = False) -> Mix:
    """Mix every row with another one of its own source, so that both have labels for the same tasks.

    Args:
        n_rows: rows of every source, one after another.
        alpha: of the distribution Beta(alpha, alpha) of the shares.
        union: of what multi-label tasks learn (`Mix`).

    Reference:
        Zhang et al., "mixup: beyond empirical risk minimization", 2018.
    """
    ends = torch.tensor(n_rows).cumsum(0).tolist()
    partners = torch.cat([torch.arange(end - n, end).roll(1) for n, end in zip(n_rows, ends, strict=True)])
    concentration = torch.full((sum(n_rows),), alpha, device=device)
    shares = torch.distributions.Beta(concentration, concentration).sample()
    return Mix(partners.to(device), torch.maximum(shares, 1 - shares), union)


@dataclass(frozen=True)
class Augmentation:
    """Speed, shift, gain, background and noise, in this order; what is None or 0 is off.

    Args:
        shift: samples that a window moves at most.
        gain_db: range of gains.
        background_snr_db: range of ratios to the recordings of a background.
        noise_snr_db: range of ratios to noise.
        noise_colours: of this noise, each window draws one of them.
        noise_as_background: share of the windows without anything to name that noise of any level replaces.
        speed: range of speeds.
    """

    shift: int = 0
    gain_db: Range | None = None
    background_snr_db: Range | None = None
    noise_snr_db: Range | None = None
    noise_colours: Sequence[NoiseColour] = ("white",)
    noise_as_background: float = 0.0
    speed: Range | None = None

    def __call__(
        self, waveform: Tensor, background: Tensor | None = None, is_background: Tensor | None = None
    ) -> Tensor:
        """Change windows; `background` has noise for each, `is_background` tells which hold nothing to name.

        Shape:
            waveform, background, output: `(batch, time)`. is_background: `(batch,)`, bool.
        """
        if self.speed is not None:
            waveform = random_speed(waveform, *self.speed)
        if self.shift:
            waveform = random_shift(waveform, self.shift)
        if self.gain_db is not None:
            waveform = random_gain(waveform, self.gain_db)
        if background is not None and self.background_snr_db is not None:
            waveform = add_background(waveform, background, self.background_snr_db)
        if self.noise_snr_db is not None:
            waveform = add_background(waveform, coloured_noise(waveform, self.noise_colours), self.noise_snr_db)
        if self.noise_as_background and is_background is not None:
            rows = draw_rows(is_background.to(waveform.device), self.noise_as_background)
            waveform = replace_by_noise(waveform, rows, self.noise_colours)
        return waveform
