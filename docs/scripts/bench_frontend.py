"""The batched log-mel front end against torchaudio's and librosa's, in turn in one process.

    python docs/scripts/bench_frontend.py [--device cpu] [--batch 256] [--repetitions 10]

librosa computes on the CPU, one window after the other.
"""

import argparse
import statistics

import librosa
import numpy as np
import torch
import torchaudio

from audiostride.benchmark.measure import seconds
from audiostride.frontend import LogMel

N_SAMPLES = 16000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=10)
    options = parser.parse_args()
    device = torch.device(options.device)
    ours = LogMel().to(device)
    settings = {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 64}
    theirs = torchaudio.transforms.MelSpectrogram(
        16000, f_min=60.0, f_max=7800.0, mel_scale="htk", norm=None, pad_mode="constant", **settings
    ).to(device)
    waveform = 0.1 * torch.randn(options.batch, N_SAMPLES, device=device)
    on_host = waveform.cpu().numpy()

    def of_librosa() -> list[np.ndarray]:
        limits = {"sr": 16000, "fmin": 60.0, "fmax": 7800.0, "htk": True, "norm": None, "pad_mode": "constant"}
        return [np.log(librosa.feature.melspectrogram(y=y, **settings, **limits) + 1e-5) for y in on_host]

    ways = {
        "audiostride": lambda: ours(waveform),
        "torchaudio": lambda: torch.log(theirs(waveform) + 1e-5),
        "librosa": of_librosa,
    }
    reference = torch.from_numpy(np.stack(of_librosa()))[:, :, :100]
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        error = (ways["audiostride"]()[:, 0].cpu() - reference).abs().max().item()
        for _ in range(options.repetitions):
            for name, way in ways.items():
                way()  # warm: what ran before must not decide
                taken[name].append(seconds(way, device))
    print(f"{options.batch} windows of 1 s, {device}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| | ms | windows per s | time / audiostride |")
    print("|---|---|---|---|")
    for name, times in taken.items():
        ratio = statistics.median(a / b for a, b in zip(times, taken["audiostride"], strict=True))
        median_s = statistics.median(times)
        print(f"| {name} | {median_s * 1e3:.1f} | {options.batch / median_s:,.0f} | {ratio:.2f} |")
    print(f"\nlargest difference to librosa {error:.0e}")


if __name__ == "__main__":
    main()
