"""The processes that train one model, as each of them sees the others."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import Store  # type: ignore[attr-defined]

from audiostride.errors import DataError, ToldElsewhere, UserError

T = TypeVar("T")
TIMEOUT = timedelta(days=1)  # one rank may decode recordings while the others wait; deaths are noticed sooner


class Ranks:
    """Hold the place of this process among those that train one model.

    Every method that talks to the other ranks is called by all of them in the same order.

    Args:
        rank: of this process, from 0.
        n: ranks in all.
        store: of the launch, which outlives its restarts; None for a process that no launcher has started.

    >>> ALONE.rows(1, 2)
    slice(1, None, 2)
    >>> Ranks(2, 4).rows(1, 2)  # the second part of a batch in two parts has the rows 1, 3, 5 …
    slice(5, None, 8)
    """

    def __init__(self, rank: int = 0, n: int = 1, store: Store | None = None) -> None:
        self.rank, self.n = rank, n
        self._store = store

    @property
    def is_first(self) -> bool:
        """Tell whether this rank writes and speaks for all."""
        return self.rank == 0

    def rows(self, part: int = 0, n_parts: int = 1) -> slice:
        """Find this rank's rows among those of a part; the rows of all ranks together are the part's."""
        return slice(part + n_parts * self.rank, None, n_parts * self.n)

    def gather(self, value: T) -> list[T]:
        """Give the values of all ranks, in their order, to all of them."""
        if self.n == 1:
            return [value]
        values: list[T] = [value] * self.n
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: T) -> T:
        """Give the value of the first rank to all."""
        if self.n == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over all ranks, in one message; all have one type and device."""
        if self.n == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def any(self, *, flag: bool) -> bool:
        """Tell whether a flag is set on one of the ranks; no GPU is waited for."""
        if self.n == 1:
            return flag
        total = torch.tensor(int(flag))
        dist.all_reduce(total, dist.ReduceOp.MAX)
        return bool(total.item())

    def together(self, work: Callable[[], T]) -> T:
        """Do something on all ranks, and end all of them if it fails on one.

        Raises:
            UserError, DataError, OSError: the rank with the lowest number on which it failed raises what happened.
            ToldElsewhere: the others.
        """
        failure, result = None, None
        try:
            result = work()
        except (UserError, DataError, OSError) as error:
            failure = error
        has_failed = self.gather(failure is not None)
        if any(has_failed):
            if failure is None or has_failed.index(True) != self.rank:
                raise ToldElsewhere
            raise failure
        return cast(T, result)

    def from_first(self, work: Callable[[], T]) -> T:
        """Do something on the first rank, and give what comes of it to all; errors are those of `together`."""
        return self.broadcast(self.together(lambda: work() if self.is_first else cast(T, None)))

    def once(self, error: Exception) -> Exception:
        """Give the error to raise for one that all ranks have: the first tells it, the others only end."""
        return error if self.is_first else ToldElsewhere()

    def check_equal(self, name: str, value: object) -> None:
        """Check that a value is the same on all ranks.

        Raises:
            DataError: it is not; the message names the ranks.
        """
        values = self.gather(value)
        different = [str(rank) for rank, other in enumerate(values) if other != values[0]]
        if different:
            raise self.once(
                DataError(
                    f"{name} of rank{'s' * (len(different) > 1)} {', '.join(different)} differ from those of rank 0"
                )
            )

    def note(self, key: str, value: str) -> None:
        """Keep a value as long as the launch lives, also over restarts of its processes."""
        if self._store is not None:
            self._store.set(key, value)

    def noted(self, key: str) -> str | None:
        """Give what was kept under a key, None for nothing."""
        if self._store is None or not self._store.check([key]):
            return None
        value: bytes = self._store.get(key)
        return value.decode()


ALONE = Ranks()
