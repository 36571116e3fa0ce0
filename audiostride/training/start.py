"""What comes before the first step of a run: what it is asked to do, checked on all ranks or on the first."""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from filelock import FileLock, Timeout

from audiostride.build import map_size, stuck_text
from audiostride.device import choose_device
from audiostride.errors import ArgumentError, UserError
from audiostride.files import write_text_atomic
from audiostride.models.registry import check_backbone
from audiostride.ranks import Ranks
from audiostride.recipe.reader import load_recipe, recipe_of
from audiostride.recipe.schema import Recipe
from audiostride.runs.checkpoint import Checkpoint, load_checkpoint
from audiostride.runs.folder import RunFolder
from audiostride.training.environment import describe_environment
from audiostride.training.finetune import adopt_settings, load_origin
from audiostride.training.fingerprint import Fingerprint, check_same_data
from audiostride.training.state import RunState
from audiostride.training.tensorboard_log import remove_events

THIS_PROCESS = uuid.uuid4().hex


def checked(recipe: Recipe | Mapping[str, object] | Path | str) -> Recipe:
    """Give a recipe, its keys and values, or the path of its file as a recipe; UserError for one that is wrong."""
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Path | str):
        return load_recipe(Path(recipe))
    return recipe_of(recipe)


@dataclass(frozen=True)
class Plan:
    """What a run will do: the recipe with the settings of a run that it begins from, and whether it goes on."""

    recipe: Recipe
    resume: bool


def plan_run(recipe: Recipe, run_dir: Path, ranks: Ranks, *, resume: bool, overwrite: bool) -> Plan:
    """Decide what a run will do; a run that this launch has begun before its processes were restarted goes on.

    Raises:
        UserError: the recipe or the folder does not permit it.
    """
    resume = resume or _has_begun(run_dir, ranks)
    check_run_dir(run_dir, resume=resume, overwrite=overwrite)
    origin = _find_origin(recipe, run_dir, resume=resume)
    return Plan(recipe if origin is None else adopt_settings(recipe, origin), resume)


def _note_of(run_dir: Path) -> str:
    return f"run {run_dir.absolute()}"


def _has_begun(run_dir: Path, ranks: Ranks) -> bool:
    """Tell whether a process of this launch that has ended since has begun the run."""
    return RunFolder(run_dir).exists() and ranks.noted(_note_of(run_dir)) not in (None, THIS_PROCESS)


def own_device(device: str | torch.device, ranks: Ranks, recipe: Recipe) -> torch.device:
    """Find the device of this rank.

    Raises:
        UserError: there is no such device, ranks cannot share it, or it lacks the precision of the recipe.
    """
    found = choose_device(device)
    if recipe.training.precision == "fp64" and found.type == "mps":
        raise UserError("training.precision=fp64: the device mps has no such numbers, expected fp32 or --device cpu")
    if ranks.n == 1:
        return found
    if found.type == "mps" or found.index is not None:
        raise ArgumentError(
            "device", device, f"each of {ranks.n} processes trains on cpu, or with cuda on a GPU of its own"
        )
    return torch.device("cuda", torch.cuda.current_device()) if found.type == "cuda" else found


def check_together(recipe: Recipe, ranks: Ranks) -> None:
    """Check what all ranks need.

    Raises:
        UserError: a rank does not know the backbone, or a part of a batch has fewer rows than there are ranks.
    """
    ranks.together(lambda: check_backbone(recipe.model.backbone))
    settings = recipe.training
    if settings.batch_size // settings.accumulate < ranks.n:
        raise ranks.once(
            UserError(
                f"training.batch_size={settings.batch_size} in {settings.accumulate} part(s) (training.accumulate): "
                f"expected a row in each part for each of {ranks.n} processes"
            )
        )


def check_shared_data(data: Fingerprint, ranks: Ranks) -> None:
    """Raise DataError unless all ranks have decoded the same recordings; their paths may differ."""
    if ranks.n > 1:
        checksums = json.dumps([checksum for _, checksum in data])
        ranks.check_equal("the recordings", hashlib.sha256(checksums.encode()).hexdigest())


def _find_origin(recipe: Recipe, run_dir: Path, *, resume: bool) -> Checkpoint | None:
    """Find the checkpoint of the trunk: the run to begin from, or the run itself once it has a checkpoint."""
    last = RunFolder(run_dir).last
    return load_checkpoint(last) if recipe.init_from and resume and last.is_file() else load_origin(recipe)


@contextmanager
def sole_trainer(run_dir: Path) -> Iterator[None]:
    """Hold the lock of `run_dir`, which ends with the process however it ends."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(RunFolder(run_dir).lock, timeout=0):
            yield
    except Timeout as error:
        raise UserError(f"{run_dir}: another process is training there") from error


def check_run_dir(run_dir: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise UserError unless a run may be started (or resumed) in `run_dir`."""
    if resume and not RunFolder(run_dir).exists():
        raise ArgumentError("run_dir", run_dir, "holds no run, so there is none to resume; start it without --resume")
    if not resume and not overwrite and RunFolder(run_dir).exists():
        raise ArgumentError(
            "run_dir",
            run_dir,
            "holds a run already; continue it with resume (--resume), replace it with overwrite (--overwrite), "
            "or choose another folder",
        )
    if run_dir.exists() and not run_dir.is_dir():
        raise ArgumentError("run_dir", run_dir, "is a file, expected a folder for the run")


def load_state(state: RunState, data: Fingerprint, plan: Plan, *, allow_changed_data: bool) -> None:
    """Bring a run to where it goes on from: its last checkpoint, another run, or fresh weights.

    Raises:
        UserError: data or recipe are not those of the run, or its state is damaged. DataError: the classes differ.
    """
    if plan.resume:
        if not allow_changed_data and state.run.last.is_file():
            state.add_note(check_same_data(state.run, data))
        state.resume()
    origin = _find_origin(plan.recipe, state.run.path, resume=plan.resume) if state.step == 0 else None
    if origin is not None:
        state.begin_from(origin)
    state.add_note(_stuck_strides(state))
    if plan.recipe.training.compile and not state.replica.can_compile:
        state.add_note("training.compile: batch norms over the rows of several processes are not compiled")


def start_folder(state: RunState, data: Fingerprint) -> None:
    """Make the folder that of a run which goes on from where `state` stands, removing what came after it."""
    run, step, ranks = state.run, state.step, state.replica.ranks
    run.checkpoints.mkdir(exist_ok=True)
    kept = [line for line in run.read_metrics() if line["step"] <= step]
    if step == 0:
        for path in (run.best, run.last, *run.states(), run.calibration, run.thresholds):
            path.unlink(missing_ok=True)
        remove_events(run)
    write_text_atomic(run.metrics, "".join(json.dumps(line) + "\n" for line in kept))
    write_text_atomic(run.recipe, yaml.safe_dump(state.recipe.model_dump(mode="json"), sort_keys=False))
    environment = describe_environment(state.device, n_processes=ranks.n)
    write_text_atomic(run.environment, json.dumps(environment, indent=2))
    write_text_atomic(run.data, json.dumps(data, indent=0))
    ranks.note(_note_of(run.path), THIS_PROCESS)


def _stuck_strides(state: RunState) -> str | None:
    """Name the strides that cannot learn at the sizes of the recipe's windows, and the cure."""
    stuck = state.model.strided_backbone.stuck_strides(*map_size(state.recipe))
    return stuck_text(state.recipe, stuck) if stuck else None
