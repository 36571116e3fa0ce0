"""The trials of a search: drawn alike by any number of processes, and taken up by another when theirs has ended."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe
from audiostride.runs.folder import RunFolder
from audiostride.search.folder import SearchFolder
from audiostride.search.results import write_results
from audiostride.search.space import Choices, Parameter, Range
from audiostride.search.study import Study, best_of

SPACE = (
    Parameter("model.stride_time", Range("int", 1, 3), 6, "space.yaml:1"),
    Parameter("model.ramp", Choices(("inside", "folded")), None, "space.yaml:2"),
    Parameter("training.learning_rate", Range("float", 1e-4, 1e-2, None, True), None, "space.yaml:3"),
)


def fill(study: Study, n_trials: int) -> None:
    """Try everything: the lower the strides, the better."""
    while (taken := study.take(n_trials)) is not None:
        trial, lock = taken
        study.finish(trial.number, -sum(trial.settings["model.stride_time"]))
        lock.release()


WORKER = """
import sys
from pathlib import Path
from tests.search.test_study import SPACE, fill
from audiostride.search.folder import SearchFolder
from audiostride.search.study import Study

fill(Study(SearchFolder(Path(sys.argv[1])), SPACE, "random", 3), 24)
"""


def test_several_processes_draw_what_one_would(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    arguments = [sys.executable, "-c", WORKER, str(tmp_path / "shared")]
    workers = [subprocess.Popen(arguments, cwd=root) for _ in range(3)]
    alone = Study(SearchFolder(tmp_path / "alone"), SPACE, "random", 3)
    fill(alone, 24)
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0, 0]
    shared = Study(SearchFolder(tmp_path / "shared"), SPACE, "random", 3).trials()
    assert [trial.state for trial in shared] == ["done"] * 24
    assert [trial.settings for trial in shared] == [trial.settings for trial in alone.trials()]
    other = Study(SearchFolder(tmp_path / "other"), SPACE, "random", 4)
    fill(other, 1)
    assert other.trials()[0].settings != shared[0].settings


def test_a_search_that_goes_on_draws_what_it_would_have(tmp_path: Path) -> None:
    whole = Study(SearchFolder(tmp_path / "whole"), SPACE, "tpe", 1, n_random=3)
    fill(whole, 12)
    for n_trials in (2, 7, 12):
        fill(Study(SearchFolder(tmp_path / "parts"), SPACE, "tpe", 1, n_random=3), n_trials)
    parts = Study(SearchFolder(tmp_path / "parts"), SPACE, "tpe", 1, n_random=3)
    assert [trial.settings for trial in parts.trials()] == [trial.settings for trial in whole.trials()]
    values = [trial.value or 0.0 for trial in whole.trials()]
    assert max(values[3:]) > max(values[:3])  # it has found out that low strides are good
    best = best_of(whole.trials())
    assert best is not None
    assert best.value == max(values)


def test_a_trial_is_taken_up_once_nobody_works_on_it(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    study = Study(folder, SPACE)
    first, lock = study.take(2) or pytest.fail("no trial")
    second, other_lock = study.take(2) or pytest.fail("no trial")
    assert (first.number, second.number) == (0, 1)
    assert study.take(2) is None
    lock.release()
    folder.run(0).mkdir()
    with FileLock(RunFolder(folder.run(0)).lock):  # a training whose search was killed
        assert study.take(2) is None
    again, lock = Study(folder, SPACE).take(2) or pytest.fail("no trial")
    assert again == first
    lock.release()
    other_lock.release()


def test_a_trial_below_the_median_is_to_be_pruned(tmp_path: Path) -> None:
    study = Study(SearchFolder(tmp_path), SPACE)
    for value in (0.1, 0.5, 0.6, 0.7, 0.8):
        trial, lock = study.take(7) or pytest.fail("no trial")
        assert not study.report(trial.number, {2: value, 4: value})
        study.finish(trial.number, value)
        lock.release()
    good, _ = study.take(7) or pytest.fail("no trial")
    bad, _ = study.take(7) or pytest.fail("no trial")
    assert not study.report(good.number, {2: 0.65})
    assert study.report(bad.number, {2: 0.4})
    study.finish(bad.number, 0.4, pruned=True)
    study.fail(good.number, "no space left")
    *_, failed, pruned = study.trials()
    assert (pruned.state, pruned.value) == ("pruned", 0.4)
    assert (failed.state, failed.reason) == ("failed", "no space left")


def test_a_line_that_a_process_left_unfinished_does_not_count(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    fill(Study(folder, SPACE), 2)
    with folder.journal.open("ab") as file:
        file.write(b'{"op_code":4,"wor')
    fill(Study(folder, SPACE), 3)
    assert [trial.state for trial in Study(folder, SPACE).trials()] == ["done"] * 3


def test_results_hold_every_trial(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    study = Study(folder, SPACE)
    fill(study, 2)
    study.take(3)
    best = best_of(study.trials())
    assert best is not None
    folder.run(best.number).mkdir()
    RunFolder(folder.run(best.number)).recipe.write_text("seed: 7\n")
    write_results(study)
    head, *rows = folder.table.read_text().splitlines()
    assert head == "trial,state,validation,seconds,model.stride_time,model.ramp,training.learning_rate,reason"
    assert [row.split(",")[:2] for row in rows] == [["0", "done"], ["1", "done"], ["2", "running"]]
    content = json.loads(folder.trials.read_text())
    assert [(trial["run"], trial["settings"]) for trial in content] == [
        (folder.name(trial.number), trial.settings) for trial in study.trials()
    ]
    note, text = folder.best.read_text().splitlines()
    assert note.startswith(f"# the best of 3 trials: {folder.name(best.number)}, validation {best.value:.6f}")
    assert text == "seed: 7"


def test_a_folder_keeps_to_one_search(recipe_file: Path, tmp_path: Path) -> None:
    recipe, folder = load_recipe(recipe_file), SearchFolder(tmp_path / "search")
    folder.begin(recipe, SPACE, "tpe", 0)
    folder.begin(load_recipe(recipe_file, ["data.n_workers=1"]), SPACE, "tpe", 0)
    other = load_recipe(recipe_file, ["model.width=0.07", "training.steps=7"])
    with pytest.raises(UserError) as caught:
        folder.begin(other, SPACE[1:], "random", 1)
    changed = ["the recipe: model.width", "the recipe: training.steps", "the space: model.stride_time"]
    assert [line.strip() for line in str(caught.value).split("\n")[1:]] == [*changed, "--sampler tpe", "--seed 0"]
    folder.settings.write_text("{}")
    with pytest.raises(UserError, match=r"search.json: damaged"):
        folder.begin(recipe, SPACE, "tpe", 0)
    RunFolder(tmp_path).recipe.touch()
    with pytest.raises(UserError, match="holds a run, expected a folder for the search"):
        SearchFolder(tmp_path).begin(recipe, SPACE, "tpe", 0)
