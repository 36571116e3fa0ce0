"""How several trainings are shown while they run, and what is said of them at the end."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import console, counted, on_terminal, say, visible
from audiostride.cli.stopping import stop_on_signal
from audiostride.errors import UserError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from audiostride.sweeps.plan import PlannedRun
    from audiostride.sweeps.processes import Progress

Jobs = Annotated[
    int,
    typer.Option("--jobs", metavar="N", help="Trainings that run side by side, with equal shares of the processors."),
]


def require_one_process(what: str) -> None:
    """Raise UserError under torchrun for a command that starts processes itself; `what` begins the message."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UserError(f"{what} of one process: start it without torchrun")


class Board:
    """Keep the state of every run, and show it: a line for what is new, or on a terminal a table in place."""

    def __init__(self, names: Sequence[str]) -> None:
        self.states: dict[str, str] = dict.fromkeys(names, "waiting")
        self.lines: dict[str, Sequence[str]] = {}  # the last that came
        self.steps: dict[str, str] = {}  # the last of them that tells how far it is

    def add(self, progress: "Progress") -> None:
        """Take what is new of a run."""
        began = self.states.get(progress.name) != progress.state
        self.states[progress.name] = progress.state
        if progress.lines:
            self.lines[progress.name] = progress.lines
        steps = [line for line in progress.lines if line.startswith("step ")]
        if steps:
            self.steps[progress.name] = steps[-1]
        if on_terminal():
            return
        if began:
            say(f"{progress.name}: {'finished before' if progress.state == 'skipped' else progress.state}")
        for line in steps if progress.state == "running" else ():
            say(f"{progress.name}: {line}")

    def of_state(self, *states: str) -> list[str]:
        """List the runs of some states."""
        return [name for name, state in self.states.items() if state in states]

    def summary(self) -> str:
        """Count the runs per state.

        >>> Board(["seed-0", "seed-1"]).summary()
        '2 runs: 2 waiting'
        """
        counts = {state: len(self.of_state(state)) for state in dict.fromkeys(self.states.values())}
        return f"{counted(len(self.states), 'run')}: " + ", ".join(f"{n} {state}" for state, n in counts.items())

    def render(self) -> "RenderableType":
        """Draw the counts, and a row for every run that is at work."""
        from rich.console import Group
        from rich.text import Text

        running = self.of_state("running")
        width = max(map(len, running), default=0)
        rows = [f"{name:{width}}  {self.steps.get(name) or self.lines.get(name, ('begins',))[-1]}" for name in running]
        return Group(*(Text(visible(row), no_wrap=True, overflow="ellipsis") for row in (self.summary(), *rows)))


def follow(events: "Iterator[Progress]", names: Sequence[str], stop: Event) -> Board:
    """Show trainings until they end."""
    from rich.live import Live

    board = Board(names)
    live = Live(console=console(stderr=True), transient=True)
    with stop_on_signal(stop, "stopping all runs after their step; again to stop at once"), live:
        for progress in events:
            board.add(progress)
            if on_terminal():
                live.update(board.render())
    say(board.summary())
    return board


def say_failure(run: Path, lines: Sequence[str]) -> None:
    """Name a run that failed, its log if it got as far as that, and what it said at last."""
    from audiostride.runs.folder import RunFolder

    log = RunFolder(run).log
    say(f"failed: {run.name}" + (f", log {log}" if log.exists() else ""))
    for line in lines:
        say(f"  {line}")


def train_many(
    recipe: Path,
    runs: "Sequence[PlannedRun]",
    parent: Path,
    *,
    overrides: Sequence[str],
    device: str,
    options: Sequence[str] = (),
    n_jobs: int,
    overwrite: bool,
) -> tuple[Board, int]:
    """Train runs, show how it goes, and return their states and the exit code: 1 for failures, 130 after Ctrl-C."""
    from audiostride.device import choose_device
    from audiostride.sweeps.run import train_runs

    choose_device(device)  # a mistake in it is told once
    stop = Event()
    events = train_runs(
        recipe,
        runs,
        parent,
        overrides=overrides,
        options=[*options, "--device", device],
        n_jobs=n_jobs,
        overwrite=overwrite,
        stop=stop,
    )
    say(f"{counted(len(runs), 'run')} in {parent}, {n_jobs} at once; Ctrl-C saves and stops")
    board = follow(events, [run.name for run in runs], stop)
    for name in board.of_state("failed"):
        say_failure(parent / name, board.lines.get(name, ()))
    if len(board.of_state("done", "skipped")) == len(runs):
        return board, 0
    say("run the same command again: it skips finished runs and resumes the others")
    return board, 130 if stop.is_set() else 1
