"""`audiostride train`: a recipe in, a run folder out."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import console, on_terminal, progress, say
from audiostride.cli.dry_run import show_dry_run
from audiostride.cli.options import Device, Overrides, ShowAll
from audiostride.cli.run_dirs import default_run_dir, several_runs_dir
from audiostride.cli.stopping import stop_on_signal
from audiostride.cli.sweep import Jobs, require_one_process, train_many
from audiostride.cli.train_display import Display, calibration_text, in_lines, say_folded
from audiostride.errors import UserError

if TYPE_CHECKING:
    from audiostride.ranks import Ranks
    from audiostride.recipe.schema import Recipe


EXAMPLES = """
audiostride train demo
audiostride train birds.yaml --dry-run
audiostride train birds.yaml --set training.steps=500
audiostride train birds.yaml --seeds 0-4 --jobs 2
audiostride train birds.yaml --resume
"""


LAUNCHER_S = 2.0  # a launcher passes a signal on to processes that may have had it already


def _train(
    recipe: "Recipe",
    run_dir: Path,
    device: str,
    ranks: "Ranks",
    *,
    resume: bool,
    overwrite: bool,
    allow_changed_data: bool,
    tensorboard: bool,
) -> int:
    """Train, show how it goes on the first of the ranks, and return the exit code."""
    from rich.live import Live

    from audiostride.evaluation.majority import majority_text
    from audiostride.evaluation.measures import NAMES
    from audiostride.runs.folder import RunFolder
    from audiostride.training.events import Calibrated, Logged, Started, StepDone, Stopped
    from audiostride.training.run import train_recipe
    from audiostride.training.tensorboard_log import TensorboardLog

    stop, run = Event(), RunFolder(run_dir)
    try:
        with progress("decoding") if ranks.is_first else nullcontext() as on_decode:
            events = train_recipe(
                recipe,
                run_dir,
                device,
                resume=resume,
                overwrite=overwrite,
                stop=stop,
                on_decode=on_decode,
                allow_changed_data=allow_changed_data,
                ranks=ranks,
            )
            started = next(events)
    except KeyboardInterrupt:
        if ranks.is_first:
            say("interrupted before the first step; only decoded recordings are kept, so start again without --resume")
        return 130
    assert isinstance(started, Started)
    patience_s = LAUNCHER_S if ranks.n > 1 else 0.0
    if not ranks.is_first:
        with stop_on_signal(stop, None, patience_s):
            finished = [event.finished for event in events if isinstance(event, Stopped)]
        return 0 if finished == [True] else 130
    if started.note:
        say_folded(started.note)
    shown = f"{started.device}" if ranks.n == 1 else f"{ranks.n} processes, {started.device}"
    say_folded(
        f"training in {run_dir} on {shown}, step {started.first_step} to {started.n_steps}; Ctrl-C saves and stops"
    )
    if tensorboard:
        say(f"watch: tensorboard --logdir {run.tensorboard}")
    display = Display(started)
    written = TensorboardLog(run, started.first_step) if tensorboard else nullcontext()
    live = Live(console=console(stderr=True), transient=True)
    message = "stopping after this step; again to stop at once"
    with stop_on_signal(stop, message, patience_s), written as scalars, live:
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
                say(f"saved at step {event.step}; resume with:")
                say(f"  audiostride train {run.recipe} --run-dir {run_dir} --resume")
                return 130
            elif isinstance(event, Stopped):
                stopped = event
    for task, fitted in calibration.items():
        say_folded(calibration_text(task, fitted))
    if stopped.early:
        say_folded(
            f"{run_dir}: ended at step {stopped.step} of {started.n_steps}, no new best in the last "
            f"{recipe.training.early_stop_after} validations; train on: --resume --set training.early_stop_after=null"
        )
        if started.first_step == stopped.step:
            return 0
    elif started.first_step == started.n_steps:
        say(f"{run_dir}: all {started.n_steps} steps are done; --set training.steps=N trains more")
        return 0
    for task, (name, reached) in started.trivial.items():
        if display.scores.get(task, 1.0) <= reached:
            measure = NAMES[started.measures[task]]
            say_folded(f"{task}: the validation {measure} is {majority_text(name)} ({reached:.3f})")
    if started.unheard:
        say_folded(
            f"{', '.join(started.unheard)}: this model has never heard silence, noise or other sounds, and will take "
            "them for one of its classes; tasks.NAME.background names a class of such sounds"
        )
    say(f"done: {run_dir}")
    say(in_lines([f"validation {display.validation[0]}", *display.validation[1:], *display.best]))
    following = _next(run_dir, strided=bool(display.line.get("strides")))
    say("next:\n" + "\n".join(f"  audiostride {command}" for command in following))
    return 0


def _next(run_dir: Path, *, strided: bool) -> list[str]:
    return [
        f"eval {run_dir}",
        *([f"strides {run_dir}"] if strided else []),
        f"predict {run_dir} RECORDINGS --out results",
        f"export {run_dir} --out {run_dir.resolve().name}.onnx",
    ]


def _read(recipe: Path, overrides: Sequence[str]) -> "tuple[Path, Recipe]":
    """Find a recipe, and read it."""
    from audiostride.recipe.reader import load_recipe
    from audiostride.recipe.shipped import check_prepared, find_recipe

    found = find_recipe(recipe)
    checked = load_recipe(found, overrides)
    check_prepared(found, (task.manifest for task in checked.tasks.values()))
    return found, checked


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
            help="Train a run for each value of a key, below --run-dir; repeated, for each combination of values.",
        ),
    ] = None,
    jobs: Jobs = 1,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run, or of several runs. NAME is the path of the recipe below a folder called recipes, "
            "or else its file name.",
            show_default="runs/NAME, runs/NAME-runs for several",
        ),
    ] = None,
    device: Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, from its last checkpoint.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that the folder holds.")] = False,
    allow_changed_data: Annotated[
        bool,
        typer.Option(
            "--allow-changed-data",
            help="With --resume, go on although recordings or rows of the manifest have changed.",
        ),
    ] = False,
    show_all: ShowAll = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Run one real batch, show layers, memory and time, and write no run.")
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="Write scalars for TensorBoard into RUN/tensorboard. It needs the package tensorboard.",
        ),
    ] = False,
) -> None:
    """Train a recipe, once or with several seeds and settings.

    Several runs have a folder each below --run-dir, named by what differs. After an interruption, run the
    same command again: it skips finished runs and resumes the others.
    """
    from audiostride.recipe.shipped import check_prepared, find_recipe
    from audiostride.training.tensorboard_log import require_tensorboard

    if tensorboard:
        require_tensorboard()
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other")
    several = seeds is not None or bool(grid)
    if several and dry_run:
        raise UserError("--dry-run is of one run: leave out --seeds and --grid")
    if jobs != 1 and not several:
        raise UserError("--jobs is of several runs: name them with --seeds or --grid")
    if several or dry_run:
        require_one_process("--seeds, --grid and --dry-run are")
    if several:
        from audiostride.sweeps.plan import plan_runs
        from audiostride.sweeps.variants import parse_grid, parse_seeds

        recipe = find_recipe(recipe)
        axes = [*map(parse_grid, grid or ()), *([] if seeds is None else [parse_seeds(seeds)])]
        runs = plan_runs(recipe, overrides or (), axes)
        check_prepared(recipe, (task.manifest for run in runs for task in run.recipe.tasks.values()))
        options = [
            *(["--allow-changed-data"] if allow_changed_data else []),
            *(["--tensorboard"] if tensorboard else []),
            *(["--all"] if show_all else []),
        ]
        _, code = train_many(
            recipe,
            runs,
            several_runs_dir(recipe, "runs") if run_dir is None else run_dir,
            overrides=overrides or (),
            device=device,
            options=options,
            n_jobs=jobs,
            overwrite=overwrite,
        )
        raise typer.Exit(code)
    from audiostride.ranks import join_ranks

    with join_ranks() as ranks:
        found, checked = ranks.together(lambda: _read(recipe, overrides or ()))
        if dry_run:
            from audiostride.device import choose_device

            show_dry_run(checked, choose_device(device))
            return
        exit_code = _train(
            checked,
            default_run_dir(found) if run_dir is None else run_dir,
            device,
            ranks,
            resume=resume,
            overwrite=overwrite,
            allow_changed_data=allow_changed_data,
            tensorboard=tensorboard,
        )
    raise typer.Exit(exit_code)
