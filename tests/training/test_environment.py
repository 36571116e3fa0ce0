"""What a run says it was trained with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from audiostride.recipe.reader import load_recipe
from audiostride.runs.folder import RunFolder
from audiostride.training.environment import describe_environment, git_commit
from audiostride.training.run import train_recipe

CPU = torch.device("cpu")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_of_a_folder_and_whether_it_has_changed(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert git_commit(tmp_path) is None
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    git(tmp_path, "tag", "v1")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path) == commit
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git_commit" not in describe_environment(CPU)


def test_a_run_names_device_and_command(recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["audiostride", "train", "my recipe.yaml"])
    list(train_recipe(load_recipe(recipe_file, ["training.steps=1"]), tmp_path / "run", CPU))
    found = json.loads(RunFolder(tmp_path / "run").environment.read_text())
    assert found["command"] == "audiostride train 'my recipe.yaml'"
    assert found["device"] == "cpu"
    assert found["device_name"]
    assert found["cuda"] == (torch.version.cuda or "none")
    assert found["n_threads"] == str(torch.get_num_threads())
