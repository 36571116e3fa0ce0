"""The runs of a plan: what is finished is skipped, what was interrupted goes on, the rest begins."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

from audiostride.errors import ArgumentError
from audiostride.runs.folder import RunFolder
from audiostride.sweeps.plan import PlannedRun, check_folders, is_finished
from audiostride.sweeps.processes import Progress, Training, train_side_by_side

N_JOBS_MAX = 64


def check_jobs(n_jobs: int) -> None:
    """Raise ArgumentError for a number of processes that cannot be."""
    if not 1 <= n_jobs <= N_JOBS_MAX:
        raise ArgumentError("jobs", n_jobs, f"expected 1 to {N_JOBS_MAX} processes")


def make_training(
    recipe: Path,
    run: PlannedRun,
    parent: Path,
    *,
    overrides: Sequence[str] = (),
    options: Sequence[str] = (),
    overwrite: bool = False,
) -> Training:
    """Say how `audiostride train` begins a planned run, or goes on with it; the arguments are those of `train_runs`."""
    folder = RunFolder(parent / run.name)
    arguments = [str(recipe), "--run-dir", str(folder.path), *options]
    arguments += [part for setting in (*overrides, *run.settings) for part in ("--set", setting)]
    arguments += ["--overwrite"] if overwrite else ["--resume"] if folder.exists() else []
    return Training(run.name, folder.path, arguments)


def train_runs(
    recipe: Path,
    runs: Sequence[PlannedRun],
    parent: Path,
    *,
    overrides: Sequence[str] = (),
    options: Sequence[str] = (),
    n_jobs: int = 1,
    overwrite: bool = False,
    stop: Event | None = None,
) -> Iterator[Progress]:
    """Train every run in a folder below `parent`, and yield what is new; a generator that begins when it is iterated.

    Args:
        recipe: path of the recipe.
        runs: as `plan_runs` made them of it.
        parent: of the folders; made if it is not there.
        overrides: settings that all runs have.
        options: further ones of `audiostride train`.
        n_jobs: processes at once.
        overwrite: begin all runs anew.
        stop: when set, runs save themselves and end, and no other begins.

    Raises:
        UserError: the folders hold something else. What goes wrong in a run is told as its state.
    """
    check_jobs(n_jobs)
    check_folders(parent, runs, overwrite=overwrite)
    trainings = []
    for run in runs:
        if not overwrite and is_finished(RunFolder(parent / run.name), run.recipe):
            yield Progress(run.name, "skipped")
            continue
        trainings.append(make_training(recipe, run, parent, overrides=overrides, options=options, overwrite=overwrite))
    yield from train_side_by_side(trainings, n_jobs, stop or Event())
