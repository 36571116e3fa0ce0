"""`audiostride search`: trials of a recipe with settings from a space, and the best of them."""

import json
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import say, show, table
from audiostride.cli.options import Device, Overrides, ShowAll
from audiostride.cli.run_dirs import several_runs_dir
from audiostride.cli.sweep import Jobs, follow, require_one_process, say_failure
from audiostride.errors import UserError
from audiostride.extras import install_command
from audiostride.vocabulary import Sampler

if TYPE_CHECKING:
    from audiostride.search.folder import SearchFolder
    from audiostride.search.study import TrialResult

EXAMPLES = """
audiostride search birds.yaml space.yaml --trials 30
audiostride search birds.yaml space.yaml --trials 60 \\
    --jobs 2 --prune
"""

N_BEST = 5  # trials that are shown


def _show_best(trials: "list[TrialResult]", folder: "SearchFolder") -> None:
    done = sorted((t for t in trials if t.state == "done"), key=lambda trial: -(trial.value or 0.0))[:N_BEST]
    if not done:
        return
    keys = list(done[0].settings)
    rows = table("trial", "validation", *keys)
    for trial in done:
        rows.add_row(folder.name(trial.number), f"{trial.value:.4f}", *(json.dumps(trial.settings[k]) for k in keys))
    show("best trials", rows)


def command(
    *,
    recipe: Annotated[Path, typer.Argument(help="Recipe in YAML, or the name of one of the package, as in demo.")],
    space: Annotated[Path, typer.Argument(help="Keys of the recipe with the values that are tried, in YAML.")],
    trials: Annotated[int, typer.Option(metavar="N", help="Number of trials in all, also those of other processes.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the search and its runs.", show_default="runs/NAME-search"),
    ] = None,
    sampler: Annotated[
        Sampler,
        typer.Option(help="Draw settings where good trials lie (tpe, a Parzen estimator), or at random."),
    ] = "tpe",
    seed: Annotated[
        int, typer.Option(help="Seed of the draws of settings; that of the recipe decides the trainings.")
    ] = 0,
    jobs: Jobs = 1,
    prune: Annotated[
        bool, typer.Option("--prune", help="Stop a trial whose validation is below the median at the same step.")
    ] = False,
    overrides: Overrides = None,
    device: Device = "auto",
    show_all: ShowAll = False,
) -> None:
    """Search settings of a recipe for the best validation.

    Each trial is a run with settings from a space. After an interruption, run the same command again: it goes on.
    Started several times with the same folder, also on several machines, it shares the trials. It leaves trials.csv,
    trials.json and best.yaml, the recipe of the best trial.
    """
    if find_spec("optuna") is None:
        raise UserError(f"optuna is not installed: {install_command('search')}")
    from audiostride.device import choose_device
    from audiostride.recipe.reader import load_recipe
    from audiostride.recipe.shipped import check_prepared, find_recipe
    from audiostride.search.folder import SearchFolder
    from audiostride.search.run import check_space, check_trials, check_validation, search_recipe
    from audiostride.search.space import read_space
    from audiostride.search.study import Study, best_of
    from audiostride.sweeps.run import check_jobs

    require_one_process("search is")
    check_trials(trials)
    check_jobs(jobs)
    choose_device(device)
    settings = tuple(overrides or ())
    recipe = find_recipe(recipe)
    checked = load_recipe(recipe, settings)
    check_prepared(recipe, (task.manifest for task in checked.tasks.values()))
    parameters = read_space(space, recipe, settings)
    check_space(recipe, settings, parameters)
    check_validation(checked)
    folder = SearchFolder(several_runs_dir(recipe, "search") if output is None else output)
    folder.begin(checked, parameters, sampler, seed)
    study, stop = Study(folder, parameters, sampler, seed), Event()
    say(f"{trials} trials in {folder.path}, {jobs} at once; Ctrl-C saves and stops")
    events = search_recipe(
        study,
        recipe,
        trials,
        overrides=settings,
        options=["--device", device, *(["--all"] if show_all else [])],
        n_jobs=jobs,
        prune=prune,
        stop=stop,
    )
    follow(events, [], stop)
    results = study.trials()
    for trial in results:
        if trial.state == "failed":
            say_failure(folder.run(trial.number), (trial.reason or "").split("\n"))
    counts = {state: sum(t.state == state for t in results) for state in ("done", "pruned", "failed", "running")}
    say(f"{folder.path}: " + ", ".join(f"{n} {state}" for state, n in counts.items() if n))
    _show_best(results, folder)
    best = best_of(results)
    if best is not None:
        say(f"best: {folder.name(best.number)}, validation {best.value:.4f}; its recipe: {folder.best}")
    if stop.is_set():
        say("run the same command again: it goes on")
        raise typer.Exit(130)
    raise typer.Exit(0 if best is not None else 1)
