"""What goes wrong through no fault of the program."""


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
