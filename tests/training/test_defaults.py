"""With the defaults a run is the plain loop: forward, backward, clip, Adam, bit for bit."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from audiostride.build import draw_model
from audiostride.models.classifier import AudioClassifier
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import load_run
from audiostride.training.data import build_training_data
from audiostride.training.run import train

SETTINGS = ["training.batch_norm_batches=0", "training.validate_every=6"]


def plain_run(recipe: Recipe, *, cosine: bool, clip: float | None) -> dict[str, Tensor]:
    """Train as the first version did, written out with torch alone where the loop has choices now."""
    data, settings = build_training_data(recipe), recipe.training
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model: AudioClassifier = draw_model(recipe, data.classes).train()
        strides = [value for name, value in model.named_parameters() if name.endswith(".strides")]
        others = [value for name, value in model.named_parameters() if not name.endswith(".strides")]
        optimizer = torch.optim.Adam([{"params": others}, {"params": strides}])
        for step in range(settings.steps):
            batch = data.batches(step)
            optimizer.zero_grad()
            logits = model(batch.waveform.float() / 32768)
            nn.functional.cross_entropy(logits["tone"], batch.targets["tone"]).backward()
            factor = 0.5 * (1 + math.cos(math.pi * step / settings.steps)) if cosine else 1.0
            for group, rate in zip(optimizer.param_groups, (0.003, 0.02), strict=True):
                group["lr"] = rate * factor
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            with torch.no_grad():
                for value in strides:
                    value.clamp_(min=1)
    return model.state_dict()


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_a_run_with_the_defaults_is_the_plain_loop(
    recipe_file: Path, tmp_path: Path, schedule: str, clip: float | None
) -> None:
    given = "null" if clip is None else clip
    choices = [f"training.schedule={schedule}", f"training.gradient_clip={given}"]
    recipe = load_recipe(recipe_file, [*SETTINGS, *choices])
    trained = load_run(train(recipe, tmp_path / "run", device="cpu"), "last").model.state_dict()
    plain = plain_run(recipe, cosine=schedule == "cosine", clip=clip)
    assert [name for name in plain if not torch.equal(plain[name], trained[name])] == []
