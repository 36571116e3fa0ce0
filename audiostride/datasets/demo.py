"""A small corpus rendered with numpy: notes of several timbres, and chirps of birds over noise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from audiostride.data.audio import to_int16
from audiostride.data.manifest import Clip

SAMPLE_RATE = 16000
PITCHES = range(60, 72)  # MIDI, one octave
N_TAKES = {"train": 5, "valid": 1, "test": 2}  # of every note and family
N_SCENES = {"train": 160, "valid": 40, "test": 80}  # of noise, half of them with birds

Signal = npt.NDArray[np.float64]
Rng = np.random.Generator


def _harmonics(f0_hz: float, t: Signal, amplitudes: Signal) -> Signal:
    frequency = f0_hz * np.arange(1, len(amplitudes) + 1)
    amplitudes = np.where(frequency < 0.45 * SAMPLE_RATE, amplitudes, 0)
    return np.asarray(amplitudes @ np.sin(2 * np.pi * frequency[:, None] * t))


def _flute(f0_hz: float, t: Signal, rng: Rng) -> Signal:
    vibrato = 1 + 0.004 * np.sin(2 * np.pi * rng.uniform(4.5, 6) * t)
    tone = _harmonics(f0_hz, np.cumsum(vibrato) / SAMPLE_RATE, np.array([1, 0.15, 0.05]))
    return (tone + 0.02 * rng.standard_normal(len(t))) * np.minimum(1, t / 0.08)


def _organ(f0_hz: float, t: Signal, rng: Rng) -> Signal:
    amplitudes = np.array([1, 0.8, 0.1, 0.6, 0, 0.1, 0, 0.5]) * rng.uniform(0.7, 1, 8)
    return _harmonics(f0_hz, t, amplitudes) * np.minimum(1, t / 0.02)


def _pluck(f0_hz: float, t: Signal, rng: Rng) -> Signal:
    n = np.arange(1, 13)
    amplitudes = rng.uniform(0.6, 1, 12) / n
    return _harmonics(f0_hz, t, amplitudes) * np.exp(-t * rng.uniform(4, 7))


def _bell(f0_hz: float, t: Signal, rng: Rng) -> Signal:
    partials = np.array([1.0, 2.76, 5.40, 8.93])
    waves = np.sin(2 * np.pi * f0_hz * partials[:, None] * t) * np.exp(-t * partials[:, None] * rng.uniform(0.8, 1.5))
    return np.asarray(np.array([1, 0.7, 0.5, 0.3]) @ waves)


FAMILIES: dict[str, Callable[[float, Signal, Rng], Signal]] = {
    "bell": _bell,
    "flute": _flute,
    "organ": _organ,
    "pluck": _pluck,
}


def render_note(family: str, pitch: int, rng: Rng) -> Signal:
    """Give a note of 1.2 s, `(time,)` at `SAMPLE_RATE`."""
    t = np.arange(int(1.2 * SAMPLE_RATE)) / SAMPLE_RATE
    note = FAMILIES[family](440 * 2 ** ((pitch - 69 + rng.uniform(-0.1, 0.1)) / 12), t, rng)
    note = note / np.abs(note).max() * rng.uniform(0.2, 0.8) * np.minimum(1, (t[-1] - t) / 0.02)
    return np.asarray(note + 10 ** rng.uniform(-4, -3) * rng.standard_normal(len(t)))


def _chirp(rng: Rng) -> Signal:
    t = np.arange(int(rng.uniform(0.06, 0.2) * SAMPLE_RATE)) / SAMPLE_RATE
    start_hz, stop_hz = rng.uniform(2500, 6500, 2)
    frequency = np.linspace(start_hz, stop_hz, len(t)) + rng.uniform(0, 400) * np.sin(2 * np.pi * 40 * t)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE) * np.hanning(len(t)))


def render_scene(rng: Rng, *, has_bird: bool) -> Signal:
    """Give a scene of 2 s of coloured noise, `(time,)`, with a phrase of chirps in every second if `has_bird`."""
    n = 2 * SAMPLE_RATE
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum *= 1 / np.maximum(np.arange(len(spectrum)), 20) ** rng.uniform(0.3, 0.9)
    scene = np.fft.irfft(spectrum, n)
    scene *= rng.uniform(0.02, 0.08) / scene.std()
    for second in range(2) if has_bird else ():
        chirp, start = _chirp(rng), second * SAMPLE_RATE
        for _ in range(rng.integers(2, 5)):
            start += int(rng.uniform(0.02, 0.1) * SAMPLE_RATE)
            part = scene[start : start + len(chirp)]
            part += rng.uniform(0.05, 0.2) * chirp[: len(part)]
            start += len(chirp)
    return np.asarray(scene)


def _write(path: Path, signal: Signal) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, to_int16(signal.astype(np.float32)), SAMPLE_RATE, subtype="PCM_16")


def render_demo(root: Path) -> dict[str, list[Clip]]:
    """Render the corpus into `root`, the same bytes every time; clips per manifest name.

    `notes.csv` labels `family` and `pitch`, `birds.csv` labels `bird` (yes or no).
    """
    rng = np.random.default_rng(0)
    notes, birds = [], []
    for split, n_takes in N_TAKES.items():
        for family in FAMILIES:
            for pitch in PITCHES:
                for take in range(n_takes):
                    path = root / "notes" / f"{family}_{pitch}_{split}{take}.wav"
                    _write(path, render_note(family, pitch, rng))
                    notes.append(Clip(path, split, {"family": family, "pitch": str(pitch)}))
    for split, n_scenes in N_SCENES.items():
        for i in range(n_scenes):
            has_bird = i % 2 == 0
            path = root / "birds" / f"{split}_{i:03}.wav"
            _write(path, render_scene(rng, has_bird=has_bird))
            birds.append(Clip(path, split, {"bird": "yes" if has_bird else "no"}))
    return {"notes.csv": notes, "birds.csv": birds}
