"""Keys of training that do not go together are told with the line of the one to change."""

from pathlib import Path

import pytest

from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe

TASKS = "tasks:\n  words: {manifest: m.csv}\n"


def load(folder: Path, *lines: str) -> Recipe:
    (folder / "r.yaml").write_text(TASKS + "training:\n" + "".join(f"  {line}\n" for line in lines))
    return load_recipe(folder / "r.yaml")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["optimizer: adagrad"], "r.yaml:4: training.optimizer: got 'adagrad', expected one of adam, adamw, sgd"),
        (["optimizer: adam", "momentum: 0.5"], "r.yaml:5: training: momentum=0.5 is of optimizer: sgd, not of adam"),
        (["momentum: 1"], "r.yaml:4: training.momentum: got 1, expected less than 1"),
        (["ema: 1"], "r.yaml:4: training.ema: got 1, expected less than 1"),
        (
            ["early_stop_after: 0"],
            "r.yaml:4: training.early_stop_after: got 0, expected greater than or equal to 1",
        ),
        (["weight_decay: -1"], "r.yaml:4: training.weight_decay: got -1, expected greater than or equal to 0"),
        (
            ["schedule: step"],
            "r.yaml:4: training: decay_steps and schedule: step need each other, as in decay_steps: [3000, 6000]",
        ),
        (
            ["decay_steps: [3]"],
            "r.yaml:4: training: decay_steps and schedule: step need each other, as in decay_steps: [3000, 6000]",
        ),
        (
            ["schedule: cosine", "decay_factor: 0.5"],
            "r.yaml:5: training: decay_factor=0.5 is of schedule: step, not of cosine",
        ),
        (
            ["schedule: one_cycle", "warmup_steps: 5"],
            "r.yaml:5: training: warmup_steps=5: schedule: one_cycle has a warm-up of its own",
        ),
        (
            ["batch_size: 4", "accumulate: 5"],
            "r.yaml:5: training: accumulate=5 exceeds batch_size=4: every part needs a row",
        ),
        *(
            (
                ["schedule: step", f"decay_steps: {steps}"],
                f"r.yaml:5: training.decay_steps: got {steps}, "
                "expected a list of steps in ascending order, as in [3000, 6000]",
            )
            for steps in ("3", "[0]", "[3, 3]", "[6, 3]", "[1.5]", "[True]", "[9999999999999]")
        ),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, lines: list[str], told: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, *lines)
    assert str(caught.value).replace(f"{tmp_path}/", "") == told
