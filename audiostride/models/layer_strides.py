"""The strides of a network as its downsampling layers have them, read one layer after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from audiostride.layers import DiffStride
from audiostride.models.downsampler import AXIS_NAMES, FREQUENCY, TIME, Downsampler
from audiostride.vocabulary import AxisName


@dataclass(frozen=True)
class LayerStride:
    """One downsampled axis of one block, for an input of known size; strides are 0-d tensors.

    `gain_edges` says where the gain begins to fall and where it ends, as shares of the axis's sampling rate; None where
    nothing is filtered.
    """

    block: int
    axis: AxisName
    stride: Tensor
    effective_stride: Tensor
    n_in: int
    n_out: int
    gain_edges: tuple[float, float] | None


class StridesOfLayers:
    """Read the strides of a network from its downsampling layers: a base beside `torch.nn.Module`.

    A network has to give its layers alone, by `downsamplers`. Nothing else in it may change the sizes of maps, and the
    axes of a layer are counted from the last: -2 is mel, -1 is time.
    """

    def downsamplers(self) -> Iterator[tuple[int, Downsampler]]:
        """Give every layer that downsamples with its block, counted from 1, in the order of the forward pass."""
        raise NotImplementedError

    def strides_by_axis(self) -> dict[str, list[float]]:
        """Give the nominal stride of every block, per axis."""
        strides: dict[str, list[float]] = {"time": [], "frequency": []}
        for _, layer in self.downsamplers():
            for axis, stride in zip(layer.axes, layer.strides.expand(len(layer.axes)).tolist(), strict=True):
                strides[AXIS_NAMES[axis]].append(stride)
        return strides

    def learned_smoothness(self) -> dict[str, list[float]] | None:
        """Give the width of every block's ramp per axis in Fourier bins, None where it is not learned."""
        smoothness: dict[str, list[float]] = {"time": [], "frequency": []}
        for _, layer in self.downsamplers():
            if not isinstance(layer, DiffStride) or not layer.learn_smoothness:
                return None
            for axis, width in zip(layer.axes, layer.smoothness, strict=True):
                smoothness[AXIS_NAMES[axis]].append(width)
        return smoothness

    def layer_strides(self, n_mels: int, n_frames: int) -> list[LayerStride]:
        """Give the strides of every block and axis for a log-mel map of `n_mels` x `n_frames`."""
        sizes, found = {FREQUENCY: n_mels, TIME: n_frames}, []
        for block, layer in self.downsamplers():
            n_in = [sizes[axis] for axis in layer.axes]
            n_out = layer.output_sizes(n_in)
            strides = layer.strides.expand(len(layer.axes)).unbind()
            effective, edges = layer.effective_strides(n_in), layer.gain_edges(n_in)
            for i, axis in enumerate(layer.axes):
                found.append(
                    LayerStride(block, AXIS_NAMES[axis], strides[i], effective[i], n_in[i], n_out[i], edges[i])
                )
            sizes |= dict(zip(layer.axes, n_out, strict=True))
        return found

    def stuck_strides(self, n_mels: int, n_frames: int) -> list[LayerStride]:
        """Find the strides to be learned that have no gradient for a log-mel map of `n_mels` x `n_frames`."""
        strides = iter(self.layer_strides(n_mels, n_frames))
        stuck: list[LayerStride] = []
        for _, layer in self.downsamplers():
            of_layer = [next(strides) for _ in layer.axes]
            if isinstance(layer, DiffStride):
                flags = layer.cannot_learn([stride.n_in for stride in of_layer])
                stuck.extend(stride for stride, flag in zip(of_layer, flags, strict=True) if flag)
        return stuck
