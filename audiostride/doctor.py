"""Whether this machine has what the program needs: every check says what it found, and how to mend what is broken."""

import io
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from audiostride.extras import extra_requirements, install_command, package_name, requirement_command

State = Literal["ok", "absent", "broken"]

PACKAGES = ("torch", "torchaudio", "numpy", "soundfile", "soxr", "librosa", "pydantic", "safetensors")
CODECS = {  # name: format and subtype of libsndfile, and whether the program is of no use without it
    "wav": ("WAV", "PCM_16", True),
    "flac": ("FLAC", "PCM_16", False),
    "mp3": ("MP3", "MPEG_LAYER_III", False),
    "ogg": ("OGG", "VORBIS", False),
    "opus": ("OGG", "OPUS", False),
}
N_IN, STRIDE, SMOOTHNESS = 50, 2.3, 4.0  # of the test of the layer
TOLERANCE = 1e-4
LEAST_FREE = 2**30  # bytes


@dataclass(frozen=True)
class Check:
    """What one check found. `absent` is something that not everyone needs; `fix` says how to get it."""

    group: str
    name: str
    state: State
    found: str
    fix: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the check as what JSON holds."""
        return asdict(self)


def _check_packages() -> Iterator[Check]:
    yield Check("versions", "python", "ok", f"{platform.python_version()} on {platform.platform()}")
    for name in ("audiostride", *PACKAGES):
        try:
            yield Check("versions", name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Check("versions", name, "broken", "not installed", requirement_command(name))


def _check_codecs() -> Iterator[Check]:
    try:
        import soundfile as sf
    except (ImportError, OSError) as error:
        yield Check("codecs", "libsndfile", "broken", str(error), "pip install --force-reinstall soundfile")
        return
    yield Check("codecs", "libsndfile", "ok", sf.__libsndfile_version__)
    tone = 0.1 * np.sin(np.arange(4800) * 0.1)
    for name, (container, subtype, essential) in CODECS.items():
        file = io.BytesIO()
        try:
            sf.write(file, tone, 48000, format=container, subtype=subtype)
            file.seek(0)
            n_samples = len(sf.read(file)[0])
            assert n_samples >= len(tone), f"{n_samples} of {len(tone)} samples come back"
        except (sf.LibsndfileError, ValueError, AssertionError) as error:
            state: State = "broken" if essential else "absent"
            yield Check("codecs", name, state, str(error), "pip install --upgrade soundfile (libsndfile 1.1 or newer)")
        else:
            yield Check("codecs", name, "ok", "written and read")


def _check_extras() -> Iterator[Check]:
    """Look for the optional packages, as the installed program itself lists them."""
    for extra, requirements in extra_requirements().items():
        if extra == "dev":
            continue
        if missing := [name for name in map(package_name, requirements) if not _is_installed(name)]:
            yield Check("extras", extra, "absent", f"not installed: {', '.join(missing)}", install_command(extra))
        else:
            yield Check("extras", extra, "ok", "installed")


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _downsampled(x: npt.NDArray[np.float64], stride: float) -> npt.NDArray[np.float64]:
    """Apply DiffStride by its definition: the first bins of the spectrum, weighted, synthesised more coarsely."""
    n_in = len(x)
    half = n_in / (2 * stride)
    n_kept = min(n_in // 2 + 1, int(np.ceil(half + SMOOTHNESS)))
    n_out, k = min(n_in, 2 * n_kept), np.arange(n_kept)
    weights = np.clip((SMOOTHNESS + half - k) / SMOOTHNESS, 0, 1) * np.where(k == 0, 1, 2) / n_in
    waves = np.exp(2j * np.pi * np.outer(np.arange(n_out), k) / n_out)
    result: npt.NDArray[np.float64] = (waves @ (weights * np.fft.rfft(x)[:n_kept])).real
    return result


def layer_errors(device: str) -> tuple[float, float]:
    """Measure DiffStride against a float64 FFT: the largest error of a value, the relative one of the gradient.

    The gradient is that of the stride, against a difference quotient.
    """
    import torch

    from audiostride.layers import DiffStride

    rng = np.random.default_rng(0)
    x = rng.standard_normal(N_IN)
    pool = DiffStride([STRIDE], axes=(-1,), smoothness=SMOOTHNESS).to(device)
    y = pool(torch.tensor(x, dtype=torch.float32, device=device)[None])[0]
    expected = _downsampled(x, STRIDE)
    weights = rng.standard_normal(len(expected))
    (y * torch.tensor(weights, dtype=torch.float32, device=device)).sum().backward()
    assert pool.strides.grad is not None
    step = 1e-6
    slope = (weights @ (_downsampled(x, STRIDE + step) - _downsampled(x, STRIDE - step))) / (2 * step)
    of_value = float(np.abs(y.detach().cpu().numpy() - expected).max())
    return of_value, float(abs(float(pool.strides.grad[0]) - slope) / abs(slope))


def _check_devices() -> Iterator[Check]:
    try:
        import torch
        import torchaudio  # noqa: F401  built for one version of CUDA, and refuses another
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        yield Check("devices", "torch", "broken", reason, requirement_command("torch", "torchaudio"))
        return
    names = {"cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"}
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(i)
        names[f"cuda:{i}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        names["mps"] = "Apple GPU"
    for device, found in names.items():
        yield _check_device(device, found)
    if len(names) == 1:
        if shutil.which("nvidia-smi") is not None:
            seen, fix = "torch sees none, though nvidia-smi is there", "update the NVIDIA driver to one for CUDA 13"
            yield Check("devices", "GPU", "absent", seen, fix)
        else:
            yield Check("devices", "GPU", "absent", "none")


def _check_device(device: str, found: str) -> Check:
    try:
        value, gradient = layer_errors(device)
    except Exception as error:  # whatever a driver does
        return Check("devices", device, "broken", f"{found}; {error}", f"use another --device than {device}")
    found = f"{found}; DiffStride within {value:.1g}, its gradient within {gradient:.1g} of float64"
    if value < TOLERANCE and gradient < TOLERANCE:
        return Check("devices", device, "ok", found)
    return Check("devices", device, "broken", found, f"expected {TOLERANCE:g}: do not use --device {device}")


def _nearest_folder(path: Path) -> Path:
    """`path`, or the nearest of the folders above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _write_problem(folder: Path) -> str | None:
    """Say why no file can be made in `folder`, or in the nearest one above it that is there."""
    try:
        with tempfile.TemporaryFile(dir=_nearest_folder(folder)):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _check_places() -> Iterator[Check]:
    try:
        from audiostride.data.cache import default_cache_dir
    except (ImportError, OSError):  # of soundfile, which its own check tells
        return
    cache = default_cache_dir().absolute()
    n_bytes = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) if cache.is_dir() else 0
    free = shutil.disk_usage(_nearest_folder(cache)).free
    found = f"{cache}, {n_bytes / 2**30:.2f} GiB used, {free / 2**30:.1f} GiB free"
    move = "set AUDIOSTRIDE_CACHE to a folder that can be written and has room"
    if problem := _write_problem(cache):
        yield Check("places", "cache", "broken", f"{found}; cannot be written: {problem}", move)
    elif free < LEAST_FREE:
        yield Check("places", "cache", "broken", f"{found}: less than 1 GiB", move)
    else:
        yield Check("places", "cache", "ok", found)
    here = Path.cwd()
    if problem := _write_problem(here):
        fix = "start from another folder, or name one with --run-dir"
        yield Check("places", "working folder", "absent", f"{here} cannot be written: {problem}", fix)
    else:
        yield Check("places", "working folder", "ok", str(here))


def check_health() -> Iterator[Check]:
    """Yield every check as it is done. None raises; a state of `broken` means that the program cannot work."""
    groups: tuple[Callable[[], Iterator[Check]], ...] = (
        _check_packages,
        _check_devices,
        _check_codecs,
        _check_extras,
        _check_places,
    )
    for group in groups:
        yield from group()
