"""DiffStride as published, by FFT: a reference for cost."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiostride.layers import AnyOperator, DiffStride, output_size


class FftDiffStride(nn.Module):
    """DiffStride as published: FFT, mask, crop, inverse FFT, one axis after the other. A reference for cost.

    Args:
        layer: whose strides and ramps, which must not fold.
    """

    fuses = False

    def __init__(self, layer: DiffStride) -> None:
        super().__init__()
        self.axes, self.smoothness, self.ramp = layer.axes, layer.smoothness, layer.ramp
        self.strides = nn.Parameter(layer.strides.detach().clone())
        like = copy.deepcopy(layer).requires_grad_(requires_grad=False)
        self.operators, self.values = like.operators, like.values  # for the sizes of its outputs

    def forward(self, x: Tensor, operators: Sequence[AnyOperator | None] | None = None) -> Tensor:
        """Compute the output; its shape is that of the class."""
        dtype, x = x.dtype, x.float()  # an FFT in half precision fails or overflows
        for axis, stride, smoothness in zip(self.axes, self.strides.clamp(min=1), self.smoothness, strict=True):
            n_in = x.shape[axis]
            n_out = output_size(n_in, float(stride.detach()), smoothness, self.ramp)
            b = n_in / (2 * stride) - (0 if self.ramp == "outside" else smoothness)
            k = torch.arange(n_out // 2 + 1, device=x.device)
            mask = ((smoothness + b.clamp(min=0) - k) / smoothness).clamp(0, 1)
            spectrum = torch.fft.rfft(x, dim=axis).narrow(axis, 0, n_out // 2 + 1)
            spectrum = (spectrum.movedim(axis, -1) * mask).movedim(-1, axis)
            x = torch.fft.irfft(spectrum, n=n_out, dim=axis) * (n_out / n_in)
        return x.to(dtype)
