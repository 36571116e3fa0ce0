"""The table of which class was taken for which."""

from collections.abc import Sequence

from audiostride.cli.console import print_line, show, table

N_CLASSES_SHOWN = 12  # a larger confusion matrix does not fit in 80 columns


def show_confusion(task: str, classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> None:
    """Print a confusion matrix, or where a larger one is."""
    if len(classes) > N_CLASSES_SHOWN:
        print_line(f"{task}: confusion matrix of {len(classes)} classes in the JSON (--json FILE)")
        return
    rows = table("", *map(str, range(len(classes))))
    for i, (name, row) in enumerate(zip(classes, confusion, strict=True)):
        rows.add_row(f"{i} {name}", *map(str, row))
    show(f"{task}: rows true, columns predicted", rows)
