"""What a result depends on beside recipe and data: versions, device, command, and the state of the working folder."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import torch

PACKAGES = ("audiostride", "torch", "torchaudio", "numpy", "soundfile", "soxr")
GIT_TIMEOUT_S = 10


def describe_environment(device: torch.device, *, n_processes: int = 1) -> dict[str, str]:
    """List the versions of what a result depends on, the device, the command, and the git commit.

    Args:
        device: that the run computes on.
        n_processes: that train the model together.
    """
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    commit = git_commit(Path.cwd())
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **versions,
        "cuda": torch.version.cuda or "none",
        "device": str(device),
        "device_name": device_name(device),
        "n_threads": str(torch.get_num_threads()),
        "n_processes": str(n_processes),
        "command": shlex.join(sys.argv),
        **({} if commit is None else {"git_commit": commit}),
    }


def device_name(device: torch.device) -> str:
    """Name the GPU or the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def git_commit(folder: Path) -> str | None:
    """Give the commit that a folder is at, with `-dirty` behind it if tracked files have changed; None without git."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() or None
