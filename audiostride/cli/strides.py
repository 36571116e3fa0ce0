"""`audiostride strides`: what the strides of runs keep, in Hz and cycles per band."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiostride.cli.console import check_outputs, print_line, say, write_json
from audiostride.cli.options import JsonFile, WhichCheckpoint, note_checkpoint
from audiostride.cli.run_dirs import run_files
from audiostride.errors import UserError

if TYPE_CHECKING:
    from audiostride.runs.checkpoint import Checkpoint
    from audiostride.strides.reading import RunStrides


EXAMPLES = """
audiostride strides runs/birds
audiostride strides runs/birds --plot birds.png
audiostride strides runs/birds --freeze frozen.yaml
"""


def _notes(run: "RunStrides") -> None:
    """Give what a reader of the strides has to know beside them."""
    model = run.checkpoint.recipe.model
    if run.stuck:
        from audiostride.build import stuck_text

        say(f"{run.run}: {stuck_text(run.checkpoint.recipe, run.stuck)}")
    if model.downsampling != "diffstride":
        say(f"{run.run}: these strides are fixed: downsampling is {model.downsampling}")
    if model.downsampling == "strided_conv":
        say("strided convolutions do not filter: what lies above the cut-off aliases")


def _as_json(groups: "Mapping[str, Sequence[RunStrides]]", *, history: bool) -> dict[str, Any]:
    from audiostride.strides.reading import group_summary

    runs = [
        run.as_dict() | ({"history": run.history.as_dict()} if history else {})
        for of_group in groups.values()
        for run in of_group
    ]
    if len(runs) == 1:
        return runs[0]
    summaries = [{"name": name, "layers": group_summary(of_group)} for name, of_group in groups.items()]
    return {"runs": runs, "groups": summaries}


def _check_recipe(option: str, target: Path | None) -> None:
    """Raise UserError where a new recipe has no name of one, or would replace a file."""
    if target is None:
        return
    if target.suffix not in (".yaml", ".yml"):
        raise UserError(f"{option} {target}: expected a name that ends with .yaml or .yml")
    if target.exists():
        raise UserError(f"{option} {target}: is there already; name another file")


def _write_recipe(option: str, target: Path, text: str) -> None:
    from audiostride.files import write_text_atomic

    write_text_atomic(target, text)
    say(f"{option}: {target}")


def _freeze(run: Path, checkpoint: "Checkpoint", target: Path, *, integer: bool) -> None:
    from audiostride.strides.recipes import frozen_recipe, integer_recipe, recipe_text, write_frozen_run

    if integer:
        text = recipe_text(integer_recipe(checkpoint), f"Strided convolutions with the integers nearest to {run}.")
        _write_recipe("--freeze --integer", target, text)
        return
    folder = target.with_suffix("")
    write_frozen_run(folder, checkpoint)
    comments = (f"The strides that {run} learned, fixed.", f"{folder.name} beside this is that run itself with them.")
    _write_recipe("--freeze", target, recipe_text(frozen_recipe(checkpoint), *comments))
    say(f"the run with these strides: {folder}")


def command(
    *,
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders or checkpoint files.")],
    history: Annotated[bool, typer.Option("--history", help="Show how the strides moved in training.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the strides into a file that ends with .png, .svg or .pdf.")
    ] = None,
    freeze: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.yaml", help="Write a recipe with the strides fixed, and beside it the run itself with them."
        ),
    ] = None,
    integer: Annotated[
        bool, typer.Option("--integer", help="With --freeze, write strided convolutions with the nearest integers.")
    ] = False,
    advise: Annotated[
        bool, typer.Option("--advise", help="Say what the cut-offs mean for the front end of the next design.")
    ] = False,
    advise_recipe: Annotated[
        Path | None,
        typer.Option(metavar="OUT.yaml", help="Write the recipe with the front end that --advise proposes."),
    ] = None,
    json_file: JsonFile = None,
    checkpoint: WhichCheckpoint = "best",
) -> None:
    """Show the strides of runs as cut-off frequencies.

    Several runs stand side by side; seeds of one recipe as mean and deviation. With options only what they ask for is
    shown or written.

    Where half the power is lost (-3 dB) is measured with gratings. They have whole periods in a window, so the answer
    is as fine as 1 / window: 1 Hz in a window of 1 s, 1/64 cycles per band of 64 bands.
    """
    from audiostride.cli.strides_tables import GROUPS_NOTES, RUN_NOTES, show_advice, show_groups, show_history, show_run
    from audiostride.files import write_atomic
    from audiostride.runs.groups import frontend_difference, group_runs
    from audiostride.strides.plots import figure_strides, plot_format, render
    from audiostride.strides.reading import run_strides

    taken = [file for run in runs for file in run_files(run)]
    targets = {"--freeze": freeze, "--advise-recipe": advise_recipe, "--plot": plot, "--json": json_file}
    check_outputs(targets.items(), *taken)
    if freeze is not None and not integer:
        del targets["--freeze"]
        check_outputs(targets.items(), freeze.with_suffix(""))
    if integer and freeze is None:
        raise UserError("--integer: needs --freeze OUT.yaml, the recipe to write")
    _check_recipe("--freeze", freeze)
    _check_recipe("--advise-recipe", advise_recipe)
    if (freeze or advise or advise_recipe) and len(runs) > 1:
        raise UserError(f"--freeze and --advise take one run, got {len(runs)}")
    file_format = None if plot is None else plot_format(plot)

    for folder in runs:
        note_checkpoint(folder, checkpoint)
    loaded = group_runs(runs, checkpoint)
    groups = {
        group.name: [run_strides(run, of_run) for run, of_run in zip(group.runs, group.checkpoints, strict=True)]
        for group in loaded
    }
    every = [run for of_group in groups.values() for run in of_group]
    if difference := frontend_difference(loaded):
        say(f"the front ends differ, so cut-offs per band do not compare: {difference}")
    advice = None
    if advise or advise_recipe is not None:
        from audiostride.strides.advice import advise as advise_run

        advice = advise_run(every[0].checkpoint)
        if advise_recipe is not None and advice.recipe is None:
            raise UserError(f"--advise-recipe {advise_recipe}: no front end is advised; --advise says why")
    if freeze is not None:
        _freeze(runs[0], every[0].checkpoint, freeze, integer=integer)
    if advice is not None and advice.recipe is not None and advise_recipe is not None:
        from audiostride.strides.recipes import recipe_text

        text = recipe_text(advice.recipe, f"What {runs[0]} keeps, with {advice.front_ends[-1].what}.")
        _write_recipe("--advise-recipe", advise_recipe, text)
    if plot is not None and file_format is not None:
        write_atomic(plot, render(figure_strides(groups), file_format))
        say(f"--plot: {plot}")
    if json_file is not None:
        content = _as_json(groups, history=history)
        write_json(json_file, content if advice is None else content | {"advice": advice.as_dict()})
    if json_file == "-":
        return
    if not (history or advise or plot or freeze or advise_recipe or json_file):
        if len(every) == 1:
            show_run(every[0])
        else:
            show_groups(groups)
        print_line(RUN_NOTES if len(every) == 1 else GROUPS_NOTES, style="dim")
    if history:
        show_history(groups)
    if advice is not None and advise:
        show_advice(advice, every[0])
    for run in every:
        _notes(run)
