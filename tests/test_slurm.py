"""The scripts for SLURM, run with stand-ins for its commands."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "examples/slurm"

# runs the tasks of a job one after the other; options of the command line count before those in the script
SBATCH = (
    f"#!{sys.executable}"
    + """
import os, subprocess, sys

arguments = sys.argv[1:]
options = arguments[: next(i for i, argument in enumerate(arguments) if not argument.startswith("--"))]
script, *words = arguments[len(options) :]
given = {name: value for name, _, value in (option.partition("=") for option in options)}
lines = [line.split()[1] for line in open(script) if line.startswith("#SBATCH")]
settings = {name: value for name, _, value in (line.partition("=") for line in lines)} | given
ids = []
for part in settings.get("--array", "").split(",") if "--array" in settings else ():
    first, _, last = part.partition("-")
    ids += range(int(first), int(last or first) + 1)
job = str(len([name for name in os.listdir(".") if name.endswith(".log")]) + 1)
codes = []
for i in ids or [None]:
    task = {} if i is None else {
        "SLURM_ARRAY_TASK_ID": str(i), "SLURM_ARRAY_TASK_MAX": str(max(ids)), "SLURM_ARRAY_TASK_COUNT": str(len(ids))
    }
    log = settings["--output"].replace("%A", job).replace("%j", job).replace("%a", str(i))
    with open(log, "wb") as output:
        environment = os.environ | task | {"SLURM_JOB_ID": job, "SLURM_CPUS_PER_TASK": "1"}
        codes.append(subprocess.call(["bash", script, *words], env=environment, stdout=output, stderr=output))
print(job if "--parsable" in given else f"Submitted batch job {job}")
with open("codes", "a") as file:
    print(*codes, file=file)
"""
)


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """An environment in which `sbatch`, `srun` and `audiostride` are commands."""
    commands = tmp_path / "bin"
    commands.mkdir()
    programs = {
        "sbatch": SBATCH,
        "srun": '#!/bin/bash\nexec "$@"\n',
        "audiostride": f'#!/bin/bash\nexec {sys.executable} -m audiostride.cli.main "$@"\n',
    }
    for name, text in programs.items():
        (commands / name).write_text(text)
        (commands / name).chmod(stat.S_IRWXU)
    package = str(Path(__file__).parents[1])
    return os.environ | {"PATH": f"{commands}:{os.environ['PATH']}", "PYTHONPATH": package}


def submit(cluster: dict[str, str], folder: Path, *arguments: object) -> str:
    """What `sbatch` prints."""
    done = subprocess.run(
        ["sbatch", *map(str, arguments)], cwd=folder, env=cluster, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_array_job_predicts_and_its_parts_are_joined(
    cluster: dict[str, str], untrained: Path, field: Path, tmp_path: Path
) -> None:
    recordings, out = tmp_path / "recordings", tmp_path / "out"
    recordings.mkdir()
    for path in (field / "stereo.wav", field / "tuesday/rec.flac"):
        (recordings / path.name).symlink_to(path)
    (recordings / "bad.wav").touch()
    arguments = untrained, recordings, out, "--format", "jsonl"
    job = submit(cluster, tmp_path, "--parsable", "--array=1-2", SCRIPTS / "predict.sh", *arguments)
    assert job == "1"
    submit(cluster, tmp_path, f"--dependency=afterany:{job}", SCRIPTS / "gather.sh", out)
    logs = {path.name: path.read_text() for path in tmp_path.glob("*.log")}
    assert set(logs) == {"predict-1-1.log", "predict-1-2.log", "gather-3.log"}
    assert (tmp_path / "codes").read_text().splitlines() == ["1 0", "1"], logs
    assert "2 parts joined, 2 recordings" in logs["gather-3.log"]
    parts = [(out / f"files-{i}-of-2.jsonl").read_text() for i in (2, 1)]  # the bad one comes first, in part 1
    assert (out / "files.jsonl").read_text() == "".join(parts)
