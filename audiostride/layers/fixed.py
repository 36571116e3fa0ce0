"""Downsampling by constant matrices, for maps of known sizes: nothing but products, for whatever exports a model."""

from collections.abc import Sequence

from torch import Tensor, nn

from audiostride.layers.axes import check_axes, check_input, resample_axes
from audiostride.layers.fourier import MATRIX_MAX, FourierOperator
from audiostride.layers.matrices import Operator
from audiostride.layers.resample import AnyOperator


class FixedResample(nn.Module):
    """Multiply a constant matrix onto every one of the `axes`, the one that shrinks its axis most first.

    The matrices are buffers named after their place, `matrix_0` and so on. `DiffStride.freeze` and
    `SpectralPooling.freeze` make such a module.

    Args:
        axes: axes to downsample, negative ones counted from the last.
        matrices: one per axis, `(n_out, n_in)`; None for an axis that passes unchanged.

    Shape:
        input: any number of dimensions, `n_in` samples along each of the `axes`. output: the same, `n_out` samples
        along each.

    Raises:
        ValueError: not one matrix per axis, or an input of other sizes.
    """

    def __init__(self, axes: int | Sequence[int], matrices: Sequence[Tensor | None]) -> None:
        super().__init__()
        self.axes = check_axes(axes)
        if len(matrices) != len(self.axes):
            raise ValueError(f"matrices must hold one per axis, {len(self.axes)}, got {len(matrices)}")
        for i, matrix in enumerate(matrices):
            self.register_buffer(f"matrix_{i}", None if matrix is None else matrix.detach().clone())

    @property
    def matrices(self) -> list[Tensor | None]:
        """Give the matrix of every axis."""
        return [self.get_buffer(f"matrix_{i}") if self._has(i) else None for i in range(len(self.axes))]

    def _has(self, i: int) -> bool:
        return getattr(self, f"matrix_{i}") is not None

    def extra_repr(self) -> str:
        """Describe the layer in its `repr`."""
        sizes = ["unchanged" if m is None else f"{m.shape[1]} -> {m.shape[0]}" for m in self.matrices]
        return f"axes={self.axes}, sizes=[{', '.join(sizes)}]"

    def forward(self, x: Tensor) -> Tensor:
        """Downsample `x`."""
        check_input(x, self.axes)
        matrices = self.matrices
        for axis, matrix in zip(self.axes, matrices, strict=True):
            if matrix is not None and x.shape[axis] != matrix.shape[1]:
                raise ValueError(f"axis {axis} must hold {matrix.shape[1]} samples, got an input {tuple(x.shape)}")
        return resample_axes(x, self.axes, [None if matrix is None else Operator(matrix) for matrix in matrices])


def fixed_resample(
    axes: tuple[int, ...], sizes: Sequence[int], operators: Sequence[AnyOperator | None]
) -> FixedResample:
    """Make the constant module of operators for an input with these `sizes`.

    Raises:
        ValueError: an axis too long for a matrix.
    """
    matrices: list[Tensor | None] = []
    for axis, size, operator in zip(axes, sizes, operators, strict=True):
        if isinstance(operator, FourierOperator):
            raise ValueError(f"axis {axis} has {size} samples: a constant matrix is made for up to {MATRIX_MAX}")
        matrices.append(None if operator is None else operator.matrix)
    return FixedResample(axes, matrices)
