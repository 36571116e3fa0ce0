"""One model trained by several processes: the same weights, one voice, one cache."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from audiostride.data.cache import _write_pack
from audiostride.errors import UserError
from audiostride.models.backbone import TimeFrequencyCnn
from audiostride.ranks import join_ranks, meeting
from audiostride.recipe.reader import load_recipe
from audiostride.runs.folder import RunFolder
from audiostride.training.run import train
from tests.training.ranks import Processes, free_port
from tests.training.runs import weights

EXACT = ["training.precision=fp64", "data.n_workers=1"]
SHORT = [
    "training.steps=30",
    "training.validate_every=15",
    "training.batch_size=11",
    "training.accumulate=2",
    "training.ema=0.9",
    "training.complexity_weight=0.01",
    "training.gradient_clip=1",
    "augmentation.mask_time=3",
    "augmentation.mask_frequency=3",
    "augmentation.noise_snr_db=[10, 20]",
    "augmentation.mixup=0.3",
    "model.dropout=0.2",
]


def train_with(settings: Sequence[str], recipe_file: Path, run_dir: Path, resume: bool = False) -> None:
    train(load_recipe(recipe_file, settings), run_dir, device="cpu", resume=resume)


def run(n: int, run_dir: Path, work: Callable[..., None], *arguments: object) -> Processes:
    ranks = Processes(n, run_dir.parent / f"{run_dir.name}-logs", work, *arguments)
    ranks.codes = ranks.wait()
    return ranks


def trained(n: int, recipe_file: Path, run_dir: Path, settings: Sequence[str], resume: bool = False) -> Processes:
    ranks = run(n, run_dir, train_with, settings, recipe_file, run_dir, resume)
    assert ranks.codes == [0] * n, ranks.texts()
    return ranks


def difference(a: Path, b: Path) -> float:
    """Give the largest relative difference of two runs' weights, in the norm of each tensor."""
    of_a, of_b = weights(a), weights(b)
    assert of_a.keys() == of_b.keys()
    return max(
        float((of_a[name].double() - of_b[name].double()).norm() / of_a[name].double().norm().clamp(min=1e-12))
        for name in of_a
    )


def test_several_ranks_give_the_weights_and_metrics_of_one(recipe_file: Path, tmp_path: Path) -> None:
    settings = [*EXACT, *SHORT]
    train_with(settings, recipe_file, tmp_path / "one")
    for n in (2, 4):
        trained(n, recipe_file, tmp_path / str(n), settings)
        assert difference(tmp_path / "one", tmp_path / str(n)) < 1e-4
    # a run goes on with another number of ranks
    trained(2, recipe_file, tmp_path / "changed", [*settings, "training.steps=15"])
    trained(3, recipe_file, tmp_path / "changed", settings, resume=True)
    assert difference(tmp_path / "one", tmp_path / "changed") < 1e-4
    of_one, of_two = (RunFolder(tmp_path / name).read_metrics() for name in ("one", "2"))
    assert [line["step"] for line in of_one] == [line["step"] for line in of_two]
    for one, two in zip(of_one, of_two, strict=True):
        for key in one.keys() & {"loss", "accuracy", "validation", "validation_loss"}:
            assert two[key] == pytest.approx(one[key], rel=1e-6)
    assert RunFolder(tmp_path / "2").read_environment()["n_processes"] == "2"


def test_local_batch_norms_see_the_rows_of_their_rank(recipe_file: Path, tmp_path: Path) -> None:
    settings = [*EXACT, "training.steps=4", "training.validate_every=4", "training.batch_norm=local"]
    trained(2, recipe_file, tmp_path / "local", settings)
    train_with(settings, recipe_file, tmp_path / "one")
    assert difference(tmp_path / "one", tmp_path / "local") > 1e-4
    for name, values in weights(tmp_path / "local").items():
        assert values.isfinite().all(), name


def move_a_stride(recipe_file: Path, run_dir: Path) -> None:
    """Train with a rank whose strides are not those of the others."""
    own = TimeFrequencyCnn.strides_by_axis

    def moved(self: TimeFrequencyCnn) -> dict[str, list[float]]:
        rank = torch.distributed.get_rank()
        return {axis: [stride + 0.5 * (rank == 1) for stride in strides] for axis, strides in own(self).items()}

    TimeFrequencyCnn.strides_by_axis = moved  # type: ignore[method-assign]
    train_with(["training.steps=2"], recipe_file, run_dir)


