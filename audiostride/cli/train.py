"""`audiostride train`: a recipe in, a run folder out."""

import time
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiostride.cli.console import console, duration, on_terminal, progress, say, visible
from audiostride.cli.dry_run import show_dry_run
from audiostride.cli.options import Device, Overrides, ShowAll
from audiostride.cli.run_dirs import default_run_dir, several_runs_dir
from audiostride.cli.stopping import stop_on_signal
from audiostride.cli.sweep import Jobs, train_many
from audiostride.errors import UserError

if TYPE_CHECKING:
    import torch
    from rich.console import RenderableType

    from audiostride.evaluation.calibration import Calibration
    from audiostride.recipe.schema import Recipe
    from audiostride.training.events import Started
    from audiostride.vocabulary import Measure


def _per_task(values: dict[str, float], form: str) -> str:
    return "  ".join(f"{task} {value:{form}}" for task, value in values.items())


def _measured(scores: dict[str, float], measures: dict[str, "Measure"]) -> str:
    """Name every measure once, with the tasks that are measured by it.

    >>> _measured({"words": 0.9, "birds": 0.5}, {"words": "accuracy", "birds": "map"})
    'accuracy words 0.900  mAP birds 0.500'
    """
    from audiostride.evaluation.measures import NAMES

    of_measure: dict[str, dict[str, float]] = {}
    for task, score in scores.items():
        of_measure.setdefault(NAMES[measures[task]], {})[task] = score
    return "  ".join(f"{name} {_per_task(of_tasks, '.3f')}" for name, of_tasks in of_measure.items())


class _Display:
    """Show one line per log entry, or on a terminal a few lines that stay in place."""

    def __init__(self, started: "Started") -> None:
        self.n_steps, self.first_step, self.began = started.n_steps, started.first_step, time.monotonic()
        self.validation = "not yet" if started.n_validation_clips else "none: no clips in the split valid"
        self.best = ""
        self.scores: dict[str, float] = {}
        self.line: dict[str, Any] = {}

    def _left(self, step: int) -> str:
        done = step - self.first_step
        return duration((time.monotonic() - self.began) / done * (self.n_steps - step)) if done else "?"

    @staticmethod
    def _speed(line: dict[str, Any]) -> str:
        return f"{line['windows_per_s']:.0f} windows/s, waiting for data {line['waiting_share']:.1%}"

    def log(self, line: dict[str, Any]) -> None:
        if "validation" in line:
            if not line["validation"]:
                return
            self.scores = line["validation"]
            shown = _measured(line["validation"], line["measures"])
            self.validation = shown + ("  (best)" if line["is_best"] else "")
            if line["is_best"]:
                self.best = f", best at step {line['step']}: {shown}"
            if not on_terminal():
                say(f"step {line['step']}/{self.n_steps}  validation {self.validation}")
            return
        self.line = line
        if not on_terminal():
            say(
                f"step {line['step']}/{self.n_steps}  loss {_per_task(line['loss'], '.3f')}  "
                f"{self._speed(line)}  left {self._left(line['step'])}"
            )

    def render(self, step: int) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        rows = [f"step {step} of {self.n_steps}, left {self._left(step)}"]
        if self.line:
            rows += [
                f"loss        {_per_task(self.line['loss'], '.3f')}",
                f"accuracy    {_per_task(self.line['accuracy'], '.2f')}  (of the batch)",
                f"validation  {self.validation}",
                *(
                    f"strides     {axis:9}  " + "  ".join(f"{stride:.2f}" for stride in strides)
                    for axis, strides in self.line["strides"].items()
                ),
                f"speed       {self._speed(self.line)}",
            ]
        bar = ProgressBar(total=self.n_steps, completed=step)
        return Group(bar, *(Text(visible(row), no_wrap=True, overflow="ellipsis") for row in rows))


def _calibration_text(task: str, fitted: "Calibration") -> str:
    """Say what a fitted temperature does, and whether it is used."""
    from audiostride.evaluation.calibration import N_FOLDS

    clips = f"{task}: on {fitted.n_clips} validation clips the calibration error is {fitted.ece_before:.3f}"
    if fitted.n_clips < N_FOLDS:
        return f"{clips}; they are too few to fit a temperature"
    if fitted.kept:
        return f"{clips}, {fitted.ece_after:.3f} with the temperature {fitted.temperature:.2f}, which is kept"
    return f"{clips}, {fitted.ece_after:.3f} with a fitted temperature, which is not kept"


