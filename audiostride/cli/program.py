"""What every program of the package does around its commands: options, signals, and the words for mistakes."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from audiostride.cli.console import say
from audiostride.errors import ArgumentError, DataError, ToldElsewhere, UserError


def make_app(about: str) -> typer.Typer:
    """Make a program without commands.

    Args:
        about: what it is for, in a sentence.
    """
    app = typer.Typer(
        help=about,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help, which is there at once
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_options)
    return app


def add_command(app: typer.Typer, name: str, command: Callable[..., None], examples: str) -> None:
    """Add a command whose help ends with examples.

    Args:
        app: to add it to.
        name: of the command.
        command: the function beneath; its docstring is the help.
        examples: command lines below each other.
    """
    lines = "\n".join(f"  {line}" for line in examples.strip().splitlines())
    app.command(name, epilog=f"\b\nExamples:\n{lines}")(command)  # click wraps no lines after a \\b


def _options(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False
) -> None:
    """Take the options of the program itself."""
    if version:
        from audiostride.extras import installed_distribution, installed_version

        name = installed_distribution()
        print(installed_version() if name == "audiostride" else f"{name} {installed_version()}")
        raise typer.Exit


def name_as_option(app: typer.Typer, error: ArgumentError, command: Sequence[str]) -> str:
    """Say what is wrong with an argument under the name that `--help` gives to it.

    Args:
        app: whose commands are known.
        error: names the argument as Python does.
        command: the first word of the command line, if there is one.
    """
    commands = getattr(typer.main.get_command(app), "commands", {})
    for parameter in commands[command[0]].params if command and command[0] in commands else ():
        if parameter.name == error.argument:
            name = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar or parameter.name
            return f"{name} {error.value}: {error.problem}"
    return error.as_option()


def run_program(app: typer.Typer) -> None:
    """Run a program; a user's mistake ends with a message and an exit code, not a traceback."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler tells its own steps otherwise
    # torch warns on every rank that gradients may be missing, which they may: a stride of 1 has none
    if os.environ.get("WORLD_SIZE", "1") != "1":
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    for number in (signal.SIGINT, signal.SIGTERM):  # a script's job in the background inherits SIGINT as ignored
        signal.signal(number, signal.default_int_handler)
    try:
        app()
    except ArgumentError as error:
        say(name_as_option(app, error, sys.argv[1:2]))
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
