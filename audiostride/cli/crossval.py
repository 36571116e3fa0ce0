"""`audiostride crossval`: a run per fold of the data, and what they reach together."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.confusion import show_confusion
from audiostride.cli.console import check_outputs, print_line, progress, say, show, table, write_json
from audiostride.cli.options import Device, JsonFile, Overrides, ShowAll
from audiostride.cli.run_dirs import several_runs_dir
from audiostride.cli.sweep import Jobs, require_one_process, train_many
from audiostride.evaluation.majority import majority_text
from audiostride.vocabulary import ValidFold

if TYPE_CHECKING:
    from audiostride.sweeps.crossval import CrossValidation


EXAMPLES = """
audiostride crossval esc50/mini
audiostride crossval birds.yaml --json folds.json
"""


def _show(result: "CrossValidation") -> None:
    folds = table("fold", *result.tasks, "files")
    for fold in result.folds:
        scores = fold.score.scores
        folds.add_row(fold.fold, *(f"{scores[task].accuracy:.4f}" for task in result.tasks), str(fold.n_files))
    folds.add_section()
    spreads = [result.accuracy(task) for task in result.tasks]
    pooled = {task: result.pooled(task) for task in result.tasks}
    folds.add_row("mean", *(f"{spread.mean:.4f}" for spread in spreads), "")
    deviations = [spread.deviation for spread in spreads]
    folds.add_row("deviation", *("-" if value is None else f"{value:.4f}" for value in deviations), "")
    n_files = sum(fold.n_files for fold in result.folds)
    folds.add_row("pooled", *(f"{of_task.accuracy:.4f}" for of_task in pooled.values()), str(n_files))
    show("accuracy on the test fold", folds)
    for fold in result.folds:
        for task, score in fold.score.scores.items():
            if not score.beats_majority:
                print_line(f"fold {fold.fold}, {task}: {majority_text(score.majority_class)}")
    for task, of_task in pooled.items():
        if of_task.confusion:
            show_confusion(task, of_task.classes, of_task.confusion)


def command(
    *,
    recipe: Annotated[
        Path,
        typer.Argument(help="Recipe in YAML, or the name of one of the package. Its manifests have a column fold."),
    ],
    folds: Annotated[
        str | None, typer.Option(metavar="1,2,...", help="Folds to test on, separated by commas.", show_default="all")
    ] = None,
    valid_fold: Annotated[
        ValidFold,
        typer.Option(help="Validate on the fold after that of the test (next), or train on all others (none)."),
    ] = "next",
    overrides: Overrides = None,
    jobs: Jobs = 1,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the runs, one for each fold.", show_default="runs/NAME-folds"),
    ] = None,
    json_file: JsonFile = None,
    device: Device = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin all folds anew, and replace their runs.")
    ] = False,
    allow_changed_data: Annotated[
        bool,
        typer.Option("--allow-changed-data", help="Go on although recordings or rows of the manifest have changed."),
    ] = False,
    show_all: ShowAll = False,
) -> None:
    """Cross-validate a recipe: train and score a run per fold.

    Every run is scored on the fold that it has not seen.

    The column fold of the manifests counts, their column split does not. After an interruption, run the same
    command again: it skips finished folds and resumes the others.
    """
    from audiostride.device import choose_device
    from audiostride.recipe.reader import load_recipe
    from audiostride.recipe.shipped import check_prepared, find_recipe
    from audiostride.sweeps.crossval import check_classes, choose_folds, find_folds, fold_variants, score_folds
    from audiostride.sweeps.plan import plan_runs

    require_one_process("crossval is")
    recipe = find_recipe(recipe)
    checked = load_recipe(recipe, overrides or ())
    check_prepared(recipe, (task.manifest for task in checked.tasks.values()))
    check_outputs([("--json", json_file)], recipe, *(Path(task.manifest) for task in checked.tasks.values()))
    known = find_folds(checked, valid_fold)
    chosen = choose_folds(folds, known)
    runs = plan_runs(recipe, overrides or (), [fold_variants(chosen, known, valid_fold)])
    for run in runs:
        check_classes(run.recipe)
    parent = several_runs_dir(recipe, "folds") if run_dir is None else run_dir
    board, code = train_many(
        recipe,
        runs,
        parent,
        overrides=overrides or (),
        device=device,
        options=[*(["--allow-changed-data"] if allow_changed_data else []), *(["--all"] if show_all else [])],
        n_jobs=jobs,
        overwrite=overwrite,
    )
    finished = [
        (fold, parent / run.name)
        for fold, run in zip(chosen, runs, strict=True)
        if board.states[run.name] in ("done", "skipped")
    ]
    if code == 130 or not finished:
        raise typer.Exit(code)
    with progress("folds scored") as on_progress:
        result = score_folds(finished, choose_device(device), on_progress)
    for note in (fold.score.note for fold in result.folds):
        if note:
            say(note)
    if len(finished) < len(known):
        say(f"{len(finished)} of {len(known)} folds: not a cross-validation of all the data")
    if json_file != "-":
        _show(result)
    if json_file is not None:
        write_json(json_file, result.as_dict())
    raise typer.Exit(code)
