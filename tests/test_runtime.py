"""The distribution that predicts alone: what is in its wheel, and that this needs no torch."""

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hatchling.builders.wheel import WheelBuilder
from onnx import TensorProto, helper, numpy_helper, save_model

from audiostride.cli import main, runtime
from audiostride.prediction.onnx_model import describe

ROOT = Path(__file__).parents[1]
LARGEST_WHEEL = 300_000  # bytes
NOT_IN_IT = {"audiostride.runs.model", "audiostride.runs.folder"}  # for runs alone: the runtime imports neither
ALLOWED = {"filelock", "fastapi", "h11", "matplotlib", "multipart", "numpy", "onnxruntime", "pyarrow", "pydantic"}
ALLOWED |= {"python_multipart", "rich", "soundfile", "soxr", "starlette", "typer", "uvicorn"}
BLOCKED = "torch torchaudio librosa matplotlib scipy yaml jinja2 pooch requests safetensors lazy_loader fastapi"
BLOCKER = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED.split()!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
from importlib import metadata
whole = metadata.version
def version(name):
    if name == "audiostride":  # which this environment has, and one with the runtime lacks
        raise metadata.PackageNotFoundError(name)
    return whole(name)
metadata.version = version
"""
BUILD = """
from audiostride.loading import load_model
from audiostride.serving.app import build_app
from audiostride.serving.service import Limits
from pathlib import Path
print(build_app(load_model(Path({model!r})), Limits(max_mb=1.0, max_s=30.0, timeout_s=30.0)).version)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("runtime")
    wheel = Path(
        next(WheelBuilder(str(ROOT / "packaging/runtime")).build(directory=str(folder), versions=["standard"]))
    )
    assert wheel.stat().st_size < LARGEST_WHEEL
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def onnx_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two classes: which half of a window of a second at 8 kHz is louder, as far as its sign tells."""
    n_window, path = 8000, tmp_path_factory.mktemp("model") / "m.onnx"
    weights = np.zeros((n_window, 2), np.float32)
    weights[: n_window // 2, 0] = weights[n_window // 2 :, 1] = 0.01
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["waveform", "weights"], ["half"])],
        "halves",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", n_window])],
        [helper.make_tensor_value_info("half", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(
        model, describe({"half": ("first", "second")}, {"half": 1.0}, {}, sample_rate=8000, n_window=n_window)
    )
    save_model(model, path)
    return path


def run_blocked(installed: Path, code: str, cwd: Path, allowed: str = "none") -> subprocess.CompletedProcess[str]:
    """Run Python with the wheel first on its path, and without the packages that the runtime does not need."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-c", BLOCKER.replace(f"'{allowed}'", "''") + code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
    )


def run_program(
    installed: Path, cwd: Path, *arguments: str | Path, allowed: str = "none"
) -> subprocess.CompletedProcess[str]:
    """Run the command of the runtime."""
    words = ["audiostride", *map(str, arguments)]
    code = f"sys.argv = {words!r}\nfrom audiostride.cli.main import main\nmain()"
    return run_blocked(installed, code, cwd, allowed)


