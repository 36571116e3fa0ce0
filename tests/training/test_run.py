"""A run as its folder shows it: whole, resumable bit for bit, never overwritten."""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from audiostride.errors import DataError, UserError
from audiostride.recipe.reader import load_recipe
from audiostride.runs.checkpoint import load_checkpoint, load_run
from audiostride.runs.folder import RunFolder
from audiostride.training.events import Calibrated, Logged, Started, StepDone, Stopped
from audiostride.training.optimizer import make_optimizer
from audiostride.training.run import train_recipe
from tests.checkpoints import recalibrate
from tests.processes import Interrupts, start_program
from tests.training.runs import CPU, run, run_until, weights


def test_run_folder_is_complete(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    names = sorted(path.name for path in (tmp_path / "run").rglob("*") if path.is_file())
    expected = ["best.safetensors", "environment.json", "last-6.state.pt", "last.safetensors", "metrics.jsonl"]
    assert names == sorted([*expected, "calibration.json", "data.json", "recipe.yaml", ".lock"])


def test_resolved_recipe_trains_again(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run", ["model.width=0.05"])
    assert load_recipe(tmp_path / "run" / "recipe.yaml") == load_recipe(recipe_file, ["model.width=0.05"])


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_too_little_memory_is_told_with_the_cure(
    error: Exception, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("audiostride.training.loop.forward_backward", full)
    with pytest.raises(UserError, match=r"cpu: out of memory for a batch of 6 windows.*training\.accumulate above 1"):
        run(recipe_file, tmp_path / "run")
    with pytest.raises(UserError, match=r"a smaller training\.batch_size, a shorter"):
        run(recipe_file, tmp_path / "run", ["training.accumulate=6"])


def test_metrics_hold_what_is_promised(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    lines = RunFolder(tmp_path / "run").read_metrics()
    step = next(line for line in lines if "loss" in line)
    assert set(step["loss"]) == {"tone"}
    assert {"learning_rate", "stride_learning_rate", "windows_per_s", "waiting_share"} < set(step)
    assert {axis: len(values) for axis, values in step["strides"].items()} == {"time": 6, "frequency": 6}
    assert [line["step"] for line in lines if "validation" in line] == [4, 6]


def test_strides_learn_at_their_own_rate(recipe_file: Path, tmp_path: Path) -> None:
    events = run(recipe_file, tmp_path / "run")
    rates = [event.values for event in events if isinstance(event, Logged) and "loss" in event.values]
    assert {(line["learning_rate"], line["stride_learning_rate"]) for line in rates} == {(0.003, 0.02)}
    strides = load_run(tmp_path / "run", "last").model.backbone.strides_by_axis()["time"]
    assert abs(strides[0] - 2) > 0.01


def test_ramps_that_fold_learn_their_width_at_four_times_the_rate_of_strides(recipe_file: Path, tmp_path: Path) -> None:
    events = run(recipe_file, tmp_path / "run", ["model.ramp=folded"])
    first = next(event.values for event in events if isinstance(event, Logged) and "loss" in event.values)
    assert {axis: len(values) for axis, values in first["smoothness"].items()} == {"time": 6, "frequency": 6}
    model = load_run(tmp_path / "run", "last").model
    optimizer = make_optimizer(model, 0.003, 0.02)
    assert [group["lr"] for group in optimizer.param_groups] == [0.003, 0.02, 0.08]
    assert [len(group["params"]) for group in optimizer.param_groups[1:]] == [12, 12]
    learned = model.backbone.learned_smoothness()
    assert learned is not None
    assert abs(learned["time"][0] - 16) > 0.1


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        (["model.ramp=inside"], "model.ramp: folded"),
        (["model.ramp=folded"], None),
    ],
)
def test_strides_that_cannot_learn_are_named_at_the_start_with_the_cure(
    settings: list[str], cure: str | None, recipe_file: Path, tmp_path: Path
) -> None:
    started = next(event for event in run(recipe_file, tmp_path / "run", settings) if isinstance(event, Started))
    assert started.note is not None  # this corpus has few clips to validate
    if cure is None:
        assert "cannot learn" not in started.note
    else:
        assert "strides that cannot learn" in started.note
        assert "block 6 time (" in started.note
        assert cure in started.note


def test_checkpoint_carries_recipe_classes_and_front_end(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    with safe_open(tmp_path / "run/checkpoints/best.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["classes"]) == {"tone": ["high", "low", "mid"]}
    recipe = json.loads(metadata["recipe"])
    assert (recipe["frontend"]["n_mels"], recipe["model"]["width"]) == (64, 0.06)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("n_steps", [3, 4, 5])
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    recipe_file: Path, tmp_path: Path, n_steps: int, schedule: str
) -> None:
    settings = [f"training.schedule={schedule}"]
    run(recipe_file, tmp_path / "whole", settings)
    stopped = run_until(recipe_file, tmp_path / "resumed", n_steps, settings)
    assert not stopped.finished
    run(recipe_file, tmp_path / "resumed", settings, resume=True)
    for which in ("last", "best"):
        whole, resumed = weights(tmp_path / "whole", which), weights(tmp_path / "resumed", which)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_resumed_metrics_have_every_step_once(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "whole")
    run_until(recipe_file, tmp_path / "resumed", 3)
    run(recipe_file, tmp_path / "resumed", resume=True)
    steps = [[line["step"] for line in RunFolder(tmp_path / name).read_metrics()] for name in ("whole", "resumed")]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("n_workers", [1, 4])
def test_result_does_not_depend_on_the_workers(recipe_file: Path, tmp_path: Path, n_workers: int) -> None:
    run(recipe_file, tmp_path / "two")
    run(recipe_file, tmp_path / "other", [f"data.n_workers={n_workers}"])
    two, other = weights(tmp_path / "two"), weights(tmp_path / "other")
    assert all(torch.equal(two[name], other[name]) for name in two)


def test_a_run_is_never_overwritten_unasked(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    before = weights(tmp_path / "run")
    with pytest.raises(UserError, match="--overwrite"):
        run(recipe_file, tmp_path / "run")
    after = weights(tmp_path / "run")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_failed_overwrite_keeps_the_old_run(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    recipe = load_recipe(recipe_file, [f"tasks.tone.manifest={tmp_path / 'nowhere.csv'}"])
    with pytest.raises(UserError, match="nowhere"):
        list(train_recipe(recipe, tmp_path / "run", CPU, overwrite=True))
    assert load_run(tmp_path / "run").step > 0


def test_resume_refuses_another_recipe(recipe_file: Path, tmp_path: Path) -> None:
    run_until(recipe_file, tmp_path / "run", 3)
    with pytest.raises(UserError, match=r"model\.smoothness"):
        run(recipe_file, tmp_path / "run", ["model.smoothness=2"], resume=True)


def test_resume_may_extend_the_run(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    run(recipe_file, tmp_path / "run", ["training.steps=8"], resume=True)
    assert load_run(tmp_path / "run", "last").step == 8


def test_resume_that_extends_the_run_says_so_in_its_folder(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    run(recipe_file, tmp_path / "run", ["training.steps=8"], resume=True)
    assert load_recipe(tmp_path / "run" / "recipe.yaml").training.steps == 8


def test_resume_beyond_the_last_step_is_refused(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    with pytest.raises(UserError, match=r"step 6, beyond training\.steps=5"):
        run(recipe_file, tmp_path / "run", ["training.steps=5"], resume=True)


def test_resume_without_a_checkpoint_refuses_another_recipe(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"differs from the run's in seed"):
        run(recipe_file, tmp_path / "run", ["seed=9"], resume=True)


@pytest.mark.parametrize("text", ["12\n", "{}\n", '{"step": 6', "\udcff\n"])
def test_resume_survives_a_damaged_log(recipe_file: Path, tmp_path: Path, text: str) -> None:
    run_until(recipe_file, tmp_path / "run", 3)
    with (tmp_path / "run" / "metrics.jsonl").open("a", errors="surrogateescape") as file:
        file.write(text)
    run(recipe_file, tmp_path / "run", resume=True)
    assert RunFolder(tmp_path / "run").read_metrics()[-1]["step"] == 6


@pytest.mark.parametrize("state", [[], {"step": 3}, {"optimizer": {}, "rng": 0, "best": 0}])
def test_resume_refuses_what_is_no_state(recipe_file: Path, tmp_path: Path, state: object) -> None:
    run_until(recipe_file, tmp_path / "run", 3)
    torch.save(state, tmp_path / "run/checkpoints/last-3.state.pt")
    with pytest.raises(UserError, match="cannot be resumed"):
        run(recipe_file, tmp_path / "run", resume=True)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_has_one_trainer_at_a_time(recipe_file: Path, tmp_path: Path, overwrite: bool) -> None:
    recipe = load_recipe(recipe_file)
    first = train_recipe(recipe, tmp_path / "run", CPU)
    next(first)
    with pytest.raises(UserError, match="another process is training there"):
        next(train_recipe(recipe, tmp_path / "run", CPU, overwrite=overwrite))
    assert list(first)[-1] == Stopped(6, finished=True)
    run(recipe_file, tmp_path / "run", ["training.steps=7"], resume=True)


def test_overwrite_keeps_the_old_run_until_a_step_is_done(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    before = weights(tmp_path / "run")
    events = train_recipe(load_recipe(recipe_file, ["seed=9"]), tmp_path / "run", CPU, overwrite=True)
    next(events)
    events.close()
    after = weights(tmp_path / "run")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert load_recipe(tmp_path / "run" / "recipe.yaml").seed == 0


def test_resume_without_a_run_is_refused(recipe_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        run(recipe_file, tmp_path / "nothing", resume=True)


def test_batch_norm_statistics_are_those_of_the_newest_weights(recipe_file: Path, tmp_path: Path) -> None:
    settings = ["model.dropout=0"]
    run(recipe_file, tmp_path / "fresh", settings)
    run(recipe_file, tmp_path / "lagging", [*settings, "training.batch_norm_batches=0"])
    fresh, lagging = weights(tmp_path / "fresh"), weights(tmp_path / "lagging")
    name = "backbone.blocks.5.frequency.norm.running_var"
    assert not torch.allclose(fresh[name], lagging[name], rtol=0.1)
    assert torch.equal(fresh["heads.task_tone.weight"], lagging["heads.task_tone.weight"])


def test_batch_norm_statistics_are_those_of_augmented_windows(recipe_file: Path, tmp_path: Path) -> None:
    settings = ["training.learning_rate=1e-30", "training.stride_learning_rate=1e-30"]
    run(recipe_file, tmp_path / "plain", settings)
    run(recipe_file, tmp_path / "noisy", [*settings, "augmentation.noise_snr_db=[-40, -40]"])
    plain, noisy = weights(tmp_path / "plain"), weights(tmp_path / "noisy")
    name = "backbone.blocks.0.time.norm.running_var"
    assert not torch.allclose(plain[name], noisy[name], rtol=0.1)


def test_exploding_loss_stops_the_run_and_keeps_checkpoints(recipe_file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a number"):
        run(recipe_file, tmp_path / "run", ["training.learning_rate=1e30", "training.steps=60"])


@pytest.mark.parametrize("settings", [["training.stride_learning_rate=1e30"], ["tasks.tone.weight=1e300"]])
@pytest.mark.parametrize("method", ["diffstride", "strided_conv"])
def test_weights_that_are_not_numbers_are_never_saved(
    recipe_file: Path, tmp_path: Path, settings: list[str], method: str
) -> None:
    settings = [*settings, f"model.downsampling={method}", "training.validate_every=1", "training.log_every=100"]
    with suppress(DataError):
        run(recipe_file, tmp_path / "run", settings)
    for path in (tmp_path / "run").rglob("*.safetensors"):
        assert all(value.isfinite().all() for value in load_checkpoint(path).model.state_dict().values())


@pytest.mark.parametrize("method", ["strided_conv", "spectral_pooling", "fixed_stride", "diffstride"])
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["model.placement=per_block"],
        ["model.order=conv_relu_bn_pool", "training.gradient_clip=1", "training.complexity_weight=0.1"],
        ["model.stride_time=random", "model.stride_frequency=random", "training.precision=bf16"],
    ],
)
def test_every_method_trains(recipe_file: Path, tmp_path: Path, method: str, settings: list[str]) -> None:
    events = run(recipe_file, tmp_path / "run", [f"model.downsampling={method}", *settings, "training.steps=2"])
    assert isinstance(events[0], Started)
    assert events[-1] == Stopped(2, finished=True)


@pytest.mark.parametrize(
    "setting",
    [
        "augmentation.mixup=0.4",
        "augmentation.gain_db=[-6, 6]",
        "augmentation.time_shift_s=0.1",
        "augmentation.mask_time=20",
        "augmentation={noise_snr_db: [5, 20], noise_colours: [white, pink, brown]}",
        "training.label_smoothing=0.2",
        "tasks.tone.sampling=balanced",
    ],
)
def test_every_option_changes_the_weights_and_resumes_bit_for_bit(
    recipe_file: Path, tmp_path: Path, setting: str
) -> None:
    for name, settings in (("plain", []), ("whole", [setting])):
        run(recipe_file, tmp_path / name, settings)
    run_until(recipe_file, tmp_path / "resumed", 3, [setting])
    run(recipe_file, tmp_path / "resumed", [setting], resume=True)
    plain, whole, resumed = (weights(tmp_path / name) for name in ("plain", "whole", "resumed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not all(torch.equal(whole[name], plain[name]) for name in whole)


def test_two_tasks_on_one_manifest(recipe_file: Path, tmp_path: Path, corpus: Path) -> None:
    settings = [f"tasks.is_low={{manifest: {corpus}, label: is_low, weight: 0.5}}"]
    run(recipe_file, tmp_path / "run", settings)
    validation = load_run(tmp_path / "run").validation
    assert set(validation) == {"tone", "is_low"}


def start_process(recipe_file: Path, run_dir: Path, interrupts: Interrupts = "SIG_DFL") -> subprocess.Popen[str]:
    command = ["train", recipe_file, "--run-dir", run_dir]
    command += ["--set", "training.steps=100000", "--set", "training.validate_every=3"]
    return start_program(*command, interrupts=interrupts, stderr=subprocess.PIPE)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


def test_killed_process_leaves_a_whole_checkpoint(recipe_file: Path, tmp_path: Path) -> None:
    process = start_process(recipe_file, tmp_path / "run")
    wait_for(tmp_path / "run/checkpoints/last.safetensors")
    time.sleep(0.5)
    process.kill()
    process.communicate()
    step = load_run(tmp_path / "run", "last").step
    assert (tmp_path / f"run/checkpoints/last-{step}.state.pt").exists()
    run(recipe_file, tmp_path / "run", [f"training.steps={step + 1}", "training.validate_every=3"], resume=True)
    assert load_run(tmp_path / "run", "last").step == step + 1


@pytest.mark.parametrize("interrupts", ["SIG_DFL", "SIG_IGN"])
def test_interrupt_saves_and_says_how_to_resume(recipe_file: Path, tmp_path: Path, interrupts: Interrupts) -> None:
    process = start_process(recipe_file, tmp_path / "run", interrupts)
    wait_for(tmp_path / "run/checkpoints/last.safetensors")
    os.kill(process.pid, signal.SIGINT)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"--run-dir {tmp_path / 'run'} --resume" in messages


def calibrated(events: list[object]) -> Calibrated:
    (event,) = (event for event in events if isinstance(event, Calibrated))
    return event


def test_the_best_checkpoint_is_calibrated_on_the_validation_clips(recipe_file: Path, tmp_path: Path) -> None:
    found = calibrated(run(recipe_file, tmp_path / "run")).tasks
    assert found["tone"].n_clips == 6
    assert RunFolder(tmp_path / "run").read_calibration(load_run(tmp_path / "run").step) == found
    assert load_run(tmp_path / "run").calibration == found


def test_a_finished_run_without_calibration_gets_it_when_resumed(recipe_file: Path, tmp_path: Path) -> None:
    first = calibrated(run(recipe_file, tmp_path / "run"))
    before = (tmp_path / "run/calibration.json").read_bytes()
    (tmp_path / "run/calibration.json").unlink()
    recalibrate(tmp_path / "run", {})
    assert calibrated(run(recipe_file, tmp_path / "run", resume=True)) == first
    assert (tmp_path / "run/calibration.json").read_bytes() == before
    assert load_run(tmp_path / "run").calibration == first.tasks


def test_a_second_resumption_keeps_the_calibration(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    before = RunFolder(tmp_path / "run").best.read_bytes()
    run(recipe_file, tmp_path / "run", resume=True)
    assert RunFolder(tmp_path / "run").best.read_bytes() == before


def test_a_run_begun_anew_has_no_calibration_of_the_one_before(recipe_file: Path, tmp_path: Path) -> None:
    run(recipe_file, tmp_path / "run")
    events = train_recipe(load_recipe(recipe_file, ["seed=9"]), tmp_path / "run", CPU, overwrite=True)
    while not isinstance(next(events), StepDone):
        pass
    events.close()
    assert not (tmp_path / "run/calibration.json").exists()


def test_no_validation_clips_no_calibration(recipe_file: Path, corpus: Path, tmp_path: Path) -> None:
    manifest = corpus.with_name("no_valid.csv")
    lines = corpus.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if ",valid," not in line))
    assert calibrated(run(recipe_file, tmp_path / "run", [f"tasks.tone.manifest={manifest}"])).tasks == {}
    assert not (tmp_path / "run/calibration.json").exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "run_dir={run}: holds a run already; continue it with resume"),
        ({"resume": True, "steps": 1}, "{run}: the run is at step 6, beyond training.steps=1"),
        ({"resume": True, "batch_size": 5}, "{run}: the recipe differs from the run's in training.batch_size"),
    ],
)
def test_messages_name_the_folder_and_the_argument(
    recipe_file: Path, tmp_path: Path, settings: dict[str, int], told: str
) -> None:
    run(recipe_file, tmp_path / "run")
    changed = [f"training.{key}={value}" for key, value in settings.items() if key != "resume"]
    with pytest.raises(UserError) as caught:
        run(recipe_file, tmp_path / "run", changed, resume="resume" in settings)
    assert str(caught.value).startswith(told.format(run=tmp_path / "run"))
