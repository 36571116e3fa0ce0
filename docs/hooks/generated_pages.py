"""Fill the pages that are made elsewhere: the commands and the notebook, and what lies beside README."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import typer
from mkdocs.structure.pages import Page

from audiostride.cli.main import app

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs/notebooks/demo.ipynb"
KINDS = {"argument": "Argument", "option": "Option"}


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _parameters(command: Any, context: Any, kind: str) -> list[str]:
    parameters = [p for p in command.get_params(context) if p.param_type_name == kind and p.name != "help"]
    records = [record for record in (p.get_help_record(context) for p in parameters) if record]
    rows = ["| `{}` | {} |".format(name.replace("|", "\\|"), _cell(text)) for name, text in records]
    return [f"| {KINDS[kind]} | What it does |", "|---|---|", *rows, ""] if rows else []


def commands() -> str:
    """Give a section per command: what its `--help` shows."""
    group: Any = typer.main.get_command(app)
    top = group.make_context("audiostride", [], resilient_parsing=True)
    lines = []
    for name, command in group.commands.items():
        context = command.make_context(name, [], parent=top, resilient_parsing=True)
        usage = " ".join(["audiostride", name, *command.collect_usage_pieces(context)])
        lines += [f"## {name}", "", *(command.help or "").splitlines(), "", f"    {usage}", ""]
        for kind in KINDS:
            lines += _parameters(command, context, kind)
        if command.epilog:
            lines += ["```sh", command.epilog.strip(), "```", ""]
    return "\n".join(lines)


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="result of this cell" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">'
    text = "".join(output.get("text") or data.get("text/plain", ""))
    return f"```text\n{text.rstrip()}\n```"


def notebook() -> str:
    """Give the cells of the notebook and what they gave when it was run."""
    parts = []
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts += [f"```python\n{source}\n```", *map(_output, cell["outputs"])]
    return "\n\n".join(parts)


def _beside_readme(name: str) -> str:
    """Give a page from the root of the repository; its links lead into this folder."""
    return (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")


MARKERS = {
    "<!-- commands -->": commands,
    "<!-- notebook -->": notebook,
    "<!-- contributing -->": partial(_beside_readme, "CONTRIBUTING.md"),
    "<!-- changelog -->": partial(_beside_readme, "CHANGELOG.md"),
}


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Put generated text where a page has the marker for it."""
    for marker, make in MARKERS.items():
        if marker in markdown:
            markdown = markdown.replace(marker, make())
    return markdown
