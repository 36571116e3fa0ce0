"""Waveform to log-mel spectrogram."""

import math

import torch
import torchaudio
from torch import Tensor, nn

from audiostride.vocabulary import MelScale, check_frontend


class LogMel(nn.Module):
    """Log-mel power spectrogram, one frame per hop, computed on the device of its input.

    Frames are centred on multiples of `hop_length`; the waveform is taken as silent outside its
    ends. `output = log(mel + offset)`, natural logarithm; mel filters without area normalisation.

    Args:
        sample_rate: Hz.
        n_fft: FFT size in samples.
        win_length: Hann window in samples, at most `n_fft`.
        hop_length: samples between frames.
        n_mels: mel bands.
        f_min: lower edge of the lowest band in Hz.
        f_max: upper edge of the highest band in Hz, at most half of `sample_rate`.
        mel_scale: "htk" or "slaney".
        offset: added to the power before the logarithm, above 0.

    Shape:
        waveform: `(batch, time)`, amplitude in [-1, 1]. output: `(batch, 1, mel, time)` with
        `n_samples // hop_length` frames.

    Raises:
        ValueError: a setting out of range (the message names it), or less than one hop of audio.

    >>> LogMel()(torch.zeros(2, 16000)).shape
    torch.Size([2, 1, 64, 100])
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        n_fft: int = 512,
        win_length: int = 400,
        hop_length: int = 160,
        n_mels: int = 64,
        f_min: float = 60.0,
        f_max: float = 7800.0,
        mel_scale: MelScale = "htk",
        offset: float = 1e-5,
    ) -> None:
        super().__init__()
        check_frontend(
            sample_rate,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            f_min=f_min,
            f_max=f_max,
            offset=offset,
        )
        self.sample_rate, self.n_fft = sample_rate, n_fft
        self.win_length, self.hop_length = win_length, hop_length
        self.n_mels, self.f_min, self.f_max, self.mel_scale = n_mels, f_min, f_max, mel_scale
        self.offset = offset
        filters = torchaudio.functional.melscale_fbanks(
            n_fft // 2 + 1, f_min, f_max, n_mels, sample_rate, norm=None, mel_scale=mel_scale
        )
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)
        self.register_buffer("window", torch.hann_window(win_length), persistent=False)

    @property
    def floor(self) -> float:
        """Give the output for silence."""
        return math.log(self.offset)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the output; its shape is that of the class."""
        return self.above_floor(waveform) + self.floor

    def above_floor(self, waveform: Tensor) -> Tensor:
        """Compute the output less `floor`: 0 for silence, and near it more precise than the logarithm of the sum."""
        if waveform.ndim != 2 or waveform.shape[1] < self.hop_length:
            raise ValueError(
                f"waveform must have the shape (batch, time) with at least hop_length="
                f"{self.hop_length} samples, got {tuple(waveform.shape)}"
            )
        n_frames = waveform.shape[1] // self.hop_length
        # an FFT in half precision fails or overflows
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.stft(
                waveform.double() if self.filters.dtype == torch.float64 else waveform.float(),
                self.n_fft,
                self.hop_length,
                self.win_length,
                self.window.to(waveform.device),
                pad_mode="constant",
                return_complex=True,
            )
            real, imaginary = torch.view_as_real(spectrum).unbind(-1)
            power = real.square().addcmul_(imaginary, imaginary)  # abs() would take a root first
            # the spectra lie one after the other in memory: one product for all of them
            mel = nn.functional.linear(power.mT, self.filters.to(waveform.device))
            above: Tensor = mel[:, :n_frames].mT.contiguous().div_(self.offset).log1p_()
        return above.unsqueeze(1)
