"""Recordings: of every format that can be written, cut and damaged, predicted and scanned."""

import io
import itertools
from pathlib import Path
from random import Random

import numpy as np
import soundfile as sf

from tests.fuzz.materials import Materials
from tests.fuzz.mutation import mutate_bytes
from tests.fuzz.outcome import Failed, call, call_process, check_probabilities

FORMATS = (
    "WAV",
    "RF64",
    "W64",
    "WAVEX",
    "AU",
    "AIFF",
    "CAF",
    "FLAC",
    "MP3",
    "OGG",
    "OGG",
    "NIST",
    "VOC",
    "SVX",
    "IRCAM",
)
N_FILES = 12  # of a call
PROCESS_SHARE = 0.05  # of the calls that are made in a process of their own


def _recording(rng: Random) -> tuple[str, bytes]:
    """Draw an ending and a whole recording in some format."""
    for name in itertools.chain([rng.choice(FORMATS)], ["WAV"]):
        subtype = rng.choice(sorted(sf.available_subtypes(name)))
        rate, n_channels = rng.choice((8000, 16000, 22050, 44100, 48000)), rng.choice((1, 1, 2, 6))
        n_frames = rng.choice((0, 1, 2, 100, 5000, 20000))
        samples = np.random.default_rng(rng.randrange(2**32)).uniform(-0.5, 0.5, (n_frames, n_channels))
        if subtype in ("FLOAT", "DOUBLE") and n_frames and rng.random() < 0.3:
            samples[rng.randrange(n_frames)] = rng.choice((np.nan, np.inf, 1e30, -1e38))
        content = io.BytesIO()
        try:
            sf.write(content, samples, rate, format=name, subtype=subtype)
        except (sf.LibsndfileError, ValueError):  # a combination that the format does not hold
            continue
        return name.lower(), content.getvalue()
    return "wav", b""


def _write_files(rng: Random, folder: Path) -> None:
    folder.mkdir()
    for i in range(N_FILES):
        ending, content = _recording(rng)
        if rng.random() < 0.9:
            content = content[: rng.randrange(len(content) + 1)] if rng.random() < 0.4 else mutate_bytes(rng, content)
        if rng.random() < 0.05:
            ending = rng.choice(("wav", "flac", "mp3", "ogg"))
        (folder / f"{i}.{ending}").write_bytes(content)


def attempt(rng: Random, materials: Materials, folder: Path) -> None:
    """Predict and scan a folder of damaged recordings: each has its rows, or its reason."""
    recordings, out = folder / "in", folder / "out"
    _write_files(rng, recordings)
    model = rng.choice((materials.run, materials.onnx))
    files = sorted(recordings.iterdir())
    run = call_process if rng.random() < PROCESS_SHARE else call
    run("predict", model, *files, "--out", out, "--top-k", "1", "--clips", out / "clips").check()
    n_rows = check_probabilities(out / "files.csv")
    check_probabilities(out / "windows.csv")
    n_detections = check_probabilities(out / "detections.csv")
    if len(clips := list(out.glob("clips/*/*.wav"))) != n_detections:  # far fewer than 200 of a class
        raise Failed(f"{len(clips)} clips of {n_detections} detections")
    failed = out / "failed.csv"
    n_failed = len(failed.read_text().splitlines()) - 1 if failed.exists() else 0
    if n_rows + 2 * n_failed != 2 * N_FILES:  # a row per task
        raise Failed(f"{N_FILES} recordings gave {n_rows} rows of two tasks and {n_failed} failures")
    manifest = folder / "manifest.csv"
    manifest.write_text("path,split,label\n" + "".join(f"in/{path.name},test,low\n" for path in files))
    call("scan", manifest, "--jobs", "1").check()
