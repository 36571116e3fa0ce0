"""`audiostride predict --gather`: parts of a prediction in, the tables of all of them out."""

from pathlib import Path

import typer

from audiostride.cli.console import counted, say, say_no_picture, say_unusable
from audiostride.errors import UserError

ALLOWED = {"gather_dir", "overwrite"}


def gather(context: typer.Context, folder: Path, *, overwrite: bool) -> int:
    """Join the parts in a folder, say what was done, and return the exit code: 1 if recordings could not be used.

    Raises:
        UserError: other options are given, which would change nothing.
    """
    from audiostride.prediction.gather import gather_parts

    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in ALLOWED
        and getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise UserError(f"--gather {folder}: joins what is there, and takes no {', '.join(given)}")
    done = gather_parts(folder, overwrite=overwrite)
    say(f"{folder}: {counted(done.n_parts, 'part')} joined, {counted(done.n_recordings, 'recording')}")
    if done.lacks_picture:
        say_no_picture()
    return say_unusable(done.failed)
