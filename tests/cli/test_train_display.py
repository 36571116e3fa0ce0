"""What a training prints without a terminal fits in 100 columns, whatever the number of tasks."""

import pytest
import torch

from audiostride.cli.console import WIDEST
from audiostride.cli.train_display import Display, say_folded
from audiostride.training.events import Started


@pytest.mark.parametrize("n_tasks", [1, 5, 40])
def test_lines_are_short_for_any_number_of_tasks(n_tasks: int, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [f"a_rather_long_name_of_a_task_{i}" for i in range(n_tasks)]
    display = Display(Started(0, 1000, 10, torch.device("cpu"), None, {}, {}))
    line = {
        "step": 500,
        "loss": dict.fromkeys(tasks, 1.5),
        "accuracy": dict.fromkeys(tasks, 0.5),
        "windows_per_s": 1000.0,
        "waiting_share": 0.1,
        "strides": {},
    }
    display.log(line)
    display.log(
        {
            "step": 500,
            "validation": dict.fromkeys(tasks, 0.9),
            "measures": dict.fromkeys(tasks, "accuracy"),
            "is_best": True,
        }
    )
    told = capsys.readouterr().err
    assert max(map(len, told.splitlines())) <= WIDEST
    assert all(f"{task} 1.500" in told and f"{task} 0.900" in told for task in tasks)
    assert told.startswith("step 500/1000  loss ")
    assert "left " in told


def test_messages_are_broken_between_words_but_paths_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    path = "runs/" + "x" * 120
    say_folded(f"{path}: " + "a word and another " * 10)
    lines = capsys.readouterr().err.splitlines()
    assert any(path in line for line in lines)
    assert all(len(line) <= WIDEST for line in lines if path not in line)
