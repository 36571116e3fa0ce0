"""Runs on the tiny corpus: whole, interrupted, and their weights."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event

import torch

from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import load_run
from audiostride.training.events import StepDone, Stopped
from audiostride.training.run import train_recipe

CPU = torch.device("cpu")


def run(recipe_file: Path, run_dir: Path, settings: Sequence[str] = (), resume: bool = False) -> list[object]:
    return list(train_recipe(load_recipe(recipe_file, settings), run_dir, CPU, resume=resume))


def run_until(recipe_file: Path, run_dir: Path, n_steps: int, settings: Sequence[str] = ()) -> Stopped:
    stop = Event()
    event: object = None
    for event in train_recipe(load_recipe(recipe_file, settings), run_dir, CPU, stop=stop):
        if isinstance(event, StepDone) and event.step == n_steps:
            stop.set()
    assert isinstance(event, Stopped)
    return event


def weights(run_dir: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return load_run(run_dir, which).model.state_dict()
