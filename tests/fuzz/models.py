"""Models of strangers: checkpoints and ONNX files whose bytes, metadata, weights or temperatures are damaged."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx

from tests.fuzz.materials import Materials
from tests.fuzz.mutation import as_json, hostile_text, mutate_bytes, mutate_tree
from tests.fuzz.outcome import Failed, Outcome, call, check_probabilities

MAX_MODEL_LINES = 3  # what is wrong with a file is one line, beside notes
# of the metadata, more often than their turn: what is trusted by what comes after
METADATA = ("classes", "classes", "calibration", "temperatures", "temperatures", "sample_rate", "n_window")


def _mutated(rng: Random, key: str, text: str) -> str:
    """Damage a value of the metadata, which mostly is JSON."""
    if rng.random() < 0.2:
        return hostile_text(rng).encode(errors="replace").decode()
    value = json.loads(text) if text[:1] in "{[" else text
    return as_json(mutate_tree(rng, value, 1)).encode(errors="replace").decode()


def _mutate_metadata(rng: Random, metadata: dict[str, str]) -> dict[str, str]:
    keys = [key for key in METADATA if key in metadata] + list(metadata)
    key = rng.choice(keys)
    if rng.random() < 0.1:
        return {name: text for name, text in metadata.items() if name != key}
    return metadata | {key: _mutated(rng, key, metadata[key])}


def _floats(rng: Random, content: bytearray, start: int) -> None:
    """Put numbers that are none, or huge ones, among the weights."""
    at = start + 4 * rng.randrange((len(content) - start) // 4)
    value = rng.choice((np.nan, np.inf, -np.inf, 3e38, 0.0, -1.0))
    content[at : at + 4] = np.float32(value).tobytes()


def mutate_checkpoint(rng: Random, content: bytes) -> bytes:
    """Damage the bytes, the metadata or the weights of a safetensors file."""
    kind = rng.choice(("bytes", "metadata", "metadata", "metadata", "weights"))
    if kind == "bytes":
        return mutate_bytes(rng, content)
    n_header = int.from_bytes(content[:8], "little")
    if kind == "weights":
        damaged = bytearray(content)
        _floats(rng, damaged, 8 + n_header)
        return bytes(damaged)
    header: dict[str, Any] = json.loads(content[8 : 8 + n_header])
    header["__metadata__"] = _mutate_metadata(rng, header["__metadata__"])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + n_header :]


def mutate_onnx(rng: Random, content: bytes) -> bytes:
    """Damage the bytes, the metadata, the weights or the outputs of an ONNX file."""
    kind = rng.choice(("cut", "metadata", "metadata", "metadata", "weights", "outputs"))
    if kind == "cut":  # damage within the graph is onnxruntime's to find, which may end the process
        return content[: rng.randrange(len(content))]
    model = onnx.load_from_string(content)
    if kind == "metadata":
        metadata = _mutate_metadata(rng, {entry.key: entry.value for entry in model.metadata_props})
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, metadata)
    elif kind == "weights":
        tensor = rng.choice([t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT])
        weights = bytearray(onnx.numpy_helper.to_array(tensor).tobytes())
        _floats(rng, weights, 0)
        tensor.raw_data = bytes(weights)
    else:
        del model.graph.output[rng.randrange(len(model.graph.output))]
    return model.SerializeToString()


def check_refusal(outcome: Outcome, path: Path) -> None:
    """Raise Failed if what is wrong with a model is not told in a line that names its file."""
    outcome.check()
    if outcome.code and str(path) not in outcome.err:
        raise Failed(f"exit code {outcome.code} without the name of {path.name}: {outcome.err[:2000]}")
    if outcome.code and outcome.err.count("\n") > MAX_MODEL_LINES:
        raise Failed(f"more than a line: {outcome.err[:2000]}")


def attempt(rng: Random, materials: Materials, folder: Path) -> None:
    """Use a damaged model: tables of numbers, or a line that says what is wrong with it."""
    if rng.random() < 0.5:
        path = folder / "model.safetensors"
        path.write_bytes(mutate_checkpoint(rng, materials.checkpoint.read_bytes()))
    else:
        path = folder / "model.onnx"
        path.write_bytes(mutate_onnx(rng, materials.onnx.read_bytes()))
    predicted = call("predict", path, materials.clip, "--out", folder / "out")
    check_refusal(predicted, path)
    if predicted.code == 0:
        if not check_probabilities(folder / "out/files.csv") or not check_probabilities(folder / "out/windows.csv"):
            raise Failed("an empty table")
        if path.suffix == ".safetensors":
            call("strides", path).check()
            call("eval", path, "--manifest", materials.manifest, "--json", folder / "eval.json").check()
