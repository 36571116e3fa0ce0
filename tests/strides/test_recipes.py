"""Learned strides as recipes: frozen ones give the same logits, integers are the nearest, advice keeps what is kept."""

import math
from pathlib import Path

import pytest
import torch

from audiostride.build import build_model
from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from audiostride.strides.advice import advise
from audiostride.strides.cutoffs import read_strides
from audiostride.strides.recipes import (
    frozen,
    frozen_recipe,
    integer_recipe,
    nearest_integers,
    recipe_text,
    write_frozen_run,
)

CLASSES = {"tone": ("high", "low", "mid")}
LEARNED = {"time": [2.31, 1.0, 1.47, 1.52, 1.0, 2.6], "frequency": [1.9, 2.1, 1.0, 1.62, 1.2, 1.7]}


def checkpoint_of(**settings: object) -> Checkpoint:
    """A checkpoint whose strides have moved."""
    recipe = Recipe.model_validate({"tasks": {"tone": {"manifest": "m.csv"}}, "model": {"width": 0.06, **settings}})
    model = build_model(recipe, CLASSES).eval()
    with torch.no_grad():
        for number, layer in model.backbone.downsamplers():
            if recipe.model.downsampling != "strided_conv":
                names = {-1: "time", -2: "frequency"}
                values = [LEARNED[names[axis]][number - 1] for axis in layer.axes]
                layer.strides.copy_(torch.tensor(values[: len(layer.strides)]))
                if getattr(layer, "learn_smoothness", False):
                    layer.log_smoothness.add_(0.3 * number)
    return Checkpoint(Path("run/checkpoints/best.safetensors"), model, recipe, CLASSES, 6, {})


@pytest.mark.parametrize("settings", [{}, {"placement": "per_block"}, {"placement": "per_block", "shared": True}])
@pytest.mark.parametrize("ramp", ["inside", "outside", "folded"])
def test_a_frozen_run_gives_the_logits_of_the_original(ramp: str, settings: dict[str, object], tmp_path: Path) -> None:
    original = checkpoint_of(ramp=ramp, **settings)
    same = frozen(original)
    path = tmp_path / "frozen.safetensors"
    save_checkpoint(path, same.model, same.recipe, same.classes, step=same.step, validation=same.validation)
    x = torch.randn(3, 16000)
    with torch.no_grad():
        expected, found = original.model(x)["tone"], load_checkpoint(path).model(x)["tone"]
    assert torch.equal(found, expected)  # the same matrices in the same process
    assert not [name for name, _ in same.model.named_parameters() if name.endswith(("strides", "smoothness"))]


