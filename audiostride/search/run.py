"""The trials of a search, trained side by side: each is drawn when a process is free, and told when it is over."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

from filelock import FileLock

from audiostride.build import read_task_manifests
from audiostride.errors import ArgumentError, UserError
from audiostride.recipe.schema import Recipe
from audiostride.runs.folder import RunFolder
from audiostride.search.results import write_results
from audiostride.search.space import Space, as_overrides, settings_of
from audiostride.search.study import Study, draw_at_random
from audiostride.sweeps.plan import PlannedRun, is_finished, plan_runs
from audiostride.sweeps.processes import Progress, Training, train_side_by_side
from audiostride.sweeps.run import check_jobs, make_training
from audiostride.sweeps.variants import N_RUNS_MAX, Variant

OPTION = "the space"  # for messages
N_TRIED = 50  # draws, to see whether the space holds any recipe


def check_trials(n_trials: int) -> None:
    """Raise ArgumentError for a number of trials that cannot be."""
    if not 1 <= n_trials <= N_RUNS_MAX:
        raise ArgumentError("trials", n_trials, f"expected 1 to {N_RUNS_MAX:,}")


def check_validation(recipe: Recipe) -> None:
    """Raise UserError for data without clips to validate on, by which trials are judged."""
    manifests = read_task_manifests(recipe).values()
    if not any(clip.split == "valid" for manifest in manifests for clip in manifest.clips):
        paths = ", ".join(dict.fromkeys(str(manifest.path) for manifest in manifests))
        raise UserError(f"{paths}: no clips in the split valid, by which trials are judged")


def plan_trial(recipe: Path, overrides: Sequence[str], name: str, settings: Sequence[str]) -> PlannedRun:
    """Make the run of a trial.

    Raises:
        UserError: its settings do not go together.
    """
    (run,) = plan_runs(recipe, overrides, [(Variant(name, tuple(settings), OPTION),)])
    return run


def check_space(recipe: Path, overrides: Sequence[str], space: Space) -> None:
    """Raise UserError if no draw from the space, of the first fifty, is a recipe."""
    problems = []
    for i in range(N_TRIED):
        drawn = settings_of(space, draw_at_random(space, seed=i))
        try:
            plan_trial(recipe, overrides, "trial", as_overrides(drawn))
        except UserError as error:
            problems.append(str(error))
        else:
            return
    raise UserError(f"{N_TRIED} draws from the space, and none is a recipe; the first says:\n{problems[0]}")


def validations(run: Path) -> dict[int, float]:
    """Read the mean validation of a run, by step."""
    lines = RunFolder(run).read_metrics()
    return {line["step"]: line["mean"] for line in lines if line.get("mean") is not None}


class _Trainer:
    """Train trials and keep the study up to date."""

    def __init__(self, study: Study, recipe: Path, overrides: Sequence[str], options: Sequence[str]) -> None:
        self.study, self.folder = study, study.folder
        self.recipe, self.overrides, self.options = recipe, overrides, options
        self.locks: dict[str, tuple[int, FileLock]] = {}
        self.pruned: set[str] = set()
        self.settled: list[Progress] = []  # without a training

    def trainings(self, n_trials: int) -> Iterator[Training]:
        """Draw one trial after the other; what is no recipe, or finished already, is settled at once."""
        while (taken := self.study.take(n_trials)) is not None:
            trial, lock = taken
            name = self.folder.name(trial.number)
            self.locks[name] = trial.number, lock
            try:
                run = plan_trial(self.recipe, self.overrides, name, as_overrides(trial.settings))
            except UserError as error:
                self.settled.append(self.settle(Progress(name, "failed", tuple(str(error).split("\n")))))
                continue
            if is_finished(RunFolder(self.folder.run(trial.number)), run.recipe):
                self.settled.append(self.settle(Progress(name, "done")))
                continue
            yield make_training(self.recipe, run, self.folder.path, overrides=self.overrides, options=self.options)

    def settle(self, progress: Progress) -> Progress:
        """Tell the study what has become of a trial, and free it."""
        number, lock = self.locks[progress.name]
        found = validations(self.folder.run(number))
        if progress.state == "stopped" and progress.name in self.pruned:
            progress = Progress(progress.name, "pruned", progress.lines)
        if progress.state in ("done", "pruned") and found:
            self.study.finish(number, max(found.values()), pruned=progress.state == "pruned")
        elif progress.state != "stopped":
            self.study.fail(number, "\n".join(progress.lines) or "no validation in its log")
        write_results(self.study)
        lock.release()
        del self.locks[progress.name]
        return progress

    def judge(self, name: str) -> None:
        """Stop a trial that is worse than the median of the others."""
        number, _ = self.locks[name]
        if name not in self.pruned and self.study.report(number, validations(self.folder.run(number))):
            self.pruned.add(name)

    def release(self) -> None:
        """Free the trials that are not over."""
        for _, lock in self.locks.values():
            lock.release()


def search_recipe(
    study: Study,
    recipe: Path,
    n_trials: int,
    *,
    overrides: Sequence[str] = (),
    options: Sequence[str] = (),
    n_jobs: int = 1,
    prune: bool = False,
    stop: Event | None = None,
) -> Iterator[Progress]:
    """Train trials until there are `n_trials` in the study, and yield what is new.

    Trials that were interrupted go on, unless another process works on them.

    Args:
        study: whose trials are drawn.
        recipe: path of the recipe.
        n_trials: in all, those of other processes and those that failed among them.
        overrides: settings that all trials have.
        options: further ones of `audiostride train`.
        n_jobs: processes at once.
        prune: stop a trial whose validation is below the median of the others at the same step.
        stop: when set, trials save themselves and end, and no other begins.
    """
    check_jobs(n_jobs)
    trainer = _Trainer(study, recipe, overrides, options)
    try:
        trainings = trainer.trainings(n_trials)
        for progress in train_side_by_side(trainings, n_jobs, stop or Event(), trainer.pruned):
            yield from _taken(trainer.settled)
            if progress.state != "running":
                yield trainer.settle(progress)
                continue
            yield progress
            if prune and progress.lines:
                trainer.judge(progress.name)
        yield from _taken(trainer.settled)
    finally:
        trainer.release()


def _taken(settled: list[Progress]) -> list[Progress]:
    """Empty a list, and give what was in it."""
    taken, settled[:] = list(settled), []
    return taken
