"""Beginning from another run: trunk and front end come along, and nothing of it changes behind the user's back."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import Checkpoint, load_run
from audiostride.training.events import Started
from audiostride.training.finetune import adopt_settings
from audiostride.training.run import train_recipe

LABELS = ("tone", "is_low")


def train(recipe_file: Path, run_dir: Path, settings: Sequence[str], resume: bool = False) -> Checkpoint:
    for _ in train_recipe(load_recipe(recipe_file, settings), run_dir, torch.device("cpu"), resume=resume):
        pass
    return load_run(run_dir, "last")


@pytest.fixture
def origin(recipe_file: Path, tmp_path: Path) -> Checkpoint:
    """The best of a run of the tiny recipe with 32 mel bands."""
    train(recipe_file, tmp_path / "origin", ["frontend.n_mels=32", "model.smoothness=2"])
    return load_run(tmp_path / "origin")


@pytest.fixture
def short(tmp_path: Path, corpus: Path, origin: Checkpoint) -> Path:
    """A recipe of another task that begins from that run and states nothing of its model."""
    path = tmp_path / "short.yaml"
    path.write_text(
        f"init_from: {tmp_path / 'origin'}\n"
        f"tasks: {{low: {{manifest: {corpus}, label: is_low}}}}\n"
        f"data: {{cache_dir: {tmp_path / 'cache'}}}\n"
        "training: {steps: 2, batch_size: 6, learning_rate: 0.003, validate_every: 1}\n"
    )
    return path


def same_trunk(a: Checkpoint, b: Checkpoint) -> bool:
    first, second = a.model.backbone.state_dict(), b.model.backbone.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_settings_that_the_recipe_leaves_out_are_those_of_the_run(
    short: Path, tmp_path: Path, origin: Checkpoint
) -> None:
    tuned = train(short, tmp_path / "tuned", [])
    assert tuned.recipe.frontend == origin.recipe.frontend
    assert tuned.model.frontend.n_mels == 32
    assert tuned.recipe.model.smoothness == 2
    assert tuned.classes == {"low": ("False", "True")}


def test_the_trunk_is_that_of_the_run_and_learns_on(short: Path, tmp_path: Path, origin: Checkpoint) -> None:
    frozen = train(short, tmp_path / "a", ["training.learning_rate=1e-30", "training.batch_norm_batches=0"])
    parameters = zip(frozen.model.backbone.parameters(), origin.model.backbone.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in parameters)
    assert not same_trunk(train(short, tmp_path / "b", []), origin)


@pytest.mark.parametrize("batch_norm_batches", [0, 2])
def test_a_frozen_trunk_stays_as_it_is(
    short: Path, tmp_path: Path, origin: Checkpoint, batch_norm_batches: int
) -> None:
    settings = ["training.freeze_trunk=true", f"training.batch_norm_batches={batch_norm_batches}"]
    tuned = train(short, tmp_path / "tuned", settings)
    assert same_trunk(tuned, origin)


def test_heads_of_a_frozen_trunk_learn(short: Path, tmp_path: Path) -> None:
    one, two = (
        train(short, tmp_path / str(n), ["training.freeze_trunk=true", f"training.steps={n}"]).model.heads.state_dict()
        for n in (1, 2)
    )
    assert not torch.equal(one["task_low.weight"], two["task_low.weight"])


def test_the_head_of_the_same_task_comes_along(short: Path, tmp_path: Path, corpus: Path, origin: Checkpoint) -> None:
    settings = ["training.learning_rate=1e-30", f"tasks.tone={{manifest: {corpus}}}"]
    recipe = load_recipe(short, settings)
    events = list(train_recipe(recipe, tmp_path / "tuned", torch.device("cpu")))
    started = next(event for event in events if isinstance(event, Started))
    assert "the trunk and the heads of tone as in" in str(started.note)
    tuned = load_run(tmp_path / "tuned", "last")
    assert torch.equal(tuned.model.heads["task_tone"].weight, origin.model.heads["task_tone"].weight)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("frontend.n_mels=64", "frontend.n_mels: 64 in the recipe, 32 in "),
        ("frontend.f_min=20", "frontend.f_min: 20.0 in the recipe, 60.0 in "),
        ("model.width=0.5", "model.width: 0.5 in the recipe, 0.06 in "),
    ],
)
@pytest.mark.usefixtures("origin")
def test_another_setting_is_refused_with_both_values(short: Path, tmp_path: Path, setting: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        train(short, tmp_path / "tuned", [setting])
    assert told in str(caught.value)
    assert not (tmp_path / "tuned").exists()


@pytest.mark.usefixtures("origin")
def test_equal_settings_may_be_stated(short: Path, tmp_path: Path) -> None:
    train(short, tmp_path / "tuned", ["frontend.n_mels=32", "model.width=0.06"])


def test_what_follows_from_a_stated_ramp_is_not_stated(recipe_file: Path, short: Path, tmp_path: Path) -> None:
    folded = ["model.ramp=folded", "model.smoothness=8", "model.learn_smoothness=false"]
    source = train(recipe_file, tmp_path / "folded", [*folded, "training.steps=1"])
    tuned = adopt_settings(load_recipe(short, ["model.ramp=folded"]), source)
    assert (tuned.model.smoothness, tuned.model.learn_smoothness) == (8, False)


def test_no_such_run_is_told(short: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"init_from: .*nowhere"):
        train(short, tmp_path / "tuned", [f"init_from={tmp_path / 'nowhere'}"])


def test_a_trunk_can_only_be_frozen_if_there_is_one(recipe_file: Path) -> None:
    with pytest.raises(UserError, match="freeze_trunk needs init_from"):
        load_recipe(recipe_file, ["training.freeze_trunk=true"])


def test_a_run_resumes_without_the_run_that_it_began_from(short: Path, tmp_path: Path) -> None:
    train(short, tmp_path / "whole", ["training.steps=3"])
    train(short, tmp_path / "resumed", ["training.steps=1"])
    (tmp_path / "origin").rename(tmp_path / "gone")
    resumed = train(short, tmp_path / "resumed", ["training.steps=3"], resume=True)
    assert same_trunk(resumed, load_run(tmp_path / "whole", "last"))
