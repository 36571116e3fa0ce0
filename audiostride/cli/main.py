"""The `audiostride` command."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from audiostride.cli import (
    bench,
    compare,
    crossval,
    doctor,
    evaluate,
    export,
    listen,
    predict,
    prepare,
    recipe,
    report,
    scan,
    search,
    serve,
    strides,
    thresholds,
    train,
)
from audiostride.cli.console import say
from audiostride.errors import ArgumentError, DataError, ToldElsewhere, UserError

app = typer.Typer(
    help="Train audio classifiers that learn their own strides, and read the strides as cut-off frequencies.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help, which is there at once
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("prepare")(prepare.command)
app.command("scan")(scan.command)
app.command("recipe")(recipe.command)
app.command("train")(train.command)
app.command("crossval")(crossval.command)
app.command("search")(search.command)
app.command("eval")(evaluate.command)
app.command("thresholds")(thresholds.command)
app.command("predict")(predict.command)
app.command("listen")(listen.command)
app.command("compare")(compare.command)
app.command("serve")(serve.command)
app.command("strides")(strides.command)
app.command("report")(report.command)
app.command("export")(export.command)
app.command("bench")(bench.command)
app.command("doctor")(doctor.command)


@app.callback(invoke_without_command=True)
def options(*, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Take the options of the program itself."""
    if version:
        from importlib.metadata import version as version_of

        print(version_of("audiostride"))
        raise typer.Exit


def name_as_option(error: ArgumentError, command: Sequence[str]) -> str:
    """Say what is wrong with an argument under the name that `--help` gives to it.

    Args:
        error: names the argument as Python does.
        command: the first word of the command line, if there is one.

    >>> name_as_option(ArgumentError("n_workers", 0, "expected at least 1"), ["scan"])
    '--jobs 0: expected at least 1'
    >>> name_as_option(ArgumentError("run", "x", "no such run"), ["eval"])
    'run x: no such run'
    """
    commands = getattr(typer.main.get_command(app), "commands", {})
    for parameter in commands[command[0]].params if command and command[0] in commands else ():
        if parameter.name == error.argument:
            name = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar or parameter.name
            return f"{name} {error.value}: {error.problem}"
    return error.as_option()


def main() -> None:
    """Run the program; a user's mistake ends with a message and an exit code, not a traceback."""
    # torch warns on every rank that gradients may be missing, which they may: a stride of 1 has none
    if os.environ.get("WORLD_SIZE", "1") != "1":
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    for number in (signal.SIGINT, signal.SIGTERM):  # a script's job in the background inherits SIGINT as ignored
        signal.signal(number, signal.default_int_handler)
    try:
        app()
    except ArgumentError as error:
        say(name_as_option(error, sys.argv[1:2]))
        sys.exit(2)
    except UserError as error:
        say(str(error))
        sys.exit(2)
    except DataError as error:
        say(str(error))
        sys.exit(1)
    except ToldElsewhere:
        sys.exit(1)
    except OSError as error:
        say(f"{error.filename or 'input or output'}: {error.strerror or error}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)


if __name__ == "__main__":
    main()
