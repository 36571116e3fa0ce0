"""One model on several ranks: gradients, batch norms and random draws as if one process had all rows."""

import warnings
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torchaudio.transforms import FrequencyMasking, TimeMasking

from audiostride.models.classifier import AudioClassifier
from audiostride.ranks import ALONE, Ranks
from audiostride.training.batch_norm import average_statistics_, synchronise_batch_norms
from audiostride.vocabulary import BatchNormKind

DRAWING = (FrequencyMasking, TimeMasking, nn.modules.dropout._DropoutNd)


class _Rows:
    """Count the rows of all ranks that are computed at the moment."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks, self.n = ranks, 0

    def __deepcopy__(self, memo: object) -> "_Rows":
        return self  # a copy of a model sees the same rows


class _DrawsOfAllRows(nn.Module):
    """Give a module that draws random numbers the rows of all ranks, so that each row gets the draws it always gets.

    The rows of the other ranks are zeros; what becomes of them is dropped.
    """

    def __init__(self, module: nn.Module, rows: _Rows) -> None:
        super().__init__()
        self.module, self._rows = module, rows

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            evaluated: Tensor = self.module(x)
            return evaluated
        mine = self._rows.ranks.rows()
        # autograd follows the rows through the assignment
        of_all = x.new_zeros(self._rows.n, *x.shape[1:])
        of_all[mine] = x
        changed: Tensor = self.module(of_all)
        return changed[mine]


def _draw_for_all_rows(module: nn.Module, rows: _Rows) -> None:
    for name, child in module.named_children():
        if isinstance(child, DRAWING):
            setattr(module, name, _DrawsOfAllRows(child, rows))
        else:
            _draw_for_all_rows(child, rows)


class Replica:
    """Hold the model of one rank, whose gradients are summed over all ranks as they are computed.

    On one rank it is the model as it is.

    Args:
        model: is changed in place where there are several ranks: its batch norms become `batch_norm`, and what draws
            random numbers draws them for the rows of all ranks.
        ranks: that train it.
        batch_norm: "synchronised" or "local".
    """

    def __init__(
        self, model: AudioClassifier, ranks: Ranks = ALONE, batch_norm: BatchNormKind = "synchronised"
    ) -> None:
        self.ranks, self._rows = ranks, _Rows(ranks)
        self.can_compile = ranks.n == 1 or batch_norm == "local"
        self.has_own_statistics = ranks.n > 1 and batch_norm == "local"
        self._parallel: nn.Module = model
        if ranks.n == 1:
            return
        if batch_norm == "synchronised":
            synchronise_batch_norms(model, model.device)
        _draw_for_all_rows(model, self._rows)
        on_gpu = model.device.type == "cuda"
        with warnings.catch_warnings():  # torch is about to rename `broadcast_buffers`
            warnings.simplefilter("ignore", FutureWarning)
            self._parallel = DistributedDataParallel(
                model,
                device_ids=[model.device.index] if on_gpu else None,
                broadcast_buffers=False,
                find_unused_parameters=True,  # a stride of 1 has no gradient, and strides move
                gradient_as_bucket_view=True,
            )

    def logits(self, waveform: Tensor, part: int = 0, n_parts: int = 1) -> dict[str, Tensor]:
        """Compute the logits of this rank's rows in a part of a batch `(batch, time)`."""
        self._rows.n = len(range(part, len(waveform), n_parts))
        found: dict[str, Tensor] = self._parallel(waveform[self.ranks.rows(part, n_parts)])
        return found

    def embed(self, model: AudioClassifier, waveform: Tensor) -> None:
        """Run this rank's rows of a batch `(batch, time)` through a copy of the model, up to its heads."""
        self._rows.n = len(waveform)
        model.embed(waveform[self.ranks.rows()])

    def average_statistics_(self, model: AudioClassifier) -> None:
        """Give a copy of the model the mean of the statistics that the ranks have, where each has its own."""
        if self.has_own_statistics:
            average_statistics_(model, self.ranks)

    def keep_gradients(self) -> AbstractContextManager[None]:
        """Add gradients up on each rank alone, until a backward pass outside of the context sums them over all."""
        if isinstance(self._parallel, DistributedDataParallel):
            return self._parallel.no_sync()
        return nullcontext()
