"""Turn formulas in LaTeX into MathML while the site is built, so that no page needs a script to show them."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def _as_mathml(match: re.Match[str]) -> str:
    formula = html.unescape(match[3]).strip()
    if match[2] == "(":
        return convert(formula)
    return f'<div class="formula">{convert(formula, display="block")}</div>'


def on_page_content(content: str, **_: Any) -> str:
    """Replace every formula of a page."""
    return FORMULA.sub(_as_mathml, content)
