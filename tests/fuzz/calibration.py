"""Temperatures: in a run's calibration.json, which checkpoints of older versions are read with, and in metadata."""

import json
from pathlib import Path
from random import Random

from tests.fuzz.materials import Materials
from tests.fuzz.models import check_refusal
from tests.fuzz.mutation import as_json, mutate_bytes, mutate_tree
from tests.fuzz.outcome import Failed, call, check_probabilities


def _rewrite_calibration(content: bytes, calibration: str | None) -> bytes:
    """Exchange the temperatures in a checkpoint, or take them out."""
    n_header = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n_header])
    del header["__metadata__"]["calibration"]
    if calibration is not None:
        header["__metadata__"]["calibration"] = calibration
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + n_header :]


def _values(rng: Random) -> dict[str, object]:
    numbers = (0, -1, 1e-320, 1e320, 1e308, 1e-9, None, "1", True, float("nan"), [1.0], 1.5, 0.05, 20)
    return {
        "temperature": rng.choice(numbers),
        "ece_before": rng.choice((0.1, rng.choice(numbers))),
        "ece_after": rng.choice((0.1, rng.choice(numbers))),
        "n_clips": rng.choice((10, rng.choice(numbers))),
    }


def attempt(rng: Random, materials: Materials, folder: Path) -> None:
    """Predict with damaged temperatures: numbers, or a line that says what is wrong."""
    tasks = {"tone": _values(rng), "place": _values(rng)}
    if rng.random() < 0.5:
        tasks = mutate_tree(rng, tasks)
    run = folder / "run"
    checkpoint = run / "checkpoints/best.safetensors"
    checkpoint.parent.mkdir(parents=True)
    content = materials.checkpoint.read_bytes()
    if old := rng.random() < 0.5:
        text = as_json({"step": rng.choice((6, 6, 6, 5, "6", None)), "tasks": tasks}).encode()
        (run / "calibration.json").write_bytes(mutate_bytes(rng, text) if rng.random() < 0.3 else text)
    checkpoint.write_bytes(_rewrite_calibration(content, None if old else as_json(tasks)))
    predicted = call("predict", run, materials.clip, "--out", folder / "out")
    check_refusal(predicted, run)
    if predicted.code == 0 and not check_probabilities(folder / "out/files.csv"):
        raise Failed("an empty table")
