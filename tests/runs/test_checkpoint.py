"""Checkpoints: what is written comes back, equal runs give equal bytes, strangers' files are checked at the door."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from audiostride.errors import UserError
from audiostride.evaluation.calibration import Calibration
from audiostride.runs.checkpoint import load_checkpoint, save_checkpoint
from audiostride.runs.folder import RunFolder
from tests.checkpoints import recalibrate


@pytest.fixture
def file(untrained: Path, tmp_path: Path) -> Path:
    """A checkpoint file outside any run."""
    path = tmp_path / "stranger.safetensors"
    path.write_bytes(RunFolder(untrained).best.read_bytes())
    return path


def change_metadata(path: Path, **changes: str | None) -> None:
    """Replace entries of the metadata; None removes one."""
    with safe_open(path, "pt") as opened:
        metadata = dict(opened.metadata())
    metadata |= {key: value for key, value in changes.items() if value is not None}
    save_file(
        load_file(path), path, {key: value for key, value in metadata.items() if changes.get(key, "") is not None}
    )


def test_loading_leaves_the_random_state_alone(untrained: Path) -> None:
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    load_checkpoint(RunFolder(untrained).best)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]
    assert random.getstate() == before[2]


def test_a_checkpoint_carries_its_temperatures(file: Path) -> None:
    recalibrate(file, {"tone": Calibration(2.5, 0.2, 0.1, 6)})
    loaded = load_checkpoint(file)
    assert (loaded.temperature("tone"), loaded.temperature("place")) == (2.5, None)


def test_temperatures_of_an_older_checkpoint_come_from_its_run(untrained: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.checkpoints.mkdir(parents=True)
    run.best.write_bytes(RunFolder(untrained).best.read_bytes())
    change_metadata(run.best, calibration=None)
    run.write_calibration(1, {"place": Calibration(3.0, 0.2, 0.1, 6)})
    assert load_checkpoint(run.best).temperature("place") == 3.0
    run.write_calibration(2, {"place": Calibration(4.0, 0.2, 0.1, 6)})
    assert load_checkpoint(run.best).calibration == {}


def test_equal_checkpoints_have_equal_bytes(file: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(file)
    contents = set()
    for i in range(8):
        path = tmp_path / f"{i}.safetensors"
        save_checkpoint(
            path, loaded.model, loaded.recipe, loaded.classes, step=1, validation={}, calibration=loaded.calibration
        )
        contents.add(path.read_bytes())
    assert contents == {file.read_bytes()}
    assert set(load_file(file)) == set(loaded.model.state_dict())


STRANGE = {
    "classes null": {"classes": "null"},
    "classes a list": {"classes": "[]"},
    "classes of other tasks": {"classes": '{"tone": ["a", "b", "c"]}'},
    "classes a text": {"classes": '{"tone": "abc", "place": ["near", "far"]}'},
    "classes numbers": {"classes": '{"tone": [1, 2, 3], "place": ["near", "far"]}'},
    "classes nested": {"classes": '{"tone": [["a"], ["b"], ["c"]], "place": ["near", "far"]}'},
    "classes twice": {"classes": '{"tone": ["a", "a", "b"], "place": ["near", "far"]}'},
    "half of a surrogate pair": {"classes": r'{"tone": ["a", "b", "\ud800"], "place": ["near", "far"]}'},
    "one class": {"classes": '{"tone": ["a", "b", "c"], "place": ["near"]}'},
    "more classes than outputs": {"classes": '{"tone": ["a", "b", "c", "d"], "place": ["near", "far"]}'},
    "no classes": {"classes": None},
    "no recipe": {"recipe": None},
    "recipe of tasks": {"recipe": '{"tasks": 3}'},
    "step a text": {"step": "many"},
    "step missing": {"step": None},
    "validation null": {"validation": "null"},
    "validation a text": {"validation": '{"tone": "good"}'},
    "calibration null": {"calibration": "null"},
    "calibration a list": {"calibration": "[1]"},
    "calibration of a task null": {"calibration": '{"tone": null}'},
    "calibration of another task": {"calibration": '{"bird": {}}'},
    **{
        f"temperature {value}": {
            "calibration": json.dumps({"tone": {"ece_before": 0.1, "ece_after": 0.1, "n_clips": 3}})[:-2]
            + f', "temperature": {value}}}}}'
        }
        for value in ("0", "-1", "NaN", "Infinity", "null", '"warm"', "[]", "true")
    },
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_checkpoint_is_refused_in_one_line(name: str, file: Path) -> None:
    change_metadata(file, **STRANGE[name])
    with pytest.raises(UserError) as refused:
        load_checkpoint(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.5, -9e26])
def test_strides_that_no_training_leaves_are_refused(value: float, file: Path) -> None:
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith(".strides"))
    tensors[name][0] = value
    save_file(tensors, file, metadata)
    with pytest.raises(UserError, match=re.escape(f"{file}: damaged") + f".*{re.escape(name)}"):
        load_checkpoint(file)
