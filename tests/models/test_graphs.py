"""Graphs of steps by their sizes: recorded when sizes come again, and no more of them than are kept."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.graphs import BySizes, GraphedMaps


def test_nothing_is_made_for_sizes_that_come_once() -> None:
    kept, made = BySizes[int](n_kept=2), []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert [kept.get(size, make) for size in (1, 2, 1, 1, 2, 3, 1)] == [None, None, 0, 0, 1, None, 0]
    assert kept.get(3, make) == 2  # takes the place of 2, which was not used for longest
    assert kept.get(1, make) == 0
    assert kept.get(2, make) is None
    assert made == [0, 1, 2]


def test_sizes_without_end_leave_a_bounded_number_behind() -> None:
    kept = BySizes[int](n_kept=2)
    for size in range(1000):
        kept.get(size, lambda: 0)
        kept.get(size, lambda: 0)
    assert len(kept._made) == 2
    assert len(kept._n_seen) <= 32


def recorder(recorded: list[tuple[Any, ...]]) -> Callable[[nn.Module, tuple[Tensor, ...]], Callable[..., Tensor]]:
    """Note what is recorded, and run it as it is."""

    def record(module: nn.Module, arguments: tuple[Tensor, ...]) -> Callable[..., Tensor]:
        recorded.append(tuple(tuple(tensor.shape) for tensor in arguments))
        return module

    return record


def test_graphs_give_the_maps_and_gradients_of_the_backbone() -> None:
    torch.manual_seed(0)
    model = TimeFrequencyCnn("diffstride", width=0.05, ramp="folded", learn_smoothness=True)
    twin = copy.deepcopy(model)
    recorded: list[tuple[Any, ...]] = []
    model.graphs = GraphedMaps(recorder(recorded))
    for step, n_frames in enumerate((40, 32, 40, 40, 32)):
        x = torch.randn(2, 1, 64, n_frames)
        if step == 3:  # in evaluation there is no graph
            model.eval()(x)
            model.train()
        for one in (model, twin):
            one.zero_grad()
            one(x).square().sum().backward()
        for mine, other in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, other.grad)
    assert [shapes[0] for shapes in recorded] == [(2, 1, 64, 40), (2, 1, 64, 32)]
    assert not copy.deepcopy(model).graphs.graphs._made


def test_strides_that_move_to_other_sizes_are_recorded_anew() -> None:
    model = TimeFrequencyCnn("diffstride", width=0.05, ramp="folded")
    recorded: list[tuple[Any, ...]] = []
    model.graphs = GraphedMaps(recorder(recorded))
    x = torch.randn(2, 1, 64, 40)
    for stride in (2.0, 2.0, 2.001, 3.0, 3.0):
        with torch.no_grad():
            next(layer for _, layer in model.downsamplers()).strides.fill_(stride)
        model(x).sum().backward()
    assert len(recorded) == 2
