"""`audiostride init`: recordings in, a commented recipe out."""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import check_outputs, duration, on_terminal, progress, say, text_width
from audiostride.cli.options import Device, ShowAll
from audiostride.cli.run_dirs import default_run_dir
from audiostride.errors import UserError, listing
from audiostride.vocabulary import LabelFrom

if TYPE_CHECKING:
    from audiostride.data.manifest import Manifest
    from audiostride.drafts.draft import Draft
    from audiostride.drafts.sources import PreparedSource, Source


N_NAMED = 8  # classes in a line
EXAMPLES = """
audiostride init recordings
audiostride init season --minutes 60
audiostride init --list
"""


def _list_recipes() -> None:
    from audiostride.recipe.shipped import shipped_recipes

    for recipe in shipped_recipes():
        lines = textwrap.wrap(f"{recipe.about}.", text_width() - 4, break_on_hyphens=False)
        print(f"{recipe.name}\n" + "\n".join(f"    {line}" for line in lines))
    say("train one of them with: audiostride train NAME")


def _shown(path: Path) -> str:
    """Write a path as seen from the working folder, where it lies below it."""
    absolute, here = path.absolute(), Path.cwd()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()


def _ask_labels(manifest: "Manifest", labels: Sequence[str], *, asking: bool) -> list[str]:
    """Choose the columns to learn, and ask where the manifest has several."""
    from audiostride.drafts.draft import choose_labels

    try:
        return choose_labels(manifest, labels)
    except UserError:
        if not asking or labels or not manifest.label_columns:
            raise
    columns = ", ".join(manifest.label_columns)
    answer = typer.prompt(f"Columns to learn, with commas between them, of {columns}", err=True)
    return choose_labels(manifest, [name.strip() for name in str(answer).split(",")])


def _seconds(values: Sequence[float]) -> str:
    return f"{values[0]:.3g} to {values[-1]:.3g} s, median {values[len(values) // 2]:.3g} s"


def _tell(draft: "Draft", manifest: "Manifest") -> None:
    """Say what was found, and what stands in the way of a good model."""
    from audiostride.drafts.choices import hertz

    survey = draft.survey
    splits = {split: sum(clip.split == split for clip in manifest.clips) for split in ("train", "valid", "test")}
    say(
        f"{len(manifest.clips)} clips of {survey.n_recordings} recordings: "
        + ", ".join(f"{split} {n}" for split, n in splits.items())
    )
    for task, counts in draft.counts.items():
        fewest, most = min(counts.values()), max(counts.values())
        range_of_clips = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        say(f"{task}: {len(counts)} classes with {range_of_clips} training clips each")
    rates = ", ".join(f"{hertz(rate)} ({n})" for rate, n in survey.rates.most_common(4))
    channels = ", ".join(f"{n_channels} ({n})" for n_channels, n in survey.channels.most_common(3))
    say(f"sample rates {rates}; channels {channels}; clips last {_seconds(survey.durations_s)}")
    if survey.spectrum.is_found:
        heard = f"from {hertz(survey.spectrum.low_hz)} to {hertz(survey.spectrum.high_hz)}"
        say(f"sounds were found {heard}, in {survey.n_listened} clips")
    if survey.problems:
        lines = listing([f"{path}: {problem}" for path, problem in survey.problems.items()])
        say(f"cannot be used, and train stops at them (data.max_bad_files lets it go on):\n{lines}")
    if not splits["valid"] and draft.recipe.data.valid_fold is None:
        say("no clip in the split valid: training cannot tell its best checkpoint")
    _tell_unseen(draft, manifest)


def _tell_unseen(draft: "Draft", manifest: "Manifest") -> None:
    """Say which classes a split has no clip of, so that its score tells nothing of them."""
    from audiostride.data.manifest import split_labels

    if draft.recipe.data.test_fold is not None:
        return
    for name, task in draft.recipe.tasks.items():
        for split in ("valid", "test"):
            cells = [clip.labels.get(task.label, "") for clip in manifest.clips if clip.split == split]
            seen = {part for cell in cells for part in (cell, *split_labels(cell))}
            unseen = [label for label in draft.counts[name] if label not in seen]
            if cells and unseen:
                more = f" and {len(unseen) - N_NAMED} more" if len(unseen) > N_NAMED else ""
                say(f"{name}: the split {split} has no clip of {', '.join(unseen[:N_NAMED])}{more}")


def _head(path: Path, output: Path, draft: "Draft", manifest: "Manifest") -> list[str]:
    """Write the comment at the head of a recipe."""
    one_task = len(draft.counts) == 1  # has the name of the folder
    of_tasks = [f"{len(counts)} classes{'' if one_task else f' of {task}'}" for task, counts in draft.counts.items()]
    n_classes = ", ".join(of_tasks)
    return [
        f"Drafted by audiostride init from {_shown(path)}: {n_classes} in {draft.survey.n_recordings} recordings.",
        "Every line may be changed; audiostride recipe --keys describes all keys.",
        "",
        *(f"  {command}" for command in _next(output, manifest)),
    ]


