"""Draw the pictures of docs/explanation: what a modulation is, what a stride does to it, and the mask.

python docs/scripts/modulation_pictures.py [--out docs/explanation]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audiostride import DiffStride, LogMel, SpectralPooling, downsampling_matrix
from audiostride.datasets.demo import render_scene

SAMPLE_RATE = 16000
FRAME_RATE_HZ = 100
STRIDE = 8
MODULATIONS_HZ = (3, 20)
COLOURS = ("#0072b2", "#d55e00", "#009e73")
LOOK = {"aspect": "auto", "origin": "lower", "cmap": "magma", "interpolation": "nearest"}


def modulated_noise(modulation_hz: float, seconds: float = 1.0) -> torch.Tensor:
    """Give noise whose level rises and falls `modulation_hz` times a second, `(time,)`."""
    t = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = torch.randn(len(t), generator=torch.Generator().manual_seed(0))
    return 0.1 * noise * 10 ** torch.sin(2 * torch.pi * modulation_hz * t)


def tone_with_harmonics(f0_hz: float, seconds: float = 1.0) -> torch.Tensor:
    """Give a steady tone with harmonics up to 7 kHz, `(time,)`."""
    t = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics = torch.arange(1, int(7000 / f0_hz) + 1)[:, None]
    return 0.02 * torch.sin(2 * torch.pi * f0_hz * harmonics * t).sum(0) + 1e-3 * torch.randn(
        len(t), generator=torch.Generator().manual_seed(1)
    )


def log_mel(waveform: torch.Tensor) -> torch.Tensor:
    """Give the log-mel `(mel, time)` of a waveform, 100 frames a second."""
    return LogMel()(waveform[None])[0, 0]


def _name_axes(panel: Axes, seconds: float) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_xlabel(f"time, {seconds:g} s", fontsize=8)
    panel.set_ylabel("mel", fontsize=8)


def draw_modulations(target: Path) -> None:
    """Draw sounds that change slowly or fast along time, and along frequency."""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    sounds = {
        "3 changes a second:\na modulation of 3 Hz along time": modulated_noise(3),
        "20 changes a second:\na modulation of 20 Hz along time": modulated_noise(20),
        "harmonics of 250 Hz:\nfast modulations along mel": tone_with_harmonics(250),
        "harmonics of 900 Hz:\nslow modulations along mel": tone_with_harmonics(900),
    }
    for panel, (title, waveform) in zip(figure.subplots(1, len(sounds)), sounds.items(), strict=True):
        panel.imshow(log_mel(waveform), **LOOK)
        panel.set_title(title, fontsize=8)
        _name_axes(panel, 1)
    figure.savefig(target, dpi=110)


def draw_strides(target: Path) -> None:
    """Draw what a stride along time keeps of a slow and of a fast modulation, without and with folding."""
    ways = {
        "log-mel: 100 frames a second": lambda x: x,
        f"spectral pooling, stride {STRIDE}:\nfast changes are gone": SpectralPooling([float(STRIDE)], axes=(-1,)),
        f"every {STRIDE}th frame, as a strided\nconvolution: fast changes fold": lambda x: x[..., ::STRIDE],
    }
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    rows = figure.subplots(len(MODULATIONS_HZ), len(ways))
    for row, modulation_hz in zip(rows, MODULATIONS_HZ, strict=True):
        maps = log_mel(modulated_noise(modulation_hz))
        limits = {"vmin": float(maps.min()), "vmax": float(maps.max())}
        for panel, (title, way) in zip(row, ways.items(), strict=True):
            panel.imshow(way(maps[None])[0], **LOOK, **limits)
            _name_axes(panel, 1)
            if modulation_hz == MODULATIONS_HZ[0]:
                panel.set_title(title, fontsize=8)
        row[0].set_ylabel(f"{modulation_hz} Hz\nmel", fontsize=8)
    figure.savefig(target, dpi=110)


def draw_scene(target: Path) -> None:
    """Draw a scene with a bird after DiffStride along time and along mel."""
    waveform = torch.tensor(render_scene(np.random.default_rng(3), has_bird=True), dtype=torch.float32)[:SAMPLE_RATE]
    maps = log_mel(waveform)
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for row, axis, name in zip(figure.subplots(2, 4), (-1, -2), ("time", "mel"), strict=True):
        for panel, stride in zip(row, (1, 2, 4, 8), strict=True):
            layer = DiffStride([float(stride)], axes=(axis,), ramp="folded", smoothness=1)
            panel.imshow(maps if stride == 1 else layer(maps[None]).detach()[0], **LOOK)
            size = maps.shape[axis] // stride
            panel.set_title(f"{name}: {size} samples" if stride == 1 else f"stride {stride}: {size}", fontsize=8)
            _name_axes(panel, 1)
    figure.savefig(target, dpi=110)


def draw_mask(target: Path) -> None:
    """Draw the gain of every modulation for ramps of three widths, at stride 2 along time."""
    n = FRAME_RATE_HZ  # a window of one second, so that bin k is a modulation of k Hz
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    panel = figure.subplots()
    for width, colour in zip((1, 8, 16), COLOURS, strict=True):
        gains = np.clip((width + n / 4 - np.arange(n // 2 + 1)) / width, 0, 1)
        panel.plot(gains, color=colour, label=f"R = {width} bins")
    matrix = downsampling_matrix(n, 2.0, smoothness=16, ramp="folded")
    bins = [k for k in range(1, n // 2) if k != n // 4]  # a wave at half the new rate has no size of its own
    waves = torch.cos(2 * torch.pi * torch.tensor(bins) * torch.arange(n)[:, None] / n)
    measured = (matrix @ waves).norm(dim=0) / (matrix @ waves)[:, 0].norm()
    panel.plot(bins, measured, "k.", markersize=3, label="measured, R = 16")
    panel.axvline(n / 4, color="0.6", linewidth=0.8)
    note = "half the new rate:\nwhat passes to the right\nof this line folds"
    panel.text(n / 4 - 0.7, 0.4, note, fontsize=8, color="0.3", horizontalalignment="right")
    panel.set_xlabel("modulation along time, Hz")
    panel.set_ylabel("gain")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8)
    figure.savefig(target, dpi=110)


PICTURES = {
    "modulations.png": draw_modulations,
    "strides.png": draw_strides,
    "scene.png": draw_scene,
    "mask.png": draw_mask,
}


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "explanation")
    options = parser.parse_args()
    for name, draw in PICTURES.items():
        draw(options.out / name)


if __name__ == "__main__":
    main()