def modules(installed: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(installed.glob("audiostride/**/*.py")):
        parts = path.relative_to(installed).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def version_of_the_whole() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def test_the_wheel_has_the_version_of_the_whole(installed: Path) -> None:
    assert (installed / f"audiostride_runtime-{version_of_the_whole()}.dist-info/METADATA").is_file()
    assert (installed / "audiostride/serving/page.html").is_file()


def test_every_import_is_in_the_wheel_or_required(installed: Path) -> None:
    known = {name for name, _ in modules(installed)}
    for name, path in modules(installed):
        for node in ast.walk(ast.parse(path.read_text())):
            wanted = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                wanted = [node.module or ""]
            for target in wanted:
                top = target.partition(".")[0]
                if top == "audiostride":
                    assert target in known | NOT_IN_IT, f"{name} imports {target}"
                else:
                    assert top in ALLOWED | sys.stdlib_module_names, f"{name} imports {target}"


def test_everything_but_the_server_imports_without_torch(installed: Path, tmp_path: Path) -> None:
    names = [
        name for name, _ in modules(installed) if not name.startswith(("audiostride.serving", "audiostride.__main"))
    ]
    code = "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in names)
    done = run_blocked(installed, code + "\nimport audiostride; print(audiostride.__file__)", tmp_path)
    assert done.stderr == ""
    assert Path(done.stdout.strip()).is_relative_to(installed)


def test_the_server_runs_with_what_its_extra_adds(installed: Path, onnx_model: Path, tmp_path: Path) -> None:
    names = [name for name, _ in modules(installed) if name.startswith("audiostride.serving")]
    code = "\n".join(f"import {name}" for name in names) + BUILD.format(model=str(onnx_model))
    done = run_blocked(installed, code, tmp_path, allowed="fastapi")
    assert (done.stdout, done.stderr) == (f"{version_of_the_whole()}\n", "")


def test_it_predicts(installed: Path, onnx_model: Path, tmp_path: Path) -> None:
    waveform = np.concatenate([np.full(4000, 0.5), np.zeros(4000)])
    sf.write(tmp_path / "a.wav", waveform, 8000)
    done = run_program(installed, tmp_path, "predict", onnx_model, "a.wav", "--out", "results")
    assert done.returncode == 0, done.stderr
    assert "half,1,first" in (tmp_path / "results/files.csv").read_text()
    code = f"import audiostride; print(audiostride.load({str(onnx_model)!r}).predict('a.wav').tasks['half'].best)"
    assert run_blocked(installed, code, tmp_path).stdout.strip() == "first"


def test_a_picture_that_is_not_drawn_is_told(installed: Path, onnx_model: Path, tmp_path: Path) -> None:
    sf.write(tmp_path / "20240501_053000.wav", np.concatenate([np.full(4000, 0.5), np.zeros(4000)]), 8000)
    done = run_program(installed, tmp_path, "predict", onnx_model, "20240501_053000.wav", "--out", "results")
    assert done.returncode == 0
    assert "hours.png is not drawn, which needs matplotlib: pip install " in done.stderr
    assert (tmp_path / "results/hours.csv").is_file()
    assert not (tmp_path / "results/hours.png").exists()
    drawn = run_program(
        installed, tmp_path, "predict", onnx_model, "20240501_053000.wav", "--out", "results", allowed="matplotlib"
    )
    assert "hours.png" not in drawn.stderr
    assert (tmp_path / "results/hours.png").is_file()


def test_a_run_is_refused_with_what_to_do(installed: Path, untrained: Path, tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    done = run_program(installed, tmp_path, "predict", untrained, "a.wav", "--out", "results")
    assert done.returncode == 2
    assert "a run needs torch" in done.stderr
    assert "audiostride export" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_another_kind_is_no_run(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    done = run_program(installed, tmp_path, "predict", "notes.txt", "notes.txt", "--out", "results")
    assert done.returncode == 2
    assert done.stderr.startswith("notes.txt: not a model; expected an .onnx file that audiostride export wrote")
    assert "The model comes first, then the recordings" in done.stderr


def test_help_names_what_is_there(installed: Path, tmp_path: Path) -> None:
    told = run_program(installed, tmp_path, "--help").stdout
    assert all(command in told for command in ("predict", "listen", "serve"))
    assert "audiostride-runtime: hear" in told
    assert "train" not in told.replace("trained", "")
    for command in ("predict", "listen", "serve"):
        told = run_program(installed, tmp_path, command, "--help", allowed="fastapi").stdout
        assert "Exported .onnx file." in told
        assert not any(word in told for word in ("--device", "--checkpoint", "runs/", "Run folder"))


@pytest.mark.parametrize("command", ["train", "export"])
def test_a_command_of_the_whole_is_no_typing_error(command: str, installed: Path, tmp_path: Path) -> None:
    done = run_program(installed, tmp_path, command, "--help")
    assert done.returncode == 2
    told = f"{command}: not part of audiostride-runtime; install the package audiostride in another environment\n"
    assert done.stderr == told


def test_a_typing_error_stays_one(installed: Path, tmp_path: Path) -> None:
    assert "No such command 'predcit'" in run_program(installed, tmp_path, "predcit").stderr


def test_all_commands_are_known_to_the_runtime() -> None:
    names = ({command.name for command in program.app.registered_commands} for program in (main, runtime))
    assert next(names) == next(names)


def test_the_version_names_the_runtime(installed: Path, tmp_path: Path) -> None:
    assert run_program(installed, tmp_path, "--version").stdout == f"audiostride-runtime {version_of_the_whole()}\n"


def test_the_whole_wheel_carries_recipes_and_cards(tmp_path: Path) -> None:
    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    recipes = (path.relative_to(ROOT).as_posix() for path in (ROOT / "recipes").rglob("*.yaml"))
    assert {f"audiostride/{name}" for name in recipes} <= names
    assert {"audiostride/recipes/schema.json", "audiostride/data_manifests/esc50.yaml"} <= names