def test_strides_that_differ_between_ranks_are_an_error_that_names_them(recipe_file: Path, tmp_path: Path) -> None:
    ranks = run(3, tmp_path / "run", move_a_stride, recipe_file, tmp_path / "run")
    assert ranks.codes == [2, 1, 1]
    texts = ranks.texts()
    assert "the strides after step 2 of rank 1 differ from those of rank 0" in texts[0]
    assert texts[1:] == ["", ""]


def mistakes(recipe_file: Path, folder: Path) -> None:
    """Make one mistake after another in the same launch."""
    for settings, run_dir in (
        (["training.batch_size=1"], folder / "few-rows"),
        (["tasks.tone.manifest=missing.csv"], folder / "no-manifest"),
        ([], folder / "file"),
        (["training.learning_rate=1e20", "training.steps=4", "training.log_every=1"], folder / "diverged"),
    ):
        try:
            train_with(settings, recipe_file, run_dir)
        except UserError as error:
            print("UserError", error)
        except Exception as error:
            print(type(error).__name__, error)


def test_a_mistake_is_told_by_one_rank_and_ends_all(recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ranks = run(2, tmp_path / "run", mistakes, recipe_file, tmp_path)
    assert ranks.codes == [0, 0], ranks.texts()
    first, second = (text.splitlines() for text in ranks.texts())
    assert "training.batch_size=1 in 1 part(s)" in first[0]
    assert "missing.csv" in first[1]
    assert "is a file, expected a folder for the run" in first[2]
    assert "the loss is not a number" in first[3]
    assert [line.strip() for line in second] == ["ToldElsewhere"] * 4


def decode_with_count(recipe_file: Path, run_dir: Path) -> None:
    """Train, and write a line for every pack of recordings that this rank decodes."""
    import audiostride.data.cache as cache

    def counted(*arguments: object) -> None:
        print("decoded", flush=True)
        _write_pack(*arguments)  # type: ignore[arg-type]

    cache._write_pack = counted  # type: ignore[assignment]
    train_with(["training.steps=1", f"data.cache_dir={run_dir.parent / 'new-cache'}"], recipe_file, run_dir)


def test_one_rank_fills_the_cache_for_all(recipe_file: Path, tmp_path: Path) -> None:
    ranks = run(2, tmp_path / "run", decode_with_count, recipe_file, tmp_path / "run")
    assert ranks.codes == [0, 0], ranks.texts()
    assert sorted(text.count("decoded") for text in ranks.texts())[0] == 0
    assert sum(text.count("decoded") for text in ranks.texts()) > 0


def end_at_step(recipe_file: Path, run_dir: Path) -> None:
    """Train; rank 1 ends without a word after the second step."""
    import os

    def after(event: object) -> None:
        if os.environ["RANK"] == "1" and getattr(event, "step", None) == 3:
            os._exit(9)

    train(load_recipe(recipe_file, ["training.steps=50", "training.validate_every=2"]), run_dir, on_event=after)


def test_the_others_name_a_rank_that_dies_and_end(recipe_file: Path, tmp_path: Path) -> None:
    ranks = run(3, tmp_path / "run", end_at_step, recipe_file, tmp_path / "run")
    assert ranks.codes == [2, 9, 1], ranks.texts()
    assert [text.count("rank 1 has ended, so the others end too") for text in ranks.texts()] == [1, 0, 0]
    assert len(weights(tmp_path / "run")) > 0


def test_a_rank_that_never_comes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "PATIENCE_S", 1.0)
    for variable, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    with pytest.raises(UserError, match="rank 1 of 2 has not come within 1 seconds"), join_ranks():
        pass
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(UserError, match="nobody answers there"), join_ranks():
        pass


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE"])
def test_a_launcher_that_sets_no_number_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(variable, "two" if variable == name else value)
    with pytest.raises(UserError, match=f"{name}: got 'two', expected a number"), join_ranks():
        pass
