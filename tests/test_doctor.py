"""What `doctor` finds on a healthy machine, and what it says of one that lacks something."""

import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

import audiostride.doctor as health
from audiostride.cli import main as cli
from audiostride.doctor import Check, check_health, layer_errors
from audiostride.layers import DiffStride, downsampling_matrix


def doctor(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["audiostride", "doctor", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def found(name: str) -> Check:
    return next(check for check in check_health() if check.name == name)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOSTRIDE_CACHE", str(tmp_path / "cache"))


def test_this_machine_is_healthy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(monkeypatch, "--json", "-") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    states = {(check["group"], check["name"]): check["state"] for check in told["checks"]}
    assert states["devices", "cpu"] == states["codecs", "flac"] == states["places", "cache"] == "ok"


def test_the_layer_agrees_with_the_definition() -> None:
    value, gradient = layer_errors("cpu")
    assert value < 1e-5
    assert gradient < 1e-5


def test_the_definition_is_that_of_the_matrix() -> None:
    x = np.random.default_rng(1).standard_normal(health.N_IN)
    matrix = downsampling_matrix(health.N_IN, torch.tensor(2.3, dtype=torch.float64), health.SMOOTHNESS).numpy()
    np.testing.assert_allclose(health._downsampled(x, 2.3), matrix @ x, atol=1e-12)


def test_a_layer_that_computes_wrongly_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = DiffStride.forward
    monkeypatch.setattr(DiffStride, "forward", lambda self, x: 1.001 * right(self, x))
    assert doctor(monkeypatch) == 1
    assert "do not use --device cpu" in capsys.readouterr().err


def test_a_device_that_fails_does_not_end_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: DiffStride, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(DiffStride, "forward", fails)
    checks = list(check_health())
    assert any(check.state == "broken" and "no kernel image" in check.found for check in checks)
    assert checks[-1].name == "working folder"


@pytest.mark.parametrize("module", ["torch", "torchaudio", "soundfile"])
def test_a_package_that_cannot_be_imported_is_told(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("audiostride.data")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    assert doctor(monkeypatch) == 1
    assert "pip install" in capsys.readouterr().err


def test_a_codec_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(health.CODECS, "opus", ("OGG", "SIREN", False))
    assert found("opus").state == "absent"
    assert "soundfile" in (found("opus").fix or "")


def test_every_extra_of_the_program_is_checked() -> None:
    extras = {check.name for check in check_health() if check.group == "extras"}
    assert extras == set(metadata.metadata("audiostride").get_all("Provides-Extra") or []) - {"dev"}


def test_an_extra_that_is_missing_is_told_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    right = metadata.version

    def version(name: str) -> str:
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return right(name)

    monkeypatch.setattr("audiostride.doctor.metadata.version", version)
    needed = ["numpy>=1", "onnx>=1.17; extra == 'onnx'", 'onnxruntime; extra == "onnx"', "ruff; extra == 'dev'"]
    monkeypatch.setattr("audiostride.doctor.metadata.requires", lambda name: needed)
    check = found("onnx")
    assert (check.state, check.found) == ("absent", "not installed: onnxruntime")
    assert "onnxruntime" in (check.fix or "")


def test_a_package_that_is_not_installed_is_told_and_ends_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("audiostride.doctor.metadata.version", missing)
    monkeypatch.setattr("audiostride.doctor.metadata.requires", missing)
    assert found("audiostride").state == "broken"
    assert list(check_health())[-1].name == "working folder"


def test_a_cache_that_cannot_be_written_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUDIOSTRIDE_CACHE", str(tmp_path / "file"))
    check = found("cache")
    assert check.state == "broken"
    assert "AUDIOSTRIDE_CACHE" in (check.fix or "")


def test_the_size_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with (tmp_path / "cache/pack").open("wb") as file:
        file.truncate(2**30)
    assert "1.00 GiB used" in found("cache").found


def test_a_full_disk_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_FREE", 2**60)
    assert found("cache").state == "broken"


def test_a_device_is_tested_as_it_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def checks() -> Iterator[Check]:
        yield Check("devices", "tpu", "broken", "none")

    monkeypatch.setattr(health, "_check_devices", checks)
    assert found("tpu").state == "broken"
