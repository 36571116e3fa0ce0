"""A comparison of runs as tables of LaTeX."""

import re

from audiostride.comparison.compare import Comparison
from audiostride.comparison.tables import TextTable, text_tables

HEAD = "% tables of `audiostride compare`; they need \\usepackage{booktabs}\n"
ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "[": "{[}",  # else that of the cell after a line end would be its argument
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def escape(text: str) -> str:
    r"""Write text so that LaTeX shows it as it is.

    >>> escape("a_b ±1 %")
    'a\\_b $\\pm$1 \\%'
    """
    return "".join(ESCAPES.get(character, character) for character in text)


def _number(text: str) -> str:
    r"""Write ranges with a dash and negative numbers with a minus.

    >>> _number("0.1-0.2"), _number("-0.1 to +0.2")
    ('0.1--0.2', '$-$0.1 to +0.2')
    """
    return re.sub(r"(?<![\d-])-(?=\d)", "$-$", re.sub(r"(?<=\d)-(?=\d)", "--", escape(text)))


def _cell(text: str, *, is_left: bool) -> str:
    lines = [escape(line) if is_left else _number(line) for line in text.split("\n")]
    stacked = r" \\ ".join(lines)
    return stacked if len(lines) == 1 else rf"\shortstack[{'l' if is_left else 'r'}]{{{stacked}}}"


def _row(cells: tuple[str, ...], n_left: int) -> str:
    return " & ".join(_cell(cell, is_left=i < n_left) for i, cell in enumerate(cells)) + r" \\"


def latex_table(table: TextTable, label: str) -> str:
    """Write one table, with its title as its caption."""
    columns = "l" * table.n_left + "r" * (len(table.columns) - table.n_left)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escape(table.title)}}}",
            rf"  \label{{tab:{label}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            f"    {_row(table.columns, table.n_left)}",
            r"    \midrule",
            *(f"    {_row(row, table.n_left)}" for row in table.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def latex(comparison: Comparison) -> str:
    """Write all tables, and what to know about them as comments."""
    warnings = [f"% {' '.join(warning.split())}" for warning in comparison.warnings]
    tables = [latex_table(table, f"compare-{i}") for i, table in enumerate(text_tables(comparison), 1)]
    return HEAD + "\n".join([*warnings, "\n\n".join(tables)]) + "\n"
