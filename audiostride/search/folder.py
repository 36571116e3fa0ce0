"""The folder of a search: what lies in it, and what it was begun with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from audiostride.errors import ArgumentError, UserError, listing
from audiostride.files import write_text_atomic
from audiostride.recipe.schema import Recipe
from audiostride.runs.folder import RunFolder
from audiostride.search.space import Space, describe_space
from audiostride.training.state import changed_keys


@dataclass(frozen=True)
class SearchFolder:
    """The paths of a search, whether it is there or not; its runs are folders beside these files.

    >>> SearchFolder(Path("runs/demo-search")).run(7).as_posix()
    'runs/demo-search/trial-0007'
    """

    path: Path

    @property
    def settings(self) -> Path:
        """Locate what the search was begun with."""
        return self.path / "search.json"

    @property
    def journal(self) -> Path:
        """Locate the journal of Optuna, from which all else is made."""
        return self.path / "optuna.log"

    @property
    def table(self) -> Path:
        """Locate the trials as a table."""
        return self.path / "trials.csv"

    @property
    def trials(self) -> Path:
        """Locate the trials with all that is known of them."""
        return self.path / "trials.json"

    @property
    def best(self) -> Path:
        """Locate the recipe of the best trial."""
        return self.path / "best.yaml"

    def name(self, number: int) -> str:
        """Name a trial."""
        return f"trial-{number:04}"

    def run(self, number: int) -> Path:
        """Locate the run of a trial."""
        return self.path / self.name(number)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only process that reads and writes the files of the search; it lasts moments."""
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / ".lock"):
            yield

    def try_trial(self, number: int) -> FileLock | None:
        """Take the lock of a trial, which ends with the process however it ends.

        Returns:
            None if another process has it, or if a training that was left alone still runs.
        """
        lock, training = FileLock(self.path / f".{self.name(number)}.lock"), FileLock(RunFolder(self.run(number)).lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        try:
            if self.run(number).is_dir():
                training.acquire(timeout=0)
                training.release()
        except Timeout:
            lock.release()
            return None
        return lock

    def begin(self, recipe: Recipe, space: Space, sampler: str, seed: int) -> None:
        """Note what the search is begun with; where that stands already, check that it is the same.

        Raises:
            UserError: the folder is of another search, or of something else.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ArgumentError("output", self.path, "is a file, expected a folder for the search")
        if RunFolder(self.path).exists():
            raise ArgumentError("output", self.path, "holds a run, expected a folder for the search")
        now: dict[str, Any] = {
            "recipe": recipe.model_dump(mode="json"),
            "space": describe_space(space),
            "sampler": sampler,
            "seed": seed,
        }
        with self.lock():
            if not self.settings.exists():
                write_text_atomic(self.settings, json.dumps(now, indent=1) + "\n")
                return
            if changed := self._changed(recipe, now):
                raise ArgumentError(
                    "output",
                    self.path,
                    f"holds a search with other settings; choose another folder, or delete it:\n{listing(changed)}",
                )

    def _changed(self, recipe: Recipe, now: dict[str, Any]) -> list[str]:
        try:
            before = json.loads(self.settings.read_text())
            begun = Recipe.model_validate_json(json.dumps(before["recipe"]))
            changed = [f"the recipe: {key}" for key in changed_keys(begun, recipe)]
            if begun.training.steps != recipe.training.steps:
                changed.append("the recipe: training.steps")
            keys = dict.fromkeys((*before["space"], *now["space"]))
            changed += [f"the space: {key}" for key in keys if before["space"].get(key) != now["space"].get(key)]
            changed += [f"--{name} {before[name]}" for name in ("sampler", "seed") if before[name] != now[name]]
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
            raise UserError(f"{self.settings}: damaged ({type(error).__name__}), expected what search wrote") from error
        return changed
