"""The trials of a search in Optuna's journal, from which several processes and machines draw."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from filelock import FileLock
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from audiostride.search.folder import SearchFolder
from audiostride.search.space import Choices, Parameter, Space, settings_of
from audiostride.vocabulary import Sampler

SEED_STRIDE = 1_000_003  # between searches, so that the seeds of their trials differ
N_RANDOM = 10
REASON = "reason"
optuna.logging.set_verbosity(optuna.logging.ERROR)  # what there is to say the command says
NAME = "audiostride"

State = Literal["running", "done", "pruned", "failed"]
STATES: dict[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class TrialResult:
    """A trial of a search.

    Attributes:
        number: counted from 0.
        state: of it now.
        settings: its values of the keys that are searched.
        value: the best validation; of a trial that was pruned the last that it was judged by.
        seconds: from its beginning to its end, breaks included; None until it has ended.
        reason: why it failed.
    """

    number: int
    state: State
    settings: Mapping[str, Any]
    value: float | None
    seconds: float | None
    reason: str | None


class _FileLock(JournalFileOpenLock):
    """Lock a journal by a lock that ends with its process, and cut off a line that a process has left unfinished."""

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self.journal, self._lock = journal, FileLock(journal.with_name(f".{journal.name}.lock"))

    def acquire(self) -> bool:
        self._lock.acquire()
        if self.journal.exists() and not self._is_whole():
            os.truncate(self.journal, self.journal.read_bytes().rfind(b"\n") + 1)
        return True

    def _is_whole(self) -> bool:
        with self.journal.open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                return True
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def release(self) -> None:
        self._lock.release()


def _distribution(parameter: Parameter) -> BaseDistribution:
    domain = parameter.domain
    if isinstance(domain, Choices):
        return CategoricalDistribution(domain.texts)
    if domain.kind == "int":
        return IntDistribution(int(domain.low), int(domain.high), domain.log, int(domain.step or 1))
    return FloatDistribution(domain.low, domain.high, domain.log, domain.step)


def draw_at_random(space: Space, seed: int) -> dict[str, Any]:
    """Draw a point of a space, which is no trial of any search."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return study.ask(_distributions(space)).params


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    return {name: _distribution(parameter) for parameter in space for name in parameter.names}


class Study:
    """Draw trials and keep what became of them.

    The values of a trial depend on the seed, its number and what had become of those before when it was drawn, not on
    the process that drew it.

    Args:
        folder: of the search.
        space: from which is drawn.
        sampler: how: `random`, or `tpe` with the tree-structured Parzen estimator (Bergstra et al. 2011).
        seed: of the draws.
        n_random: trials that `tpe` draws at random before it models them.
    """

    def __init__(
        self,
        folder: SearchFolder,
        space: Space,
        sampler: Sampler = "tpe",
        seed: int = 0,
        n_random: int = N_RANDOM,
    ) -> None:
        self.folder, self.space, self.sampler, self.seed, self.n_random = folder, space, sampler, seed, n_random
        self.distributions = _distributions(space)
        with folder.lock():
            backend = JournalFileBackend(str(folder.journal), _FileLock(folder.journal))
            self._study = optuna.create_study(
                storage=JournalStorage(backend),
                study_name=NAME,
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(),
            )

    def trials(self) -> list[TrialResult]:
        """List all trials, also those of other processes, in the order of their numbers."""
        return [self._result(trial) for trial in self._study.get_trials(deepcopy=False)]

    def _result(self, trial: FrozenTrial) -> TrialResult:
        is_over = trial.datetime_complete is not None and trial.datetime_start is not None
        seconds = (trial.datetime_complete - trial.datetime_start).total_seconds() if is_over else None  # type: ignore[operator]
        is_drawn = set(trial.params) == set(self.distributions)  # or its process has ended while it drew
        settings = settings_of(self.space, trial.params) if is_drawn else {}
        return TrialResult(
            trial.number, STATES[trial.state], settings, trial.value, seconds, trial.user_attrs.get(REASON)
        )

    def take(self, n_trials: int) -> tuple[TrialResult, FileLock] | None:
        """Take a trial that no process works on: one that was interrupted, or a new one while there are too few.

        Returns:
            The trial with its lock, which keeps other processes from it; None once there are `n_trials`.
        """
        with self.folder.lock():
            trials = self.trials()
            for trial in trials:
                if trial.state == "running" and (lock := self.folder.try_trial(trial.number)) is not None:
                    if trial.settings:
                        return trial, lock
                    self.fail(trial.number, "its process ended before it was drawn")
                    lock.release()
            if len(trials) >= n_trials:
                return None
            self._study.sampler = self._make_sampler(len(trials))
            drawn = self._study.ask(self.distributions)
            lock = self.folder.try_trial(drawn.number)
            assert lock is not None, "the lock of the search keeps others from a new trial"
            return self.trials()[drawn.number], lock

    def _make_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = (self.seed * SEED_STRIDE + number) % 2**32
        if self.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.n_random)

    def report(self, number: int, values: Mapping[int, float]) -> bool:
        """Note validations by step; tell whether the last one is below the median of other trials at that step."""
        trial = self._study.get_trials(deepcopy=False)[number]
        new = {step: value for step, value in values.items() if step not in trial.intermediate_values}
        reporter = Trial(self._study, trial._trial_id)
        for step, value in new.items():
            reporter.report(value, step)
        return bool(new) and reporter.should_prune()

    def finish(self, number: int, value: float, *, pruned: bool = False) -> None:
        """Note that a trial is over, with its best validation."""
        self._study.tell(number, None if pruned else value, TrialState.PRUNED if pruned else TrialState.COMPLETE)

    def fail(self, number: int, reason: str) -> None:
        """Note that a trial failed, and why."""
        trial = self._study.get_trials(deepcopy=False)[number]
        Trial(self._study, trial._trial_id).set_user_attr(REASON, reason)
        self._study.tell(number, state=TrialState.FAIL)


def best_of(trials: list[TrialResult]) -> TrialResult | None:
    """Find the trial with the best validation among those that are done, the first of several."""
    done = [trial for trial in trials if trial.state == "done" and trial.value is not None]
    return max(done, key=lambda trial: trial.value or 0.0, default=None)
