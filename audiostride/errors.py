"""What goes wrong through no fault of the program."""


class UserError(Exception):
    """A mistake in what the user gave (recipe, option, path): exit code 2, no traceback."""


class DataError(Exception):
    """Recordings or archives that are missing or cannot be used: exit code 1, no traceback."""
