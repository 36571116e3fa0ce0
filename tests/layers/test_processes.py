"""Two processes train strides as one does, with their gradients averaged or their weights in parts."""

import copy
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from audiostride.layers import DiffStride, stride_parameters
from tests.training.ranks import Processes


def train_in_parallel() -> None:
    """Train on half of the rows in every rank, and on all of them alone; the parameters must agree."""
    dist.init_process_group("gloo")
    x = torch.linspace(-1, 1, 2 * 3 * 16 * 20, dtype=torch.float64).view(2, 3, 16, 20).sin()
    torch.manual_seed(0)
    layer = DiffStride([2.3, 1.7], ramp="folded", learn_smoothness=True)
    alone = nn.Sequential(nn.Conv2d(3, 4, 3), layer, nn.Conv2d(4, 2, 1)).double()
    for way in ("DDP", "FSDP"):
        whole, model = copy.deepcopy(alone), copy.deepcopy(alone)
        if way == "DDP":
            trained: Any = DistributedDataParallel(model)
        else:
            trained = fully_shard(model, mesh=dist.init_device_mesh("cpu", (2,)))
        rows = x[dist.get_rank() :: 2]
        for one, batch in ((whole, x), (trained, rows)):
            optimizer = torch.optim.SGD(stride_parameters(one, 0.5))
            for _ in range(3):
                optimizer.zero_grad()
                one(batch).square().mean().backward()
                optimizer.step()
        for mine, other in zip(whole.parameters(), trained.parameters(), strict=True):
            found = other.full_tensor() if hasattr(other, "full_tensor") else other
            torch.testing.assert_close(found.detach(), mine.detach(), rtol=1e-9, atol=1e-12)
        if not (whole[1].strides != alone[1].strides).all():
            raise ValueError("strides did not move")
    dist.destroy_process_group()


def test_processes_train_strides_as_one_does(tmp_path: Path) -> None:
    processes = Processes(2, tmp_path, train_in_parallel)
    assert processes.wait() == [0, 0], processes.texts()