def _train(
    recipe: "Recipe",
    run_dir: Path,
    device: "torch.device",
    *,
    resume: bool,
    overwrite: bool,
    allow_changed_data: bool,
    tensorboard: bool,
) -> int:
    """Train, show how it goes, and return the exit code."""
    from rich.live import Live

    from audiostride.evaluation.majority import majority_text
    from audiostride.evaluation.measures import NAMES
    from audiostride.runs.folder import RunFolder
    from audiostride.training.events import Calibrated, Logged, Started, StepDone, Stopped
    from audiostride.training.run import train_recipe
    from audiostride.training.tensorboard_log import TENSORBOARD, TensorboardLog

    stop = Event()
    try:
        with progress("decoding") as on_decode:
            events = train_recipe(
                recipe,
                run_dir,
                device,
                resume=resume,
                overwrite=overwrite,
                stop=stop,
                on_decode=on_decode,
                allow_changed_data=allow_changed_data,
            )
            started = next(events)
    except KeyboardInterrupt:
        say("interrupted before the first step; nothing is saved but what was decoded")
        return 130
    assert isinstance(started, Started)
    if started.note:
        say(started.note)
    say(f"training in {run_dir} on {device}, step {started.first_step} to {started.n_steps}; Ctrl-C saves and stops")
    if tensorboard:
        say(f"watch: tensorboard --logdir {run_dir / TENSORBOARD}")
    display = _Display(started)
    written = TensorboardLog(run_dir, started.first_step) if tensorboard else nullcontext()
    live = Live(console=console(stderr=True), transient=True)
    with stop_on_signal(stop, "stopping after this step; again to stop at once"), written as scalars, live:
        for event in events:
            if isinstance(event, Logged):
                display.log(event.values)
                if scalars is not None:
                    scalars.add(event.values)
            elif isinstance(event, StepDone) and on_terminal():
                live.update(display.render(event.step))
            elif isinstance(event, Calibrated):
                calibration = event.tasks
            elif isinstance(event, Stopped) and not event.finished:
                say(f"saved at step {event.step}; go on with:")
                say(f"  audiostride train {RunFolder(run_dir).recipe} --run-dir {run_dir} --resume")
                return 130
            elif isinstance(event, Stopped):
                stopped = event
    for task, fitted in calibration.items():
        say(_calibration_text(task, fitted))
    if stopped.early:
        say(
            f"{run_dir}: ended at step {stopped.step} of {started.n_steps}, no new best in the last "
            f"{recipe.training.early_stop_after} validations; go on with --resume --set training.early_stop_after=null"
        )
        if started.first_step == stopped.step:
            return 0
    elif started.first_step == started.n_steps:
        say(f"{run_dir}: all {started.n_steps} steps were done before; more with --set training.steps=N")
        return 0
    for task, (name, reached) in started.trivial.items():
        if display.scores.get(task, 1.0) <= reached:
            measure = NAMES[started.measures[task]]
            say(f"{task}: the validation {measure} is {majority_text(name)} ({reached:.3f})")
    if started.unheard:
        say(
            f"{', '.join(started.unheard)}: this model has never heard silence, noise or other sounds, and will take "
            "them for one of its classes; tasks.NAME.background names a class of such sounds"
        )
    say(f"done: {run_dir}  validation {display.validation}{display.best}")
    strides = f", audiostride strides {run_dir}" if display.line.get("strides") else ""
    say(f"next: audiostride eval {run_dir}{strides}")
    return 0


def command(
    recipe: Annotated[Path, typer.Argument(help="Recipe in YAML, or the name of one of the package, as in demo.")],
    *,
    overrides: Overrides = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0-4|1,2,5", help="Train a run for each of these seeds, below --run-dir.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B,C",
            help="Train a run for each value of a key, below --run-dir; several times: for each combination.",
        ),
    ] = None,
    jobs: Jobs = 1,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            help="Run folder; by default runs/ and the recipe's path below recipes, for several runs with -runs."
        ),
    ] = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder.")] = False,
    allow_changed_data: Annotated[
        bool,
        typer.Option("--allow-changed-data", help="With --resume: go on although recordings or rows have changed."),
    ] = False,
    show_all: ShowAll = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="One real batch: layers, memory and time; no run is written.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write scalars into RUN/tensorboard; needs the extra tensorboard.")
    ] = False,
) -> None:
    """Train a recipe, once or with several seeds and settings.

    Several runs have a folder each below --run-dir, named by what differs. The same command goes on after an
    interruption: finished runs are skipped, others are resumed.
    """
    from audiostride.recipe.reader import load_recipe
    from audiostride.recipe.shipped import check_prepared, find_recipe
    from audiostride.training.tensorboard_log import require_tensorboard

    if tensorboard:
        require_tensorboard()
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other")
    recipe = find_recipe(recipe)
    several = seeds is not None or bool(grid)
    if several and dry_run:
        raise UserError("--dry-run is of one run: leave out --seeds and --grid")
    if jobs != 1 and not several:
        raise UserError("--jobs is of several runs: name them with --seeds or --grid")
    if several:
        from audiostride.sweeps.plan import plan_runs
        from audiostride.sweeps.variants import parse_grid, parse_seeds

        axes = [*map(parse_grid, grid or ()), *([] if seeds is None else [parse_seeds(seeds)])]
        options = [
            *(["--allow-changed-data"] if allow_changed_data else []),
            *(["--tensorboard"] if tensorboard else []),
            *(["--all"] if show_all else []),
        ]
        _, code = train_many(
            recipe,
            plan_runs(recipe, overrides or (), axes),
            several_runs_dir(recipe, "runs") if run_dir is None else run_dir,
            overrides=overrides or (),
            device=device,
            options=options,
            n_jobs=jobs,
            overwrite=overwrite,
        )
        raise typer.Exit(code)
    checked = load_recipe(recipe, overrides or ())
    check_prepared(recipe, (task.manifest for task in checked.tasks.values()))
    folder = default_run_dir(recipe) if run_dir is None else run_dir

    from audiostride.device import choose_device

    chosen = choose_device(device)
    if dry_run:
        show_dry_run(checked, chosen)
    else:
        exit_code = _train(
            checked,
            folder,
            chosen,
            resume=resume,
            overwrite=overwrite,
            allow_changed_data=allow_changed_data,
            tensorboard=tensorboard,
        )
        raise typer.Exit(exit_code)
