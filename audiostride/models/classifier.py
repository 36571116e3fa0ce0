"""Front end, backbone and one linear head per task, composed."""

import math
from collections.abc import Mapping
from typing import cast, get_args

import torch
from torch import Tensor, nn
from torchaudio.transforms import FrequencyMasking, TimeMasking

from audiostride.frontend import LogMel
from audiostride.models.protocol import StridedBackbone, count_channels, strides_of
from audiostride.vocabulary import Normalization, Pooling


def pool_maps(maps: Tensor, pooling: Pooling = "max") -> Tensor:
    """Reduce maps to one number per channel.

    Args:
        maps: any number of axes after the channel.
        pooling: "max", "mean", or "max_mean", the sum of both.

    Shape:
        maps: `(batch, channel, ...)`. output: `(batch, channel)`.

    Reference:
        Kong et al., "PANNs: large-scale pretrained audio neural networks", 2020, for the sum.

    >>> pool_maps(torch.tensor([[[1.0, 2.0, 6.0]]]), "max_mean")
    tensor([[9.]])
    """
    axes = tuple(range(2, maps.ndim))
    if pooling == "max":
        return maps.amax(axes)
    means = maps.mean(axes)
    return means if pooling == "mean" else maps.amax(axes) + means


def _check_normalization(normalization: Normalization, top_db: float | None) -> None:
    if normalization not in get_args(Normalization):
        raise ValueError(f"normalization must be one of {', '.join(get_args(Normalization))}, got {normalization!r}")
    if normalization == "peak" and top_db is None:
        raise ValueError('normalization "peak" needs top_db, got None')


def normalize_window(log_mel: Tensor, normalization: Normalization, top_db: float | None = None) -> Tensor:
    """Take the level of every window out.

    Args:
        log_mel: natural logarithm of power.
        normalization: "none", "mean" (0 over bands and frames), "standard" (standard deviation 1 as well;
            silence gives 0), or "peak": in bels above the floor that `top_db` sets, so that silence and
            the zero padding of convolutions are both 0 and the window's maximum is `top_db / 10`.
        top_db: above 0, the dynamic range that is kept: nothing stays further below the window's maximum.

    Shape:
        log_mel, output: `(batch, 1, mel, time)`.
    """
    _check_normalization(normalization, top_db)
    if top_db is not None:
        floor = log_mel.amax((-2, -1), keepdim=True) - top_db * math.log(10) / 10
        log_mel = torch.maximum(log_mel, floor)
        if normalization == "peak":
            return (log_mel - floor) / math.log(10)
    if normalization == "none":
        return log_mel
    centred = log_mel - log_mel.mean((-2, -1), keepdim=True)
    if normalization == "mean":
        return centred
    variance = centred.square().mean((-2, -1), keepdim=True).clamp(min=1e-12)  # a root of 0 has no gradient
    return centred / (variance.sqrt() + 1e-3)


class AudioClassifier(nn.Module):
    """Waveform to logits of every task: log-mel, backbone, global pooling, linear heads.

    Args:
        frontend: waveform to log-mel.
        backbone: log-mel `(batch, 1, mel, time)` to the last map `(batch, channel, ...)`, any module that does so
            (`audiostride.models.protocol` says what more it may offer).
        n_classes: number of classes per task.
        n_window: samples of the windows it is trained on, if that is known.
        normalization: of each window's log-mel, "none", "mean", "standard" or "peak" (`normalize_window`).
        top_db: dynamic range of each window's log-mel in dB (`normalize_window`), None for all of it.
        pooling: of the last maps, "max", "mean" or "max_mean" (`pool_maps`).
        mask_frequency: in training, up to so many bands of every window are set to 0.
        mask_time: in training, up to so many frames of every window are set to 0.

    Shape:
        waveform: `(batch, time)`. output: per task `(batch, class)`.

    Raises:
        ValueError: an unknown normalization or pooling, no task, or a backbone that gives no maps.

    Reference:
        Riad et al., ICLR 2022; the masks, Park et al., "SpecAugment", 2019.

    >>> model = AudioClassifier(LogMel(), nn.Conv2d(1, 16, 3), {"words": 35})
    >>> model(torch.zeros(2, 16000))["words"].shape
    torch.Size([2, 35])
    """

    def __init__(
        self,
        frontend: LogMel,
        backbone: nn.Module,
        n_classes: Mapping[str, int],
        *,
        n_window: int | None = None,
        normalization: Normalization = "none",
        top_db: float | None = None,
        pooling: Pooling = "max",
        mask_frequency: int = 0,
        mask_time: int = 0,
    ) -> None:
        super().__init__()
        _check_normalization(normalization, top_db)
        if pooling not in get_args(Pooling):
            raise ValueError(f"pooling must be one of {', '.join(get_args(Pooling))}, got {pooling!r}")
        if not n_classes:
            raise ValueError("n_classes must hold at least one task, got none")
        self.frontend = frontend
        self.n_window = n_window
        self.backbone = backbone
        self.normalization = normalization
        self.top_db = top_db
        self.pooling: Pooling = pooling
        masks = ((FrequencyMasking, mask_frequency), (TimeMasking, mask_time))
        # torchaudio's masks end below their argument
        self.masks = nn.Sequential(*(kind(n + 1, iid_masks=True) for kind, n in masks if n))
        self.tasks = tuple(n_classes)
        n_frames = max(1, (n_window or frontend.sample_rate) // frontend.hop_length)
        n_channels = count_channels(backbone, frontend.n_mels, n_frames)
        self.heads = nn.ModuleDict(
            # prefixed, since a ModuleDict refuses names of its own methods such as "type"
            {f"task_{task}": nn.Linear(n_channels, n) for task, n in n_classes.items()}
        )

    @property
    def device(self) -> torch.device:
        """Tell where the parameters are."""
        return next(self.parameters()).device

    @property
    def strided_backbone(self) -> StridedBackbone:
        """Give the backbone as one with strides; all answers are empty for one without."""
        return strides_of(self.backbone)

    def head(self, task: str) -> nn.Linear:
        """Find the linear layer of a task.

        Raises:
            KeyError: there is no such task.
        """
        if task not in self.tasks:
            raise KeyError(f"no task {task!r}, expected one of {', '.join(self.tasks)}")
        return cast(nn.Linear, self.heads[f"task_{task}"])

    def embed(self, waveform: Tensor) -> Tensor:
        """Give the pooled features `(batch, channel)` that the heads see."""
        # where windows are normalised, the floor falls out; a quiet one is divided by little, so rounding counts
        spectrogram = self.frontend if self.normalization == "none" else self.frontend.above_floor
        log_mel = normalize_window(spectrogram(waveform), self.normalization, self.top_db)
        if self.training:
            log_mel = self.masks(log_mel)
        maps: Tensor = self.backbone(log_mel)
        return maps if maps.ndim == 2 else pool_maps(maps, self.pooling)

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        """Compute the output; its shape is that of the class."""
        embedding = self.embed(waveform)
        return {task: self.head(task)(embedding) for task in self.tasks}
