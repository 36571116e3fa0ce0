"""Batch norms whose statistics are those of the rows of all ranks."""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from audiostride.ranks import Ranks

BatchNorm = nn.modules.batchnorm._BatchNorm


def batch_norms(module: nn.Module) -> list[BatchNorm]:
    """List the batch norms in a module."""
    return [norm for norm in module.modules() if isinstance(norm, BatchNorm)]


def _all_but_channels(x: Tensor) -> list[int]:
    return [axis for axis in range(x.ndim) if axis != 1]


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    """Lay values `(channel,)` along the channels of maps `(batch, channel, ...)`."""
    return values.view(1, -1, *[1] * (x.ndim - 2))


def statistics_of_all_ranks(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the number of values per channel over all ranks, their mean and their variance, in one message.

    Every rank gives its own number, mean and sum of squared deviations; sums of squares would cancel.

    Shape:
        x: `(batch, channel, ...)`. output: `()`, `(channel,)`, `(channel,)`.

    Reference:
        Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """
    n_here = x.numel() // x.shape[1]
    maps = x.reshape(*x.shape[:2], -1)
    mean = maps.mean(2).mean(0)
    # torch.var_mean takes ten times as long on a CPU
    variance = torch.linalg.vector_norm(maps - mean[:, None], dim=2).square().sum(0) / n_here
    here = torch.cat([mean.new_tensor([float(n_here)]), mean, variance])
    everywhere = [torch.empty_like(here) for _ in range(dist.get_world_size())]
    dist.all_gather(everywhere, here)
    counts, means, variances = torch.split(torch.stack(everywhere), [1, x.shape[1], x.shape[1]], 1)
    n = counts.sum()
    shares = counts / n
    mean_of_all = (shares * means).sum(0)
    return n, mean_of_all, (shares * (variances + (means - mean_of_all).square())).sum(0)


class _Normalize(torch.autograd.Function):
    """Take mean and variance out; the gradient flows through both, on all ranks."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, n: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        out = (x - _per_channel(mean, x)) * _per_channel(scale, x)
        ctx.save_for_backward(out, scale, n)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        out, scale, n = ctx.saved_tensors  # type: ignore[attr-defined]
        axes = _all_but_channels(out)
        sums = torch.stack([gradient.sum(axes), (gradient * out).sum(axes)])
        dist.all_reduce(sums)
        mean, along = (_per_channel(values, out) for values in sums / n)
        return _per_channel(scale, out) * (gradient - mean - out * along), None, None, None


class RanksBatchNorm(BatchNorm):
    """Batch norm over the rows of all ranks by plain messages, for CPUs, where torch has none.

    Parameters, buffers and their names are those of `torch.nn.BatchNorm2d`, and so is what it does in evaluation.

    Shape:
        x, output: `(batch, channel, ...)`.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  the name that torch gives it
        if input.ndim < 2:
            raise ValueError(f"expected (batch, channel, ...), got {tuple(input.shape)}")

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output; its shape is that of the class."""
        if not self.training:
            evaluated: Tensor = super().forward(x)
            return evaluated
        n, mean, variance = statistics_of_all_ranks(x.detach())
        self._keep(n, mean, variance)
        out: Tensor = _Normalize.apply(x, n, mean, (variance + self.eps).rsqrt())
        return torch.addcmul(_per_channel(self.bias, x), out, _per_channel(self.weight, x)) if self.affine else out

    @torch.no_grad()
    def _keep(self, n: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics as torch does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        factor = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, factor)
        self.running_var.lerp_(variance * n / (n - 1), factor)


def synchronise_batch_norms(module: nn.Module, device: torch.device) -> None:
    """Replace the batch norms in a module, in place, by those of all ranks: torch's on GPUs, ours on CPUs."""
    for name, child in module.named_children():
        if not isinstance(child, BatchNorm):
            synchronise_batch_norms(child, device)
        elif device.type == "cuda":
            converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(child)  # type: ignore[no-untyped-call]
            setattr(module, name, converted)
        else:
            norm = RanksBatchNorm(
                child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            )
            norm.to(device=device, dtype=next((t.dtype for t in child.parameters()), None))
            norm.load_state_dict(child.state_dict())
            for parameter, of_child in zip(norm.parameters(), child.parameters(), strict=True):
                parameter.requires_grad_(of_child.requires_grad)
            setattr(module, name, norm.train(child.training))


@torch.no_grad()
def average_statistics_(module: nn.Module, ranks: Ranks) -> None:
    """Replace running statistics that every rank has of its own rows by their means over the ranks."""
    statistics = [
        statistic
        for norm in batch_norms(module)
        for statistic in (norm.running_mean, norm.running_var)
        if statistic is not None
    ]
    ranks.sum_(statistics)
    for statistic in statistics:
        statistic /= ranks.n
