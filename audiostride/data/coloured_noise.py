"""White, pink and brown noise, drawn with torch's generator on the device of the windows."""

from collections.abc import Sequence

import torch
from torch import Tensor

from audiostride.vocabulary import NoiseColour

EXPONENTS: dict[NoiseColour, float] = {"white": 0.0, "pink": 1.0, "brown": 2.0}
LEVEL_DB = (-80.0, 0.0)  # of full scale


def coloured_noise(waveform: Tensor, colours: Sequence[NoiseColour] = ("white",)) -> Tensor:
    """Draw noise of the shape of windows, each row of one of `colours`; white alone is `torch.randn_like`.

    The power spectral density of pink noise falls as 1/f (3 dB an octave), that of brown noise as 1/f^2 (6 dB). White
    noise is shaped in the Fourier domain: each bin is multiplied by the square root of the density. The density has no
    value at 0 Hz, so pink and brown noise have a mean of 0. The power of a row is 1 on average.

    Low frequencies hold most of the power: of brown noise of 1 s, 1 % lies above 60 Hz, of pink noise half. At the same
    level less of it is heard than of white noise.

    Args:
        waveform: gives shape, type and device alone.
        colours: each row draws one of them evenly.

    Shape:
        waveform, output: `(batch, time)`.

    Reference:
        Timmer and Koenig, "On generating power law noise", Astronomy and Astrophysics 300, 1995.

    >>> coloured_noise(torch.zeros(2, 8), ("pink", "brown")).shape
    torch.Size([2, 8])
    """
    white = torch.randn_like(waveform)
    if tuple(colours) == ("white",):
        return white
    drawn = torch.randint(len(colours), (len(waveform),), device=waveform.device)
    exponents = torch.tensor([EXPONENTS[colour] for colour in colours], device=waveform.device)[drawn][:, None]
    n_samples = waveform.shape[1]
    bins = torch.arange(n_samples // 2 + 1, device=waveform.device, dtype=waveform.dtype)[1:]
    gains = bins ** (-exponents / 2)  # (batch, bins from 1 on)
    gains = gains / gains.square().mean(1, keepdim=True).sqrt()
    spectrum = torch.fft.rfft(white)
    spectrum = torch.cat([torch.zeros_like(spectrum[:, :1]), spectrum[:, 1:] * gains], 1)
    return torch.where(exponents == 0, white, torch.fft.irfft(spectrum, n_samples))


def replace_by_noise(
    waveform: Tensor,
    rows: Tensor,
    colours: Sequence[NoiseColour] = ("white",),
    level_db: tuple[float, float] = LEVEL_DB,
) -> Tensor:
    """Replace some windows by noise of any level; the others, and `waveform` itself, stay as they are.

    Args:
        waveform: the windows.
        rows: which windows; nothing is drawn for the others.
        colours: of the noise, see `coloured_noise`.
        level_db: range of the levels, drawn evenly: root mean squares in dB of full scale, before the noise is clipped
            to [-1, 1].

    Shape:
        waveform, output: `(batch, time)`. rows: `(batch,)`, bool.
    """
    if not rows.any():  # a transform of no rows fails on a CPU
        return waveform
    noise = coloured_noise(waveform[rows], colours)
    level = 10 ** (torch.empty(len(noise), 1, device=waveform.device).uniform_(*level_db) / 20)
    rms = noise.square().mean(1, keepdim=True).sqrt()
    replaced = waveform.clone()
    replaced[rows] = (noise * level / rms).clamp(-1, 1)
    return replaced


def draw_rows(rows: Tensor, share: float) -> Tensor:
    """Choose about `share` of the rows that are True, each by itself.

    Shape:
        rows, output: `(batch,)`, bool.
    """
    return rows & (torch.rand(len(rows), device=rows.device) < share)
