"""Commands that install what is missing."""

from importlib import metadata

import pytest

from audiostride import extras
from audiostride.extras import install_command


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
