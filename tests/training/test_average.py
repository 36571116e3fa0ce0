"""The average of weights: counted by hand, saved in place of the weights, which go on in the training state."""

from pathlib import Path

import pytest
import torch

from audiostride.frontend import LogMel
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.models.classifier import AudioClassifier
from audiostride.runs.checkpoint import load_run
from audiostride.runs.folder import RunFolder
from audiostride.training.average import WeightAverage
from tests.training.runs import run, weights


def classifier() -> AudioClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AudioClassifier(LogMel(), TimeFrequencyCnn(width=1 / 16), {"a": 2})


def fill(model: AudioClassifier, value: float) -> None:
    for parameter in model.parameters():
        parameter.data.fill_(value)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        (0.9, [3.0, 0.1 * 3 + 0.9 * 6, 2 / 11 * 5.7 + 9 / 11 * 1]),  # n / (n + 9) in place of the decay
        (0.05, [3.0, 0.05 * 3 + 0.95 * 6, 0.05 * 5.85 + 0.95 * 1]),
    ],
)
def test_the_average_counted_by_hand(decay: float, expected: list[float]) -> None:
    model = classifier()
    average = WeightAverage(model, decay)
    for value, wanted in zip((3.0, 6.0, 1.0), expected, strict=True):
        fill(model, value)
        average.update(model)
        found = torch.cat([parameter.detach().flatten() for parameter in average.model.parameters()])
        torch.testing.assert_close(found, torch.full_like(found, wanted))


def test_a_long_average_has_the_decay_of_the_recipe() -> None:
    model = classifier()
    average = WeightAverage(model, 0.5)
    average.n_steps = 1000
    fill(average.model, 2.0)
    fill(model, 4.0)
    average.update(model)
    assert average.model.head("a").bias.tolist() == [3.0, 3.0]


def test_strides_that_rest_at_1_stay_there() -> None:
    model = classifier()
    average = WeightAverage(model, 0.99)
    for _ in range(50):
        for _, layer in model.backbone.downsamplers():
            layer.strides.data.fill_(1.0)
        average.update(model)
        assert all((layer.strides == 1).all() for _, layer in average.model.backbone.downsamplers())


def test_buffers_are_those_of_the_newest_step() -> None:
    model = classifier()
    average = WeightAverage(model, 0.99)
    for value in (1.0, 5.0):
        model.backbone.blocks[0].time.norm.running_mean.fill_(value)
        average.update(model)
    assert (average.model.backbone.blocks[0].time.norm.running_mean == 5).all()


def test_a_run_saves_the_average_and_keeps_the_weights_in_its_state(recipe_file: Path, tmp_path: Path) -> None:
    settings = ["training.steps=2", "training.batch_norm_batches=0"]
    trained = []
    for steps in (1, 2):
        run(recipe_file, tmp_path / str(steps), [*settings, f"training.steps={steps}"])
        trained.append(weights(tmp_path / str(steps)))
    run(recipe_file, tmp_path / "run", [*settings, "training.ema=0.9"])
    state = torch.load(RunFolder(tmp_path / "run").state(2), weights_only=True)
    assert all(torch.equal(state["model"][name], trained[1][name]) for name in trained[1])
    name = "heads.task_tone.weight"
    torch.testing.assert_close(weights(tmp_path / "run")[name], 0.1 * trained[0][name] + 0.9 * trained[1][name])


def test_batch_norms_are_re_estimated_for_the_average(recipe_file: Path, tmp_path: Path) -> None:
    name = "backbone.blocks.5.frequency.norm.running_var"
    for n_batches in (0, 2):
        settings = ["model.dropout=0", "training.ema=0.9", f"training.batch_norm_batches={n_batches}"]
        run(recipe_file, tmp_path / str(n_batches), settings)
    lagging, fresh = weights(tmp_path / "0"), weights(tmp_path / "2")
    assert not torch.allclose(fresh[name], lagging[name], rtol=0.1)
    assert torch.equal(fresh["heads.task_tone.weight"], lagging["heads.task_tone.weight"])


def test_the_average_begins_at_the_run_that_a_recipe_begins_from(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "origin", ["training.steps=1"])
    settings = [f"init_from={tmp_path / 'origin'}", "training.freeze_trunk=true", "training.ema=0.9"]
    run(recipe_file, tmp_path / "tuned", [*settings, "training.steps=3"])
    tuned, origin = weights(tmp_path / "tuned"), load_run(tmp_path / "origin").model.state_dict()
    assert all(torch.equal(tuned[name], origin[name]) for name in origin if name.startswith("backbone."))
