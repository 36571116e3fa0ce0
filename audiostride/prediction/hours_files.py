"""The table and the picture of hours in the folder of a prediction, kept up to date."""

from audiostride.errors import UserError
from audiostride.files import write_atomic, write_text_atomic
from audiostride.prediction.hours import Hours, hours_text
from audiostride.prediction.hours_plot import draw_hours
from audiostride.prediction.state import State


def check_hours_new(state: State) -> None:
    """Raise UserError where the folder holds a table or picture of hours that no earlier call wrote."""
    if not state.hours_written.exists():
        for path in (state.hours_table, state.hours_picture):
            if path.exists():
                raise UserError(f"{path}: exists already, and is not of this prediction (--overwrite replaces it)")


def write_hours(state: State, hours: Hours, *, safe: bool) -> bool:
    """Write the table of hours and its picture unless they are there as they should be; whether matplotlib is missing.

    The picture comes first: where the table is right, so is the picture, whenever a process ends.

    Args:
        state: whose files they are.
        hours: what is in them.
        safe: put an apostrophe before names that a spreadsheet would run.
    """
    content = hours_text(hours, safe=safe).encode()
    has_picture = any(of_class.any() for of_class in hours.n_detections.values())
    is_there = state.hours_table.exists() and state.hours_picture.exists() == has_picture
    if is_there and state.hours_table.read_bytes() == content:
        return False
    write_text_atomic(state.hours_written, "")
    picture = draw_hours(hours)
    if picture is None:
        state.hours_picture.unlink(missing_ok=True)
    else:
        write_atomic(state.hours_picture, picture)
    write_atomic(state.hours_table, content)
    return has_picture and picture is None
