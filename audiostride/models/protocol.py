"""What a backbone is, and what training, reading and comparison ask of one with strides."""

import copy
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from audiostride.errors import UserError
from audiostride.models.downsampler import Downsampler
from audiostride.models.layer_strides import LayerStride


@runtime_checkable
class StridedBackbone(Protocol):
    """A backbone whose strides can be logged, regularised, read and compared.

    A backbone is any `torch.nn.Module` that maps log-mel `(batch, 1, mel, time)` to maps `(batch, channel, ...)`. It
    may have two more attributes:

    - `n_channels`: channels of its output. Without it they are counted in a dry run (`count_channels`).
    - `compile_activations()`: compiles what can be compiled, for `training.compile`, which needs it.

    Nothing else is needed to train, evaluate and predict. Layers of `DiffStride` learn inside any backbone, and are
    brought back to at least 1 after every step. A backbone that has the methods below too takes part in the log of
    strides, the complexity regulariser, `strides`, and the tables of strides in `compare` and `report`.
    `audiostride.models.StridesOfLayers` gives all of them to a network that says what `downsamplers` are.
    Export to ONNX knows the graphs of the backbones of the package alone.
    """

    def downsamplers(self) -> Iterator[tuple[int, Downsampler]]:
        """Give every layer that downsamples with its block, counted from 1, in the order of the forward pass."""
        ...

    def layer_strides(self, n_mels: int, n_frames: int) -> list[LayerStride]:
        """Give the strides of every block and axis for a log-mel map of `n_mels` x `n_frames`."""
        ...

    def strides_by_axis(self) -> dict[str, list[float]]:
        """Give the nominal stride of every block, under "time" and under "frequency"."""
        ...

    def learned_smoothness(self) -> dict[str, list[float]] | None:
        """Give the width of every block's ramp per axis in Fourier bins, None where it is not learned."""
        ...

    def stuck_strides(self, n_mels: int, n_frames: int) -> list[LayerStride]:
        """Find the strides to be learned that have no gradient for a log-mel map of `n_mels` x `n_frames`."""
        ...


STRIDE_METHODS = ("downsamplers", "layer_strides", "strides_by_axis", "learned_smoothness", "stuck_strides")


class NoStrides:
    """What any other backbone answers when it is asked for strides: there are none."""

    def downsamplers(self) -> Iterator[tuple[int, Downsampler]]:
        """Give no layer."""
        return iter(())

    def layer_strides(self, n_mels: int, n_frames: int) -> list[LayerStride]:
        """Give no stride."""
        return []

    def strides_by_axis(self) -> dict[str, list[float]]:
        """Give no axis."""
        return {}

    def learned_smoothness(self) -> dict[str, list[float]] | None:
        """Give None: no ramp learns."""
        return None

    def stuck_strides(self, n_mels: int, n_frames: int) -> list[LayerStride]:
        """Give no stride."""
        return []


def strides_of(backbone: nn.Module) -> StridedBackbone:
    """Give the backbone itself if it has strides, else what answers that there are none."""
    return backbone if isinstance(backbone, StridedBackbone) else NoStrides()


def require_strides(backbone: nn.Module) -> StridedBackbone:
    """Give the backbone as one with strides.

    Raises:
        UserError: it has none.
    """
    if not isinstance(backbone, StridedBackbone):
        lacking = [name for name in STRIDE_METHODS if not hasattr(backbone, name)]
        raise UserError(
            f"the backbone {type(backbone).__name__} has no strides that can be read: it lacks the methods "
            f"{', '.join(lacking)}. The base audiostride.models.StridesOfLayers gives all but downsamplers"
        )
    return backbone


def compile_backbone(backbone: nn.Module) -> None:
    """Compile the parts of a backbone that it names itself, for training.

    Raises:
        UserError: it names none.
    """
    compile_parts = getattr(backbone, "compile_activations", None)
    if compile_parts is None:
        raise UserError(
            f"training.compile: the backbone {type(backbone).__name__} does not say what can be compiled, expected a "
            "method compile_activations"
        )
    compile_parts()


@torch.no_grad()
def count_channels(backbone: nn.Module, n_mels: int, n_frames: int) -> int:
    """Count the channels that a backbone gives: its `n_channels`, or those of a dry run on silence.

    The dry run is that of a copy in evaluation mode: buffers, modes and random numbers stay as they are.

    Args:
        backbone: maps log-mel `(batch, 1, mel, time)` to maps `(batch, channel, ...)`.
        n_mels: bands of the dry run.
        n_frames: frames of the dry run.

    Raises:
        UserError: it gives something else.

    >>> count_channels(nn.Sequential(nn.Conv2d(1, 7, 3), nn.ReLU()), 64, 100)
    7
    """
    n_channels = getattr(backbone, "n_channels", None)
    if isinstance(n_channels, int):
        return n_channels
    first = next(backbone.parameters(), torch.empty(0))
    log_mel = torch.zeros(1, 1, n_mels, n_frames, device=first.device, dtype=first.dtype)
    with torch.random.fork_rng(devices=[first.device] if first.device.type == "cuda" else []):
        maps = copy.deepcopy(backbone).eval()(log_mel)
    if not isinstance(maps, torch.Tensor) or maps.ndim < 2 or len(maps) != 1:
        given = tuple(maps.shape) if isinstance(maps, torch.Tensor) else type(maps).__name__
        raise UserError(
            f"the backbone {type(backbone).__name__} gave {given} for log-mel (1, 1, {n_mels}, {n_frames}), "
            "expected maps (1, channel, ...)"
        )
    return maps.shape[1]
