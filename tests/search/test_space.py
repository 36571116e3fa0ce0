"""The space of a search: what may stand in its file, and what is told before anything is trained."""

from pathlib import Path

import pytest

from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe
from audiostride.search.run import check_space
from audiostride.search.space import Choices, Parameter, Range, as_overrides, read_space, settings_of


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    return path


def test_choices_ranges_and_lists_are_read(recipe_file: Path, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "# a comment\n"
        "model.order: [conv_pool_relu_bn, conv_relu_bn_pool]\n"
        "training.learning_rate: {float: [1e-4, 0.01], log: true}\n"
        "training.batch_size: {int: [2, 8], step: 2}\n"
        "model.stride_time: {each: {int: [1, 3]}, n: 6}\n"
        "augmentation.gain_db: [null, [-6, 6]]\n",
    )
    assert read_space(path, recipe_file) == (
        Parameter("model.order", Choices(("conv_pool_relu_bn", "conv_relu_bn_pool")), None, f"{path}:2"),
        Parameter("training.learning_rate", Range("float", 1e-4, 0.01, None, True), None, f"{path}:3"),
        Parameter("training.batch_size", Range("int", 2, 8, 2), None, f"{path}:4"),
        Parameter("model.stride_time", Range("int", 1, 3), 6, f"{path}:5"),
        Parameter("augmentation.gain_db", Choices((None, [-6, 6])), None, f"{path}:6"),
    )


def test_what_is_drawn_becomes_settings_of_the_recipe(recipe_file: Path) -> None:
    space = (
        Parameter("model.stride_time", Range("int", 1, 3), 6, "space.yaml:1"),
        Parameter("augmentation.gain_db", Choices((None, [-6, 6])), None, "space.yaml:2"),
        Parameter("training.learning_rate", Range("float", 1e-6, 0.01, None, True), None, "space.yaml:3"),
    )
    strides = {f"model.stride_time[{i}]": 1 + i % 3 for i in range(6)}
    drawn = {**strides, "augmentation.gain_db": "[-6, 6]", "training.learning_rate": 1.25e-6}
    recipe = load_recipe(recipe_file, as_overrides(settings_of(space, drawn)))
    assert recipe.model.stride_time == (1, 2, 3, 1, 2, 3)
    assert recipe.augmentation.gain_db == (-6, 6)
    assert recipe.training.learning_rate == 1.25e-6


MISTAKES = {
    "": "1: no keys, expected at least one",
    "- 1": "1: expected keys such as training.learning_rate and model.stride_time, got [1]",
    "model.widht: [1, 2]": "1: model.widht: unknown key, did you mean 'width'?",
    "modle.width: [1, 2]": "1: modle: unknown key, did you mean 'model'?",
    "model.width: [0.5, 99]": "1: model.width: got 99, expected less than or equal to 16",
    "model.width: {float: [0, 1]}": "1: model.width: got 0, expected greater than 0",
    "\nmodel.ramp: [inside, outsde]": "2: model.ramp: got 'outsde', did you mean 'outside'?",
    "model.stride_time: {each: {int: [0, 3]}, n: 6}": "1: model.stride_time: got 0, expected a list of 6 numbers >= 1",
    "model.stride_time: {each: {int: [1, 3]}, n: 5}": "1: model.stride_time: got [1, 1, 1, 1, 1], expected",
    "model.stride_time: {each: {int: [1, 3]}}": "1: model.stride_time: got {'each': {'int': [1, 3]}}, expected each",
    "model: {width: [1, 2]}": "1: model: got {'width': [1, 2]}, expected [a, b], {int: [1, 3]}",
    "model.width: 1": "1: model.width: got 1, expected [a, b], {int: [1, 3]}",
    "model.width: []": "1: model.width: an empty list",
    "model.width: [1, 2, 1]": "1: model.width: got [1, 2, 1], in which a choice stands twice",
    "model.width: {int: [1, 2], float: [1, 2]}": "1: model.width: got {'int': [1, 2], 'float': [1, 2]}, expected",
    "model.width: {int: [1, 2.5]}": "1: model.width: got [1, 2.5], expected two numbers of the type int",
    "model.width: {float: [2, 1]}": "1: model.width: got [2, 1], expected the lower number first",
    "model.dropout: {float: [0, 0.5], log: true}": "1: model.dropout: got log: True with [0, 0.5]",
    "model.width: {float: [1, 2], log: true, step: 1}": "1: model.width: got step: 1, expected a number",
    "model.width: {float: [1, 2], step: 0.3}": "1: model.width: got step: 0.3, expected one that leads from 1 to 2",
    "model..width: [1, 2]": "1: model..width: expected a key of the recipe with dots",
    "seed.x: [1, 2]": "1: seed is a value, not a section",
    "model.width: [1, 2]\nmodel.width: [1, 2]": "2: the key 'model.width' stands twice",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_told_with_file_line_and_key(text: str, recipe_file: Path, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_space(path, recipe_file, ("seed=3",))
    assert str(caught.value).startswith(f"{path}:{MISTAKES[text]}")


def test_all_mistakes_are_told_at_once(recipe_file: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "model.width: [0, 99]\ntraining.steps: {int: [0, 3]}\nx: 1\n")
    with pytest.raises(UserError) as caught:
        read_space(path, recipe_file)
    assert [line.split(": ")[0] for line in str(caught.value).split("\n")] == [f"{path}:{i}" for i in (1, 1, 2, 3)]


def test_values_that_depend_on_others_are_no_mistake_until_none_goes(recipe_file: Path, tmp_path: Path) -> None:
    text = "model.shared: [true]\nmodel.placement: [per_axis, per_block]\n"
    space = read_space(write(tmp_path, text), recipe_file)
    check_space(recipe_file, (), space)
    with pytest.raises(
        UserError, match=r"none is a recipe; the first says:\n.*shared strides need placement: per_block"
    ):
        check_space(recipe_file, (), space[:1])
    with pytest.raises(UserError, match=r"model.shared: set by --set and by the space, expected one of them"):
        check_space(recipe_file, ("model.shared=true",), space)
