"""`torchrun … audiostride train`: restarts, two machines, and a request to terminate."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from tests.training.ranks import free_port
from tests.training.runs import weights
from tests.training.test_ranks import trained

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


def test_two_machines_save_on_request_and_go_on(recipe_file: Path, tmp_path: Path) -> None:
    run_dir, port, logs = tmp_path / "run", free_port(), [tmp_path / "a.log", tmp_path / "b.log"]
    options = [
        *("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d"),
        *(f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=test"),
    ]
    long = ("--set", "training.steps=100000")
    nodes = [torchrun(options, log, recipe_file, "--run-dir", run_dir, *long) for log in logs]
    log_of_run = run_dir / "metrics.jsonl"
    deadline = time.monotonic() + TIMEOUT_S
    while (not log_of_run.exists() or not log_of_run.read_text()) and time.monotonic() < deadline:
        time.sleep(0.2)
    for node in nodes:
        node.send_signal(signal.SIGTERM)
    for node in nodes:
        node.wait(TIMEOUT_S)
    text = "".join(log.read_text() for log in logs)
    assert text.count("saved at step") == 1, text
    assert text.count("training in") == 1
    assert "2 processes, cpu" in text
    step = int(text.partition("saved at step ")[2].partition(";")[0])
    settings = [*SETTINGS, f"training.steps={step + 3}"]
    trained(2, recipe_file, run_dir, settings, resume=True)
    trained(2, recipe_file, tmp_path / "whole", settings)
    assert_equal_weights(run_dir, tmp_path / "whole")
