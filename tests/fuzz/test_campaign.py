"""The first attempts of the campaign, the same each time, and whether it would notice a failure."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import campaign, outcome
from tests.fuzz.campaign import KINDS, try_case
from tests.fuzz.materials import Materials, make_materials

N_ATTEMPTS = {"recipes": 30, "manifests": 8, "audio": 3, "models": 10, "calibration": 8, "kills": 1, "server": 1}


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    return make_materials(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_attempts_find_nothing(kind: str, materials: Materials, tmp_path: Path) -> None:
    reasons = {f"{kind}:{seed}": try_case(kind, seed, materials, tmp_path) for seed in range(N_ATTEMPTS[kind])}
    assert {case: reason for case, reason in reasons.items() if reason is not None} == {}


def _crash(*_: object) -> None:
    raise RuntimeError("crash")


def _refuse_in_red(*_: object) -> None:
    outcome.Outcome(1, "", "no such thing as \x1b[31m").check()


def _end_with_exit_code_3(*_: object) -> None:
    outcome.Outcome(3, "", "").check()


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [(_crash, "RuntimeError: crash"), (_refuse_in_red, r"'\x1b'"), (_end_with_exit_code_3, "exit code 3")],
)
def test_a_failure_is_noticed(
    attempt: Callable[[Random, Materials, Path], None], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(campaign.KINDS, "recipes", attempt)
    assert reason in (try_case("recipes", 0, Materials(tmp_path), tmp_path / "scratch") or "")