def test_the_recipe_of_a_frozen_run_holds_the_ramps_that_were_learned() -> None:
    original = checkpoint_of(ramp="folded")
    recipe = frozen_recipe(original)
    learned = original.model.backbone.learned_smoothness()
    assert learned is not None
    assert list(recipe.model.smoothness_frequency or ()) == learned["frequency"]
    assert learned["time"] == pytest.approx([16 * math.exp(0.3 * block) for block in range(1, 7)])
    rebuilt = build_model(recipe, CLASSES).backbone
    assert [module.smoothness[0] for _, module in rebuilt.downsamplers()][::2] == learned["time"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(FileExistsError(17, "File exists"), "is there already"), (OSError(30, "Read-only file system"), "Read-only")],
)
def test_a_folder_that_cannot_be_made_is_called_so(
    error: OSError, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(UserError, match=reason):
        write_frozen_run(tmp_path / "frozen", checkpoint_of())


def test_a_frozen_recipe_can_be_read_and_differs_in_the_strides_alone(tmp_path: Path) -> None:
    original = checkpoint_of(ramp="inside")
    path = tmp_path / "frozen.yaml"
    path.write_text(recipe_text(frozen_recipe(original), "Made by a test."))
    recipe = load_recipe(path)
    assert recipe.model.downsampling == "fixed_stride"
    learned = original.model.backbone.strides_by_axis()
    assert list(recipe.model.stride_time) == learned["time"]
    changed = {"downsampling", "stride_time", "stride_frequency", "identity_at_1"}
    assert recipe.model.model_dump(exclude=changed) == original.recipe.model.model_dump(exclude=changed)
    assert recipe.training == original.recipe.training


@pytest.mark.parametrize("method", ["strided_conv", "spectral_pooling", "fixed_stride"])
def test_fixed_strides_are_not_frozen(method: str) -> None:
    with pytest.raises(UserError, match=f"fixed already, downsampling is {method}"):
        frozen_recipe(checkpoint_of(downsampling=method))


def test_integers_are_the_nearest_ones() -> None:
    assert nearest_integers([1.0, 1.49, 1.5, 2.5, 3.51]) == [1, 1, 2, 3, 4]
    recipe = integer_recipe(checkpoint_of(placement="per_block", shared=False))
    assert recipe.model.downsampling == "strided_conv"
    assert recipe.model.stride_time == (2, 1, 1, 2, 1, 3)
    assert recipe.model.stride_frequency == (2, 2, 1, 2, 1, 2)
    build_model(recipe, CLASSES)


@pytest.mark.parametrize("ramp", ["inside", "outside"])
def test_an_advised_front_end_holds_all_that_the_first_block_passes(ramp: str) -> None:
    original = checkpoint_of(ramp=ramp)
    advice = advise(original)
    recipe = advice.recipe
    assert recipe is not None
    frame_rate_hz = recipe.frontend.sample_rate / recipe.frontend.hop_length
    assert frame_rate_hz / 2 >= advice.kept_hz
    assert recipe.frontend.n_mels / 64 / 2 >= advice.kept_cycles_per_band
    first = {r.axis: r for r in reversed(read_strides(original.model, 16000))}
    assert advice.kept_hz is not None
    assert advice.kept_cycles_per_band is not None
    assert advice.kept_hz == first["time"].ramp_end
    # one sample more per hop, one band less, and something would be lost
    assert recipe.frontend.sample_rate / (recipe.frontend.hop_length + 1) / 2 < advice.kept_hz
    assert (recipe.frontend.n_mels - 1) / 64 / 2 < advice.kept_cycles_per_band


def test_advice_counts_the_multiply_adds_of_the_learned_strides() -> None:
    original = checkpoint_of(ramp="inside")
    more = checkpoint_of(ramp="inside")
    with torch.no_grad():
        for _, layer in more.model.backbone.downsamplers():
            layer.strides.fill_(1.0)
    assert advise(more).n_macs > advise(original).n_macs > 0
    integers = advise(original).integers
    assert integers is not None
    assert integers.n_macs < advise(original).n_macs


@pytest.mark.parametrize("method", ["spectral_pooling", "fixed_stride", "diffstride"])
def test_every_method_that_filters_can_be_advised(method: str, tmp_path: Path) -> None:
    recipe = advise(checkpoint_of(downsampling=method)).recipe
    assert recipe is not None
    path = tmp_path / "advised.yaml"
    path.write_text(recipe_text(recipe))
    assert load_recipe(path) == recipe
    build_model(recipe, CLASSES)


def test_strided_convolutions_keep_everything_and_suggest_nothing() -> None:
    advice = advise(checkpoint_of(downsampling="strided_conv"))
    assert (advice.kept_hz, advice.kept_cycles_per_band) == (None, None)
    assert (advice.hop_length, advice.n_mels) == (160, 64)
    assert advice.suggestions == ()
    assert advice.recipe is None


def test_a_change_that_saves_nothing_is_not_suggested() -> None:
    original = checkpoint_of(ramp="outside")
    with torch.no_grad():
        next(layer for _, layer in original.model.backbone.downsamplers() if layer.axes == (-2,)).strides.fill_(1.0)
    advice = advise(original)
    assert (advice.hop_length > 160, advice.n_mels) == (True, 64)
    assert [suggestion.what for suggestion in advice.suggestions] == [
        f"hop length {advice.hop_length}",
        "strided convolutions, nearest integers: all folds",
    ]
    assert advice.recipe is not None
    assert (advice.recipe.frontend.hop_length, advice.recipe.frontend.n_mels) == (advice.hop_length, 64)
