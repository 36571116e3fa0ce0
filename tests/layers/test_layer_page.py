"""The examples of `docs/layer.md` run one after the other, and give what their comments say."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from audiostride.layers import FixedResample

PAGE = Path(__file__).parents[2] / "docs/layer.md"


def build_model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported: list[Any] = []
    monkeypatch.setattr(torch.onnx, "export", lambda *args, **_: exported.extend(args))  # its packages are not at hand
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"model": build_model(), "build_model": build_model}
    for example in examples:
        exec(example, names)  # noqa: S102  the text of our own page
    x = torch.ones(1, 64, 400, 400)
    assert names["before"](x).shape == names["after"](x).shape
    assert names["layer"].output_sizes([64, 100]) == [32, 67]
    assert names["done"].replaced == [("0",)]
    assert exported[0] is names["model"]
    assert isinstance(names["model"][0][1], FixedResample)
