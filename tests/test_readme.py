"""README: its links, its table of results, and what a package index makes of it."""

import re
import runpy
import sys
from pathlib import Path

import pytest
import yaml

import audiostride

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)#]+)")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if not target.startswith("https://")]
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_the_table_of_results_is_what_the_script_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    table = runpy.run_path(str(ROOT / "docs/scripts/readme_table.py"))["table"]
    assert table() in (ROOT / "README.md").read_text()


def test_a_package_index_gets_absolute_links() -> None:
    absolute = runpy.run_path(str(ROOT / "hatch_build.py"))["with_absolute_links"]
    text = "![a](docs/a.png) [b](docs/b.md#c) [d](https://e.example) [f](#g)"
    assert absolute(text, "https://h.example").split() == [
        "![a](https://h.example/raw/main/docs/a.png)",
        "[b](https://h.example/blob/main/docs/b.md#c)",
        "[d](https://e.example)",
        "[f](#g)",
    ]


def test_citation_and_changelog_know_the_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == audiostride.__version__
    assert f"## [{audiostride.__version__}] - " in (ROOT / "CHANGELOG.md").read_text()
