"""What goes wrong through no fault of the program."""

from collections.abc import Sequence


class UserError(ValueError):
    """A mistake in what the user gave (recipe, argument, path): the command ends with exit code 2, no traceback."""


class ArgumentError(UserError):
    """A value that an argument cannot have.

    The text names the argument as Python spells it; the command line names its option instead.

    >>> str(ArgumentError("hop_s", 0, "expected more than 0 seconds"))
    'hop_s=0: expected more than 0 seconds'
    >>> ArgumentError("hop_s", 0, "expected more than 0 seconds").as_option()
    '--hop-s 0: expected more than 0 seconds'
    """

    def __init__(self, argument: str, value: object, problem: str) -> None:
        super().__init__(f"{argument}={value}: {problem}")
        self.argument, self.value, self.problem = argument, value, problem

    def as_option(self) -> str:
        """Name the option of the command line in place of the argument."""
        return f"--{self.argument.replace('_', '-')} {self.value}: {self.problem}"


class DataError(ValueError):
    """Recordings or archives that are missing or cannot be used: the command ends with exit code 1, no traceback."""


class ToldElsewhere(Exception):  # noqa: N818  no error of this process
    """The end of a process since another one has failed, which tells why: exit code 1 without a message."""


N_LISTED = 20
_list_all: bool | None = None  # None where no option decides


def list_all(*, value: bool) -> None:
    """Decide by the option `--all` whether listings in messages are whole, or end after `N_LISTED` lines.

    Commands without the option do not call this, and their listings do not name it.
    """
    global _list_all
    _list_all = value


def listing(lines: Sequence[str], *, indent: str = "  ") -> str:
    r"""Write lines of a message below each other; a long list ends with the number of the others, unless `--all` is on.

    >>> listing(["a.wav", "b.wav"])
    '  a.wav\n  b.wav'
    """
    shown = list(lines) if _list_all else list(lines[:N_LISTED])
    rest = len(lines) - len(shown)
    how = "" if _list_all is None else "; --all lists them"
    return "\n".join([*(f"{indent}{line}" for line in shown), *([f"{indent}and {rest} more{how}"] if rest else [])])
