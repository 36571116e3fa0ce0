"""Choices of training: each changes the run, and a resumed run equals the uninterrupted one bit for bit."""

from pathlib import Path

import pytest
import torch

from tests.training.runs import run, run_until, weights

CHOICES = [
    ["optimizer=adamw", "weight_decay=0.1"],
    ["optimizer=sgd", "momentum=0.5"],
    ["weight_decay=0.1"],
    ["schedule=cosine", "warmup_steps=2"],
    ["schedule=step", "decay_steps=[2, 5]"],
    ["schedule=one_cycle"],
    ["accumulate=4"],
    ["ema=0.9"],
    ["ema=0.9", "batch_norm_batches=0"],
]


@pytest.mark.parametrize("choice", CHOICES, ids=",".join)
def test_every_choice_changes_the_weights_and_resumes_bit_for_bit(
    recipe_file: Path, tmp_path: Path, choice: list[str]
) -> None:
    settings = [f"training.{setting}" for setting in choice]
    run(recipe_file, tmp_path / "plain")
    run(recipe_file, tmp_path / "whole", settings)
    run_until(recipe_file, tmp_path / "resumed", 3, settings)
    run(recipe_file, tmp_path / "resumed", settings, resume=True)
    for which in ("last", "best"):
        plain, whole, resumed = (weights(tmp_path / name, which) for name in ("plain", "whole", "resumed"))
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
        assert not all(torch.equal(whole[name], plain[name]) for name in whole)