def _next(output: Path, manifest: "Manifest") -> list[str]:
    run = default_run_dir(output)
    folds = any(clip.fold is not None for clip in manifest.clips)
    return [
        f"audiostride train {_shown(output)} --dry-run",
        f"audiostride train {_shown(output)}",
        *([f"audiostride crossval {_shown(output)}"] if folds else []),
        f"audiostride eval {run}",
        f"audiostride strides {run}",
        f"audiostride predict {run} RECORDINGS --out results",
    ]


def _check_free(output: Path, manifest: Path | None, *, overwrite: bool) -> None:
    check_outputs([("--output", output), ("--manifest", manifest)])
    if output.exists() and not overwrite:
        raise UserError(f"--output {output}: is there already; name another file, or replace it with --overwrite")


@contextmanager
def _kept_if_right(prepared: "PreparedSource") -> Iterator[None]:
    """Remove a new manifest when no recipe comes of it: the next call would take it for what the user wrote."""
    try:
        yield
    except BaseException:  # an interrupt among them
        if prepared.is_new:
            prepared.manifest.unlink(missing_ok=True)
        raise


def _describe(source: "Source", path: Path) -> str:
    from audiostride.drafts.sources import KIND_TEXTS

    return f"{path}: {KIND_TEXTS[source.kind] if source.data_set is None else f'the data set {source.data_set}'}"


def command(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A folder with a folder for each class, annotated recordings, a public data set, or a manifest.",
            show_default=False,
        ),
    ] = None,
    *,
    list_recipes: Annotated[
        bool, typer.Option("--list", help="List the recipes that come with the package, and do nothing else.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Recipe to write.", show_default="the name of PATH, in this folder")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Minutes that the training may take on this machine.", show_default="10")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="Column of the manifest to learn, as a task of its own; may be repeated.",
            show_default="labels, label or the only one",
        ),
    ] = None,
    label_from: Annotated[
        LabelFrom | None,
        typer.Option(help="What names the class in a folder of folders: the folder in PATH, or that of the recording."),
    ] = None,
    window_s: Annotated[
        float | None,
        typer.Option(help="Window in seconds, of annotated recordings.", show_default="holds nine of ten marked spans"),
    ] = None,
    new_manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="Manifest to write, if there is none.", show_default="PATH/manifest.csv"),
    ] = None,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the recipe that is there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what is proposed.")] = False,
    show_all: ShowAll = False,
) -> None:
    """Write a first recipe for recordings, with its reasons.

    It looks at the recordings (rates, lengths, classes, frequencies in use), writes their manifest where there is
    none, and measures how many steps fit the time. On a terminal it asks; elsewhere it takes what options say.
    Without --overwrite it replaces no recipe, and it never replaces a manifest.
    """
    if list_recipes:
        _list_recipes()
        return
    if path is None:
        raise UserError("expected PATH, the folder of the recordings, or --list for the recipes of the package")
    from audiostride.data.manifest import read_manifest
    from audiostride.device import choose_device
    from audiostride.drafts.draft import draft_recipe, name_task
    from audiostride.drafts.schedule import ENOUGH
    from audiostride.drafts.sources import find_source, prepare_source
    from audiostride.files import write_text_atomic

    asking = not yes and on_terminal() and sys.stdin.isatty()
    source = find_source(path)
    say(_describe(source, path))
    name = name_task(source.root.resolve().name)
    if output is None:
        default = f"{name}.yaml"
        output = Path(typer.prompt("Recipe to write", default=default, err=True) if asking else default)
    _check_free(output, new_manifest, overwrite=overwrite)
    if minutes is None:
        minutes = typer.prompt("Minutes that the training may take", default=10.0, err=True) if asking else 10.0
    prepared = prepare_source(source, path, out=new_manifest, label_from=label_from, window_s=window_s)
    for note in prepared.notes:
        say(note)
    with _kept_if_right(prepared):
        manifest = read_manifest(prepared.manifest)
        chosen = _ask_labels(manifest, labels or (), asking=asking)
        with progress("listening to clips") as on_progress:
            draft = draft_recipe(
                manifest,
                chosen,
                shown=_shown(prepared.manifest),
                name=name,
                minutes=minutes,
                device=choose_device(device),
                on_progress=on_progress,
            )
        _tell(draft, manifest)
        write_text_atomic(output, draft.text(_head(path, output, draft, manifest)))
    if prepared.is_new:
        say(f"wrote {prepared.manifest}")
    say(f"wrote {output}: {draft.schedule.steps} steps, about {duration(draft.schedule.seconds)} on this machine")
    if draft.schedule.steps < ENOUGH and not draft.schedule.is_enough:
        say("the time is short for this machine: give more with --minutes, or expect a weak model")
    say("next:\n" + "\n".join(f"  {command}" for command in _next(output, manifest)))
