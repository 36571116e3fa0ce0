"""`torchrun … audiostride train`: restarts, two machines, and a request to terminate."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.program import run
from tests.training.ranks import free_port
from tests.training.runs import weights
from tests.training.test_ranks import trained

SCRIPT = Path(__file__).parents[2] / "examples" / "slurm" / "train.sh"
PROGRAM = Path(__file__).parents[1] / "training" / "rank_program.py"
SETTINGS = ["training.steps=12", "training.validate_every=4", "data.n_workers=1"]
TIMEOUT_S = 240


def torchrun(options: list[str], log: Path, *arguments: object, **variables: object) -> "subprocess.Popen[bytes]":
    """Start `torchrun` on the program of the tests, in a session of its own."""
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    program = [str(PROGRAM), "train", *settings, *map(str, arguments), "--device", "cpu"]
    environment = {name: value for name, value in os.environ.items() if name != "RANK"}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROGRAM.parents[2])}
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *options, *program],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment | {name: str(value) for name, value in variables.items()},
            start_new_session=True,
        )


def assert_equal_weights(a: Path, b: Path) -> None:
    of_a, of_b = weights(a), weights(b)
    assert of_a.keys() == of_b.keys()
    for name in of_a:
        assert torch.equal(of_a[name], of_b[name]), name


def test_killed_ranks_are_started_again_and_change_nothing(recipe_file: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    launched = torchrun(
        ["--standalone", "--nproc-per-node=2", "--max-restarts=2"],
        log,
        *(recipe_file, "--run-dir", tmp_path / "killed"),
        KILLS="1@2,0@7",  # before the first checkpoint, and between two
        MARKS=tmp_path,
    )
    trained(2, recipe_file, tmp_path / "whole", SETTINGS)
    assert launched.wait(TIMEOUT_S) == 0, log.read_text()
    assert {path.name for path in tmp_path.glob("*@*")} == {"1@2", "0@7"}
    assert log.read_text().count("rank 1 has ended, so the others end too") <= 1
    assert_equal_weights(tmp_path / "killed", tmp_path / "whole")


STAND_INS = {
    "scontrol": "echo 127.0.0.1\necho 127.0.0.1",
    "torchrun": 'exec "$PYTHON" -m torch.distributed.run "$@"',
    "srun": """
        trap 'kill -TERM "${tasks[@]}"' TERM
        echo $$ > "$SRUN_PID"
        for node in $(seq "$SLURM_JOB_NUM_NODES"); do "$@" > "$SRUN_PID.$node" 2>&1 & tasks+=($!); done
        while [ -n "$(jobs -pr)" ]; do wait; done""",
}  # for SLURM on two machines, which are both this one


def submit(folder: Path, *arguments: object, **variables: object) -> "subprocess.Popen[bytes]":
    """Run the script for SLURM, as a job of two nodes."""
    folder.mkdir()
    for name, text in STAND_INS.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "PYTHONPATH": str(SCRIPT.parents[2]),
        "SRUN_PID": folder / "pid",
        "SLURM_JOB_NUM_NODES": 2,
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_ID": 7,
        "PORT": free_port(),
        "OMP_NUM_THREADS": 1,
    }
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return subprocess.Popen(
        ["bash", str(SCRIPT), *settings, *map(str, arguments), "--device", "cpu"],
        env=os.environ | {name: str(value) for name, value in (environment | variables).items()},
    )


def test_two_machines_save_on_request_and_the_same_job_goes_on(recipe_file: Path, tmp_path: Path) -> None:
    run_dir, places = tmp_path / "run", {"RECIPE": recipe_file, "RUN": tmp_path / "run"}
    job = submit(tmp_path / "first", "--set", "training.steps=100000", **places)
    metrics = run_dir / "metrics.jsonl"
    deadline = time.monotonic() + TIMEOUT_S
    while (not metrics.exists() or not metrics.read_text()) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(int((tmp_path / "first" / "pid").read_text()), signal.SIGTERM)
    job.wait(TIMEOUT_S)
    text = "".join(path.read_text() for path in (tmp_path / "first").glob("pid.*"))
    text = " ".join(text.split())  # lines are folded where the path of the run ends
    assert text.count("2 processes, cpu") == text.count("saved at step") == 1, text
    step = int(text.partition("saved at step ")[2].partition(";")[0])
    steps = f"training.steps={step + 3}"
    again = submit(tmp_path / "again", "--set", steps, **places)
    trained(2, recipe_file, tmp_path / "whole", [*SETTINGS, steps])
    assert again.wait(TIMEOUT_S) == 0
    assert_equal_weights(run_dir, tmp_path / "whole")


@pytest.mark.parametrize("option", [["--seeds", "0-1"], ["--grid", "seed=1,2"], ["--dry-run"]])
def test_several_runs_are_of_one_process(
    option: list[str], recipe_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "ERROR")
    assert run(monkeypatch, "train", recipe_file, *option) == 2
    assert "start it without torchrun" in capsys.readouterr().err
