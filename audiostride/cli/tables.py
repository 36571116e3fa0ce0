"""Tables whose cells are plain text, whatever the names in them hold."""

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from audiostride.cli.console import visible


def _plain(cell: RenderableType | None) -> RenderableType | None:
    return Text(visible(cell)) if isinstance(cell, str) else cell


class PlainTable(Table):
    """A table that takes neither markup nor escape sequences from its cells.

    Args:
        columns: their titles.
        n_left: of the first columns, which hold text; the others hold numbers.
    """

    def __init__(self, *columns: str, n_left: int) -> None:
        super().__init__(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for i, column in enumerate(columns):
            self.add_column(Text(visible(column)), justify="left" if i < n_left else "right")

    def add_row(self, *cells: RenderableType | None, style: str | None = None, end_section: bool = False) -> None:  # type: ignore[override]
        """Add a row of plain cells."""
        super().add_row(*map(_plain, cells), style=style, end_section=end_section)
