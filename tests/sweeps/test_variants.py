"""Seeds and grids as they are written on a command line."""

import pytest

from audiostride.errors import UserError
from audiostride.sweeps.variants import check_axes, parse_grid, parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("1,2,5", [1, 2, 5]), ("7", [7]), ("3-3, 9", [3, 9])]
)
def test_seeds_are_ranges_and_lists(text: str, seeds: list[int]) -> None:
    variants = parse_seeds(text)
    assert [variant.name for variant in variants] == [f"seed-{seed}" for seed in seeds]
    assert [variant.settings for variant in variants] == [(f"seed={seed}",) for seed in seeds]


@pytest.mark.parametrize("text", ["", "x", "4-0", "-1", "1.5", "0-1-2", "1,,2", "0-4;7"])
def test_what_are_no_seeds_is_told(text: str) -> None:
    with pytest.raises(UserError, match=r"expected whole numbers, as in 0-4 or 1,2,5"):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("text", "told"), [("1,0-2", "a seed stands twice"), ("0-99999999999999", "expected at most 1000 runs")]
)
def test_seeds_twice_and_too_many_are_told(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model.width=0.25,0.5", {"width-0.25": "model.width=0.25", "width-0.5": "model.width=0.5"}),
        ("model.ramp=folded,inside", {"ramp-folded": 'model.ramp="folded"', "ramp-inside": 'model.ramp="inside"'}),
        ("a.snr=[5, 50],null", {"snr-5-50": "a.snr=[5, 50]", "snr-null": "a.snr=null"}),
        ("a.rate=1e-3", {"rate-0.001": "a.rate=0.001"}),
        ("tasks.t.manifest=../x/y.csv", {"manifest-x-y.csv": 'tasks.t.manifest="../x/y.csv"'}),
    ],
)
def test_a_grid_holds_values_of_yaml(text: str, expected: dict[str, str]) -> None:
    assert {variant.name: variant.settings[0] for variant in parse_grid(text)} == expected


@pytest.mark.parametrize("text", ["model.width", "=1", "a=", "a=1,,2", "a=[1", "a=}"])
def test_what_is_no_grid_is_told(text: str) -> None:
    with pytest.raises(UserError, match=r"--grid .*: expected KEY=VALUE,VALUE"):
        parse_grid(text)


def test_a_value_twice_is_told() -> None:
    with pytest.raises(UserError, match="a value stands twice"):
        parse_grid("a=1,2,1")


@pytest.mark.parametrize(
    ("grids", "seeds", "overrides", "told"),
    [
        (["a=1,2", "a=3"], None, [], "a: set by --grid and by --grid"),
        (["seed=1,2"], "0-1", [], "seed: set by --grid and by --seeds"),
        (["a=1"], None, ["a =2"], "a: set by --set and by --grid"),
        (["a=1,2"], "0-500", [], "1,002 runs, expected at most 1,000"),
    ],
)
def test_a_key_in_two_places_and_too_many_runs_are_told(
    grids: list[str], seeds: str | None, overrides: list[str], told: str
) -> None:
    axes = [*map(parse_grid, grids), *([] if seeds is None else [parse_seeds(seeds)])]
    with pytest.raises(UserError, match=told):
        check_axes(axes, overrides)
