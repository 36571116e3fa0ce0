"""The figure of strides: names of runs are shown as they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audiostride.build import build_model
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint
from audiostride.strides.plots import SPEECH_CAPTION, caption, figure_strides, render
from audiostride.strides.reading import AXES, RunStrides, StrideHistory, run_strides


@pytest.fixture(scope="module")
def run() -> RunStrides:
    recipe = Recipe.model_validate({"tasks": {"tone": {"manifest": "m.csv"}}, "model": {"width": 0.06}})
    classes = {"tone": ("high", "low")}
    with torch.random.fork_rng(devices=[]):
        model = build_model(recipe, classes).eval()
    strides = run_strides(Path("run"), Checkpoint(Path("run.safetensors"), model, recipe, classes, 6, {}))
    logged = np.full((2, len(model.backbone.blocks)), 2.0)
    return replace(strides, history=StrideHistory(np.array([1, 2]), dict.fromkeys(AXES, logged)))


def test_dotted_lines_are_explained_where_they_are_drawn(run: RunStrides) -> None:
    strided = Recipe.model_validate(
        {"tasks": {"tone": {"manifest": "m.csv"}}, "model": {"width": 0.06, "downsampling": "strided_conv"}}
    )
    with torch.random.fork_rng(devices=[]):
        model = build_model(strided, run.checkpoint.classes).eval()
    folding = run_strides(Path("strided"), replace(run.checkpoint, model=model, recipe=strided))
    for groups in ({"a": [run]}, {"a": [folding]}, {"a": [folding], "b": [run]}):
        lines = [line for part in figure_strides(groups).subfigs for axes in part.axes for line in axes.lines]
        dotted = [line for line in lines if line.get_linestyle() == ":"]
        assert ("dotted" in caption(groups)) == bool(dotted) == (groups == {"a": [folding]})


def test_the_legend_names_runs_that_logged_nothing(run: RunStrides) -> None:
    frozen = replace(run, history=StrideHistory(np.array([], np.int64), dict.fromkeys(AXES, np.array([]))))
    figure = figure_strides({"frozen": [frozen], "learned": [run], "again": [frozen]})
    legend = figure.subfigs[0].legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["frozen", "learned", "again"]
    drawn = figure.subfigs[1].axes[0].lines
    colours = [line.get_color() for line in legend.get_lines()]
    assert colours == [line.get_color() for line in drawn]
    assert len(set(colours)) == 3


@pytest.mark.parametrize("name", ["costs $5", r"$\q$", r"a\$b$", "$$"])
def test_dollars_in_a_name_are_no_mathematics(name: str, run: RunStrides) -> None:
    figure = figure_strides({name: [run], "other": [run]})
    assert render(figure, "svg").startswith(b"<?xml")


@pytest.mark.parametrize(
    ("task", "manifest", "speech"),
    [
        ("words", "m.csv", True),
        ("class", "data/speech_commands/manifest.csv", True),
        ("digit", "m.csv", True),
        ("bird", "birds.csv", False),
        ("pitch", "notes.csv", False),
    ],
)
def test_modulations_of_speech_are_marked_for_speech_alone(
    task: str, manifest: str, speech: bool, run: RunStrides
) -> None:
    recipe = Recipe.model_validate({"tasks": {task: {"manifest": manifest}}})
    named = replace(run, checkpoint=replace(run.checkpoint, recipe=recipe))
    assert (SPEECH_CAPTION in caption({"run": [named]})) == speech
    panels = [axes for part in figure_strides({"run": [named]}).subfigs for axes in part.axes]
    assert any(axes.patches for axes in panels) == speech
