"""`init`: from recordings to a recipe that trains."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

from audiostride.cli import init
from audiostride.drafts import draft, schedule
from audiostride.drafts.schedule import Pace
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.shipped import shipped_recipes
from audiostride.training.dry_run import BatchCost
from tests.drafts.sounds import with_calls
from tests.program import run

CALLS = {"tree": (900.0, 1100.0, 0.1), "toad": (500.0, 600.0, 0.1)}


@pytest.fixture
def frogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of class folders in the working folder, and a machine of known pace."""
    rng = np.random.default_rng(0)
    for name, call in CALLS.items():
        (tmp_path / "frogs" / name).mkdir(parents=True)
        for i in range(16):
            sf.write(tmp_path / "frogs" / name / f"{i}.wav", with_calls(22050, 1.0, call, 3, rng), 22050)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(draft, "measure_pace", lambda *_: Pace(0.1, 10**8, 10**10))
    return tmp_path / "frogs"


def test_a_folder_becomes_a_recipe_with_reasons(
    frogs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "init", "frogs", "--minutes", 1) == 0
    told = capsys.readouterr().err
    assert "frogs: 2 classes" in told
    assert "audiostride train frogs.yaml" in told
    recipe = load_recipe("frogs.yaml")
    assert recipe.tasks["frogs"].manifest == str(frogs / "manifest.csv")
    assert recipe.frontend.sample_rate == 8000
    assert 1100 <= recipe.frontend.f_max <= 3900
    assert recipe.training.steps == 300
    text = Path("frogs.yaml").read_text()
    assert text.startswith("# Drafted by audiostride init from frogs: 2 classes in 32 recordings.\n")
    assert "# Sounds were found from" in text
    assert "manifest: frogs/manifest.csv" in text


