"""Commands that install what is missing."""

from importlib import metadata

import pytest

from audiostride import extras
from audiostride.extras import install_command, requirement_command


@pytest.mark.parametrize(("extra", "package"), [("onnx", "onnxruntime"), ("serve", "fastapi"), ("parquet", "pyarrow")])
def test_packages_are_named_so_that_the_command_works_without_an_index_of_ours(extra: str, package: str) -> None:
    command = install_command(extra)
    assert command.startswith("pip install ")
    assert package in command
    assert "audiostride" not in command


def test_without_a_distribution_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras.metadata, "version", missing)
    monkeypatch.setattr(extras.metadata, "requires", missing)
    assert install_command("tensorboard") == "pip install 'audiostride[tensorboard]'"


def test_a_required_package_is_named_with_its_versions() -> None:
    command = requirement_command("torch")
    assert command.startswith("pip install 'torch")
    assert all(bound in command for bound in (">=2.11", "<2."))
    assert "torchaudio" not in command
    assert requirement_command("unheard-of") == "pip install unheard-of"
    both = requirement_command("torch", "torchaudio")
    assert both.startswith(command)
    assert "'torchaudio>=" in both
