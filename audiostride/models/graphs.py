"""Steps as recorded graphs, one per tuple of sizes: a GPU then begins one graph instead of hundreds of operations.

Map sizes move with the strides, and a graph is for sizes that stay. So sizes that come for the first time run as they
are, those that come again are recorded, and the graphs that were not used for longest make place for new ones.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from audiostride.layers import AnyOperator, Operator

N_KEPT = 8  # graphs: each holds the maps of a step

T = TypeVar("T")
Operators = Sequence[Sequence[AnyOperator | None]]
Recorder = Callable[[nn.Module, tuple[Tensor, ...]], Callable[..., Tensor]]


class BySizes(Generic[T]):
    """Keep what is made for sizes that come again.

    Args:
        n_kept: how many are kept, at least 1; the one that was not used for longest goes first.
        n_before: how often sizes come before anything is made for them.
    """

    def __init__(self, n_kept: int = N_KEPT, n_before: int = 1) -> None:
        self.n_kept, self.n_before = n_kept, n_before
        self._made: OrderedDict[Hashable, T] = OrderedDict()
        self._n_seen: OrderedDict[Hashable, int] = OrderedDict()

    def get(self, sizes: Hashable, make: Callable[[], T]) -> T | None:
        """Give what was made for `sizes`, or make it; None while they have not come often enough."""
        if sizes not in self._made:
            n_seen = self._n_seen.pop(sizes, 0)
            if n_seen < self.n_before:
                self._n_seen[sizes] = n_seen + 1
                while len(self._n_seen) > 16 * self.n_kept:
                    self._n_seen.popitem(last=False)
                return None
            while len(self._made) >= self.n_kept:  # first: a graph needs the memory of the one that goes
                self._made.popitem(last=False)
            self._made[sizes] = make()
        self._made.move_to_end(sizes)
        return self._made[sizes]


def record_on_gpu(module: nn.Module, arguments: tuple[Tensor, ...]) -> Callable[..., Tensor]:
    """Record a module's forward and backward pass as CUDA graphs; its buffers stay as they are."""
    before = [buffer.clone() for buffer in module.buffers()]
    graphed: Any = torch.cuda.make_graphed_callables(module, arguments)
    for buffer, old in zip(module.buffers(), before, strict=True):
        buffer.copy_(old)
    recorded: Callable[..., Tensor] = graphed
    return recorded


class _Flat(nn.Module):
    """The maps of a backbone as a function of tensors alone."""

    def __init__(self, backbone: Any, operators: Operators) -> None:
        super().__init__()
        self.backbone = backbone
        self.has = [[[part is not None for part in operator or ()] for operator in of_unit] for of_unit in operators]

    def forward(self, log_mel: Tensor, *parts: Tensor) -> Tensor:
        """Put the operators together again, and run the backbone."""
        rest: Any = iter(parts)

        def operator(flags: list[bool]) -> Operator | None:
            given: list[Any] = [next(rest) if has else None for has in flags]
            return Operator(*given) if given else None

        operators = [[operator(flags) for flags in of_unit] for of_unit in self.has]
        maps: Tensor = self.backbone.maps(log_mel, operators)
        return maps


class GraphedMaps:
    """Compute the maps of a backbone by a graph where there is one for their sizes.

    Args:
        record: makes a function of tensors of fixed sizes from a module and example arguments.
        n_kept: graphs that are kept.
    """

    def __init__(self, record: Recorder = record_on_gpu, n_kept: int = N_KEPT) -> None:
        self.record, self.graphs = record, BySizes[Callable[..., Tensor]](n_kept)

    def __call__(self, backbone: Any, log_mel: Tensor, operators: Operators) -> Tensor:
        """Give `backbone.maps(log_mel, operators)`."""
        all_operators = [operator for of_unit in operators for operator in of_unit if operator is not None]
        if all(isinstance(operator, Operator) for operator in all_operators):
            parts: list[Any] = [part for operator in all_operators for part in operator]
            tensors = (log_mel, *(part for part in parts if part is not None))
            device = log_mel.device.type
            half = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
            sizes = (half, *((tuple(tensor.shape), tensor.dtype, tensor.requires_grad) for tensor in tensors))
            graph = self.graphs.get(sizes, lambda: self._recorded(backbone, operators, tensors))
            if graph is not None:
                return graph(*tensors)
        maps: Tensor = backbone.maps(log_mel, operators)
        return maps

    def _recorded(self, backbone: Any, operators: Operators, tensors: tuple[Any, ...]) -> Callable[..., Tensor]:
        examples = tuple(tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in tensors)
        return self.record(_Flat(backbone, operators), examples)

    def __deepcopy__(self, memo: object) -> "GraphedMaps":
        """Give one without graphs: those are of the weights that they were recorded with."""
        return GraphedMaps(self.record, self.graphs.n_kept)