def test_nothing_is_replaced_without_being_told(
    frogs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("frogs.yaml").write_text("mine")
    assert run(monkeypatch, "init", "frogs") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert Path("frogs.yaml").read_text() == "mine"
    assert not (frogs / "manifest.csv").exists()
    assert run(monkeypatch, "init", "frogs", "--overwrite") == 0
    manifest = (frogs / "manifest.csv").read_text()
    assert run(monkeypatch, "init", "frogs", "--output", "second.yaml") == 0
    assert (frogs / "manifest.csv").read_text() == manifest
    assert load_recipe("second.yaml").frontend == load_recipe("frogs.yaml").frontend


def test_what_is_written_trains(frogs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(frogs.parent)
    assert run(monkeypatch, "init", "frogs", "--minutes", 0.02, "--device", "cpu") == 0
    small = ["training.steps=1", "model.width=0.06", "training.batch_norm_batches=1", "data.cache_dir=cache"]
    assert run(monkeypatch, "train", "frogs.yaml", *(word for key in small for word in ("--set", key))) == 0


@pytest.mark.parametrize(("n_most", "accumulate"), [(8, 4), (1, 32)])
def test_a_batch_that_the_memory_cannot_hold_is_divided(
    n_most: int, accumulate: int, frogs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(frogs.parent)
    monkeypatch.setattr(schedule, "N_ROWS_CPU", 32)

    def inspect(*arguments: Any, n_parts: int, **_: object) -> BatchCost:
        if sum(arguments[1].n_rows) / n_parts > n_most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return BatchCost([], 0.01, 1)

    monkeypatch.setattr(schedule, "inspect_batch", inspect)
    assert run(monkeypatch, "init", "frogs", "--device", "cpu") == 0
    assert load_recipe("frogs.yaml").training.accumulate == accumulate


def test_a_machine_that_cannot_hold_one_window_is_told(
    frogs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(frogs.parent)

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(schedule, "inspect_batch", full)
    assert run(monkeypatch, "init", "frogs", "--device", "cpu") == 2
    assert "cpu: out of memory for a training step with one window at a time" in capsys.readouterr().err


def test_annotated_recordings_become_windows(frogs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pond = frogs.parent / "pond"
    pond.mkdir()
    for i in range(6):
        sf.write(pond / f"{i}.wav", with_calls(16000, 6.0, CALLS["tree"], 5, rng), 16000)
        (pond / f"{i}.txt").write_text("0.5\t1.2\ttree\n3.0\t3.4\ttoad\n")
    assert run(monkeypatch, "init", "pond") == 0
    recipe = load_recipe("pond.yaml")
    assert recipe.tasks["pond"].kind == "multilabel"
    assert recipe.data.window_s == 1.0
    assert (pond / "manifest.csv").read_text().startswith("path,start_s,duration_s,split,labels")


def test_several_columns_are_asked_for(
    frogs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{name}/{i}.wav,train,{name},{i % 2}" for name in CALLS for i in range(16)]
    (frogs / "manifest.csv").write_text("\n".join(["path,split,species,site", *rows]) + "\n")
    assert run(monkeypatch, "init", "frogs") == 2
    assert "--label: species (2 classes), site (2 classes)" in capsys.readouterr().err
    monkeypatch.setattr(init, "on_terminal", lambda: True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    answers = iter(["asked.yaml", 2.0, "species, site"])
    monkeypatch.setattr(init.typer, "prompt", lambda *_, **__: next(answers))
    assert run(monkeypatch, "init", "frogs") == 0
    assert set(load_recipe("asked.yaml").tasks) == {"species", "site"}
    head = "# Drafted by audiostride init from frogs: 2 classes of species, 2 classes of site in 32 recordings.\n"
    assert Path("asked.yaml").read_text().startswith(head)
    assert "no clip in the split valid" in capsys.readouterr().err


def test_a_class_that_a_split_lacks_is_told(
    frogs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        f"{name}/{i}.wav,{'test' if i > 12 and name == 'toad' else 'train'},{name}" for name in CALLS for i in range(16)
    ]
    (frogs / "manifest.csv").write_text("\n".join(["path,split,label", *rows]) + "\n")
    assert run(monkeypatch, "init", "frogs") == 0
    assert "frogs: the split test has no clip of tree\n" in capsys.readouterr().err


def test_folds_stand_in_for_missing_splits(frogs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{name}/{i}.wav,train,{name},{i % 4 + 1}" for name in CALLS for i in range(16)]
    (frogs / "manifest.csv").write_text("\n".join(["path,split,label,fold", *rows]) + "\n")
    assert run(monkeypatch, "init", "frogs/manifest.csv", "--output", "folds.yaml") == 0
    data = load_recipe("folds.yaml").data
    assert (data.test_fold, data.valid_fold) == ("4", "3")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "expected PATH"),
        (("nowhere",), "no such folder"),
        (("flat",), "name the folder above, "),
        (("nothing",), "no classes; expected a folder for each class"),
        (("frogs", "--label", "species"), "no such column"),
        (("frogs", "--minutes", "0"), "--minutes 0.0: expected more than 0"),
        (("frogs", "--output", "none/x.yaml"), "no such folder as none"),
        (("alone",), "alone: one is the only folder with recordings; expected a folder for each class\n"),
        (
            ("years",),
            "2024 is the only folder with recordings; expected a folder for each class: name years/2024, or say",
        ),
        (("years", "--label-from", "parent", "--minutes", "0"), "--minutes 0.0: expected more than 0"),
        (("frogs", "--window-s", "-3"), "--window-s -3.0: has no use for frogs, a folder with a folder for each class"),
        (("listed.csv", "--window-s", "1"), "--window-s 1.0: has no use for listed.csv, a manifest"),
        (("listed.csv", "--manifest", "x.csv"), "--manifest x.csv: has no use for listed.csv, a manifest"),
        (("listed.csv", "--label-from", "parent"), "--label-from parent: has no use for listed.csv, a manifest"),
        (("marked", "--label-from", "parent"), "--label-from parent: has no use for marked, annotated recordings"),
        (("marked", "--window-s", "0"), "--window-s 0.0: expected"),
        (("years/2024/toad/0.wav",), "a recording; expected the folder ROOT of ROOT/CLASS/0.wav"),
    ],
)
def test_mistakes_say_what_is_expected(
    frogs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    told: str,
) -> None:
    Path("nothing").mkdir()
    for folder in ("flat", "alone/one", "years/2024/toad", "years/2024/tree"):
        Path(folder).mkdir(parents=True)
        for i in range(4):
            sf.write(Path(folder) / f"{i}.wav", np.sin(np.arange(8000) / 5), 8000)
    Path("listed.csv").write_text("path,split,label\n")
    Path("marked").mkdir()
    sf.write("marked/a.wav", np.zeros(8000), 8000)
    Path("marked/a.txt").write_text("0.1\t0.2\ttoad\n")
    assert run(monkeypatch, "init", *arguments) == 2
    assert told in capsys.readouterr().err
    assert not list(Path().glob("*.yaml"))
    assert not list(Path().glob("*/manifest.csv"))  # it would hide what the user adds next


def test_recordings_beside_a_data_set_are_counted(
    frogs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (frogs.parent / "frogs/toad").rename(frogs / "wav")
    rows = "".join(f"{i},ff1010bird,{i % 2}\n" for i in range(16))
    (frogs / "metadata.csv").write_text(f"itemid,datasetid,hasbird\n{rows}")
    assert run(monkeypatch, "init", "frogs") == 0
    assert "frogs: 16 recordings are not part of bird_detection_2018 and left out\n" in capsys.readouterr().err


def test_recipes_of_the_package_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(monkeypatch, "init", "--list") == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert [line for line in told.splitlines() if not line.startswith(" ")] == [r.name for r in shipped_recipes()]
